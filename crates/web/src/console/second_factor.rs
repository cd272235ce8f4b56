//! The second factor: asked for at sign-in, set up and given up in the settings.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use gateway::{
    Failure,
    second_factor::{self, Enrolment},
    sessions::{self, PENDING_MILLIS, SessionToken},
};
use http::{StatusCode, Uri, header};
use model::id::AccountId;
use qrcode::{Color, QrCode};

use super::{
    cookies::Cookie,
    form::Form,
    frame::{self, Frame, go},
    key_page::number,
    oops::Oops,
    page::{Query, link},
    sign_in::{bind, enter, local, with_cookie},
    visitor::{SignedIn, Visitor},
};
use crate::{management::Segment, routes::AppState};

const HERE: &str = "/console/settings/second-factor";

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct CodePage {
    f: Frame,
    next: String,
    error: Option<String>,
}

/// Goes on to where the code is asked for.
pub(crate) fn ask(token: &SessionToken, next: &str, state: &AppState) -> Response {
    let next = if next == "/console" { "" } else { next };
    let response = go(&link("/console/sign-in/code", &[("next", next)]));
    with_cookie(response, Cookie::Pending.set(token.expose(), PENDING_MILLIS / 1_000, state.is_secure()))
}

/// Where the code is asked for.
pub(crate) async fn show_code(
    State(state): State<AppState>,
    mut visitor: Visitor,
    uri: Uri,
) -> Result<Response, Oops> {
    if visitor.pending.is_none() {
        return Ok(go("/console/sign-in"));
    }
    let cookie = bind(&mut visitor, &state)?;
    let next = local(Query::of(&uri).text("next")).to_owned();
    Ok(with_cookie(frame::ok(&CodePage { f: visitor.frame, next, error: None }), cookie))
}

/// Signs in with the code.
pub(crate) async fn enter_code(
    State(state): State<AppState>,
    visitor: Visitor,
    form: Form,
) -> Result<Response, Oops> {
    let secure = state.is_secure();
    let next = local(form.text("next"));
    let pending = visitor.pending.clone().unwrap_or_default();
    let entered = sessions::enter_code(&state.gateway, &pending, form.text("code"), visitor.origin()).await;
    let t = visitor.frame.t;
    let (status, error, wait) = match entered {
        Ok(token) => {
            visitor.leave(&state.gateway).await?;
            return Ok(with_cookie(enter(&token, next, &state), Cookie::Pending.set("", 0, secure)));
        }
        Err(Failure::Unauthenticated) => {
            return Ok(with_cookie(go("/console/sign-in?ended=1"), Cookie::Pending.set("", 0, secure)));
        }
        Err(Failure::Invalid(_)) => (StatusCode::UNPROCESSABLE_ENTITY, t.code_wrong, None),
        Err(Failure::TooManyAttempts { seconds }) => {
            (StatusCode::TOO_MANY_REQUESTS, t.sign_in_too_often, Some(seconds))
        }
        Err(failure) => return Err(failure.into()),
    };
    let page = CodePage { f: visitor.frame, next: next.to_owned(), error: Some(error.to_owned()) };
    let response = frame::page(status, &page);
    Ok(match wait {
        Some(seconds) => ([(header::RETRY_AFTER, seconds.to_string())], response).into_response(),
        None => response,
    })
}

/// A picture that an app reads: the dark squares as one path.
struct Picture {
    /// With the quiet zone around it.
    size: usize,
    path: String,
}

/// Squares around a picture that stay light.
const QUIET: usize = 4;

impl Picture {
    fn of(text: &str) -> Option<Self> {
        let code = QrCode::new(text).ok()?;
        let width = code.width();
        let squares = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark);
        let place = |at: usize| (at % width + QUIET, at / width + QUIET);
        let path = squares.map(|(at, _)| place(at)).map(|(x, y)| format!("M{x} {y}h1v1h-1z")).collect();
        Some(Self { size: width + 2 * QUIET, path })
    }
}

