//! Signing in and out.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use gateway::{
    Failure,
    sessions::{self, LONGEST_MILLIS, SessionToken},
};
use http::{StatusCode, Uri, header};

use super::{
    cookies::Cookie,
    form::{self, Form},
    frame::{self, Frame, go},
    oops::Oops,
    page::Query,
    passkeys, second_factor,
    visitor::{SignedIn, Visitor},
};
use crate::routes::AppState;

/// How long the cookie of a form lasts, in seconds: an hour.
const FORM_SECONDS: i64 = 3_600;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    f: Frame,
    next: String,
    username: String,
    error: Option<String>,
    ended: bool,
    awaits_set_up: bool,
    /// Whether passkeys work at this address.
    has_passkeys: bool,
}

/// Whether a page is stopped because nobody is signed in.
pub(crate) const fn is_needed(oops: &Oops) -> bool {
    matches!(oops, Oops::Failure(Failure::Unauthenticated))
}

/// To the sign-in page, and back from there.
pub(crate) fn first(uri: &Uri, reads: bool, had_session: bool, state: &AppState) -> Response {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let wanted = uri.path_and_query().map_or("", |wanted| wanted.as_str());
    if reads && wanted != "/console" {
        query.append_pair("next", wanted);
    }
    if had_session {
        query.append_pair("ended", "1");
    }
    let mut response = go(&format!("/console/sign-in?{}", query.finish()));
    if let Some(removed) = Cookie::Session.set("", 0, state.is_secure()).filter(|_| had_session) {
        response.headers_mut().append(header::SET_COOKIE, removed);
    }
    response
}

/// Gives the browser of somebody who is not signed in what its forms are bound to.
pub(crate) fn bind(visitor: &mut Visitor, state: &AppState) -> Result<Option<http::HeaderValue>, Failure> {
    if !visitor.frame.csrf.is_empty() {
        return Ok(None);
    }
    let cookie = sessions::random_text()?;
    visitor.frame.csrf = form::derive(&cookie);
    Ok(Cookie::Form.set(&cookie, FORM_SECONDS, state.is_secure()))
}

/// A response with a further cookie.
pub(crate) fn with_cookie(mut response: Response, cookie: Option<http::HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Elsewhere, signed in.
pub(crate) fn enter(token: &SessionToken, to: &str, state: &AppState) -> Response {
    let secure = state.is_secure();
    let response = with_cookie(go(to), Cookie::Session.set(token.expose(), LONGEST_MILLIS / 1_000, secure));
    with_cookie(response, Cookie::Form.set("", 0, secure))
}

/// Only a page of the console is gone to.
pub(crate) fn local(next: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let fits = next.starts_with("/console") && next.bytes().all(plain);
    if fits && next != "/console/sign-in" { next } else { "/console" }
}

/// The sign-in page.
pub(crate) async fn show(
    State(state): State<AppState>,
    mut visitor: Visitor,
    uri: Uri,
) -> Result<Response, Oops> {
    if let Some(token) = &visitor.session
        && sessions::authenticate(&state.gateway, token).await.is_ok()
    {
        return Ok(go("/console"));
    }
    // A session that has ended must not be what the form is bound to: it is about to be removed.
    let cookie = bind(&mut visitor, &state)?;
    let query = Query::of(&uri);
    let page = SignInPage {
        has_passkeys: passkeys::site(&visitor.frame).is_some(),
        f: visitor.frame,
        next: local(query.text("next")).to_owned(),
        username: String::new(),
        error: None,
        ended: query.number("ended").is_some(),
        awaits_set_up: sessions::awaits_set_up(&state.gateway).await?,
    };
    Ok(with_cookie(frame::ok(&page), cookie))
}

/// Signs in.
pub(crate) async fn sign_in(
    State(state): State<AppState>,
    visitor: Visitor,
    form: Form,
) -> Result<Response, Oops> {
    let (username, next) = (form.text("username"), local(form.text("next")));
    let entered =
        sessions::sign_in(&state.gateway, username, form.secret("password"), visitor.origin()).await;
    let failure = match entered {
        Ok(sessions::SignedIn::Entered(token)) => {
            visitor.leave(&state.gateway).await?;
            return Ok(enter(&token, next, &state));
        }
        Ok(sessions::SignedIn::NeedsCode(token)) => return Ok(second_factor::ask(&token, next, &state)),
        Err(failure) => failure,
    };
    let wrong = visitor.frame.t.sign_in_wrong;
    refused(visitor.frame, failure, next, username, wrong)
}

/// The sign-in page once more, saying why nobody is signed in: `wrong`, unless it was tried too often.
pub(crate) fn refused(
    f: Frame,
    failure: Failure,
    next: &str,
    username: &str,
    wrong: &'static str,
) -> Result<Response, Oops> {
    let (status, error, wait) = match failure {
        Failure::Unauthenticated => (StatusCode::UNPROCESSABLE_ENTITY, wrong, None),
        Failure::TooManyAttempts { seconds } => {
            (StatusCode::TOO_MANY_REQUESTS, f.t.sign_in_too_often, Some(seconds))
        }
        failure => return Err(failure.into()),
    };
    let page = SignInPage {
        next: next.to_owned(),
        username: username.to_owned(),
        error: Some(error.to_owned()),
        ended: false,
        awaits_set_up: false,
        has_passkeys: passkeys::site(&f).is_some(),
        f,
    };
    let response = frame::page(status, &page);
    Ok(match wait {
        Some(seconds) => ([(header::RETRY_AFTER, seconds.to_string())], response).into_response(),
        None => response,
    })
}

/// Ends the session.
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    signed: SignedIn,
    _: Form,
) -> Result<Response, Oops> {
    sessions::end(&state.gateway, &signed.caller, signed.session.id).await?;
    Ok(with_cookie(go("/console/sign-in"), Cookie::Session.set("", 0, state.is_secure())))
}