#[derive(Template)]
#[template(path = "second_factor.html")]
struct FactorPage {
    f: Frame,
    is_on: bool,
    codes_left: i64,
    /// What is being set up: the secret in groups, and the picture.
    enrolment: Option<(String, Option<Picture>)>,
    /// Recovery codes that were just made, shown this once.
    codes: Vec<String>,
    error: Option<String>,
}

fn shown(enrolment: &Enrolment) -> (String, Option<Picture>) {
    let letters: Vec<char> = enrolment.secret.chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    (groups.join(" "), Picture::of(&enrolment.url))
}

async fn page(
    state: &AppState,
    signed: SignedIn,
    codes: Vec<String>,
    error: Option<Failure>,
) -> Result<Response, Oops> {
    let status = match &error {
        None => StatusCode::OK,
        Some(Failure::TooManyAttempts { .. }) => StatusCode::TOO_MANY_REQUESTS,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let (gateway, t) = (&state.gateway, signed.frame.t);
    let error = match error {
        None => None,
        Some(Failure::Invalid(_)) => Some(t.code_wrong.to_owned()),
        Some(Failure::TooManyAttempts { .. }) => Some(t.sign_in_too_often.to_owned()),
        Some(Failure::Conflict(text)) => Some(text),
        Some(failure) => return Err(failure.into()),
    };
    let now = second_factor::state(gateway, &signed.caller).await?;
    let enrolment = match second_factor::enrolling(gateway, &signed.caller).await {
        Ok(enrolment) => Some(shown(&enrolment)),
        Err(Failure::NotFound(_)) => None,
        Err(failure) => return Err(failure.into()),
    };
    let (is_on, codes_left) = (now.is_on, now.codes_left);
    let page = FactorPage { f: signed.frame, is_on, codes_left, enrolment, codes, error };
    Ok(frame::page(status, &page))
}

/// How the account is protected.
pub(crate) async fn show(State(state): State<AppState>, signed: SignedIn) -> Result<Response, Oops> {
    page(&state, signed, Vec::new(), None).await
}

/// Begins to set up an app.
pub(crate) async fn begin(
    State(state): State<AppState>,
    signed: SignedIn,
    _: Form,
) -> Result<Response, Oops> {
    match second_factor::begin(&state.gateway, &signed.caller).await {
        Ok(_) => Ok(go(HERE)),
        Err(failure) => page(&state, signed, Vec::new(), Some(failure)).await,
    }
}

/// Asks for codes from now on, and shows the recovery codes.
pub(crate) async fn confirm(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    let made =
        second_factor::confirm(&state.gateway, &signed.caller, &signed.session, form.text("code")).await;
    match made {
        Ok(codes) => page(&state, signed, codes, None).await,
        Err(failure) => page(&state, signed, Vec::new(), Some(failure)).await,
    }
}

/// Makes new recovery codes, and shows them.
pub(crate) async fn renew(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    let made =
        second_factor::renew_codes(&state.gateway, &signed.caller, &signed.session, form.text("code")).await;
    match made {
        Ok(codes) => page(&state, signed, codes, None).await,
        Err(failure) => page(&state, signed, Vec::new(), Some(failure)).await,
    }
}

/// Asks for codes no more.
pub(crate) async fn end(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    match second_factor::end(&state.gateway, &signed.caller, &signed.session, form.text("code")).await {
        Ok(()) => Ok(go("/console/settings/second-factor?done=factor_ended")),
        Err(failure) => page(&state, signed, Vec::new(), Some(failure)).await,
    }
}

/// Takes the second factor from somebody who has lost it.
pub(crate) async fn remove(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(id): Segment,
    _: Form,
) -> Result<Response, Oops> {
    let id = number(&id)?;
    second_factor::remove(&state.gateway, &signed.caller, AccountId(id)).await?;
    Ok(go(&format!("/console/accounts/{id}?done=factor_ended")))
}
