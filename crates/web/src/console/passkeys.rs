//! Passkeys: those of an account in its settings, and signing in with one.
//!
//! The script of these pages speaks with the browser's authenticators and puts what they say into the fields of a form;
//! what is sent is a form like any other.

use askama::Template;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use gateway::{
    Failure, Passkey,
    passkeys::{self, ALGORITHMS, Assertion, MILLIS, NewCredential, Site},
};
use http::StatusCode;
use model::id::{AccountId, PasskeyId};
use serde_json::json;

use super::{
    form::{Form, TOKEN},
    frame::{self, Frame, go},
    key_page::number,
    oops::Oops,
    show, sign_in,
    visitor::{SignedIn, Visitor},
};
use crate::{management::Segment, routes::AppState};

const HERE: &str = "/console/settings/passkeys";

/// Where passkeys of this page's visitors work; `None` where browsers make none.
pub(crate) fn site(frame: &Frame) -> Option<Site> {
    Site::of(&frame.base_url)
}

fn must_have_site(frame: &Frame) -> Result<Site, Failure> {
    site(frame).ok_or_else(|| Failure::Invalid(frame.t.passkeys.elsewhere.to_owned()))
}

struct Line {
    id: i64,
    name: String,
    created: String,
    used: Option<String>,
    backed_up: bool,
}

impl From<Passkey> for Line {
    fn from(passkey: Passkey) -> Self {
        Self {
            id: passkey.id.0,
            name: passkey.name,
            created: show::moment(passkey.created),
            used: passkey.used.map(show::moment),
            backed_up: passkey.backed_up,
        }
    }
}

#[derive(Template)]
#[template(path = "passkeys.html")]
struct PasskeysPage {
    f: Frame,
    lines: Vec<Line>,
    /// Whether passkeys work at this address.
    works: bool,
    /// Whether whoever is there has proved it a moment ago.
    fresh: bool,
    name: String,
    error: Option<String>,
}

async fn page(
    state: &AppState,
    signed: SignedIn,
    name: &str,
    error: Option<Failure>,
) -> Result<Response, Oops> {
    let (status, error) = match error {
        None => (StatusCode::OK, None),
        Some(Failure::TooManyAttempts { .. }) => {
            (StatusCode::TOO_MANY_REQUESTS, Some(signed.frame.t.sign_in_too_often.to_owned()))
        }
        Some(Failure::Invalid(text) | Failure::Conflict(text)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Some(text))
        }
        Some(failure) => return Err(failure.into()),
    };
    let lines = passkeys::list(&state.gateway, &signed.caller).await?;
    let page = PasskeysPage {
        lines: lines.into_iter().map(Line::from).collect(),
        works: site(&signed.frame).is_some(),
        fresh: passkeys::is_fresh(&signed.session, state.gateway.now()),
        name: name.to_owned(),
        error,
        f: signed.frame,
    };
    Ok(frame::page(status, &page))
}

/// The account's passkeys.
pub(crate) async fn show(State(state): State<AppState>, signed: SignedIn) -> Result<Response, Oops> {
    page(&state, signed, "", None).await
}

/// Proves again who is there.
pub(crate) async fn prove(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    let password = form.secret("password");
    match passkeys::prove(&state.gateway, &signed.caller, &signed.session, password).await {
        Ok(()) => Ok(go(HERE)),
        Err(Failure::Invalid(_)) => {
            let wrong = Failure::Invalid(signed.frame.t.passkeys.password_wrong.to_owned());
            page(&state, signed, "", Some(wrong)).await
        }
        Err(failure) => page(&state, signed, "", Some(failure)).await,
    }
}

/// What a script is told when it may not go on.
fn refusal(failure: &Failure) -> Response {
    let status = Oops::Failure(failure.clone()).status();
    (status, Json(json!({ "message": failure.to_string() }))).into_response()
}

/// What the script asks the browser for, to make a passkey.
pub(crate) async fn creation_options(
    State(state): State<AppState>,
    signed: SignedIn,
    _: Form,
) -> Result<Response, Oops> {
    let site = must_have_site(&signed.frame);
    let begun = match site {
        Ok(site) => passkeys::begin(&state.gateway, &signed.caller, &signed.session)
            .await
            .map(|registration| (site, registration)),
        Err(failure) => Err(failure),
    };
    let (site, registration) = match begun {
        Ok(begun) => begun,
        Err(failure) => return Ok(refusal(&failure)),
    };
    let account = &signed.caller.account;
    let shown = if account.display_name.is_empty() { &account.username } else { &account.display_name };
    let parameters = ALGORITHMS.map(|algorithm| json!({"type": "public-key", "alg": algorithm}));
    let credential = |id: &String| json!({"type": "public-key", "id": id});
    let options = json!({
        "challenge": registration.challenge,
        "rp": {"id": site.name, "name": "Apsis"},
        "user": {"id": registration.user, "name": account.username, "displayName": shown},
        "pubKeyCredParams": parameters,
        "timeout": MILLIS,
        "attestation": "none",
        "authenticatorSelection": {
            "residentKey": "required", "requireResidentKey": true, "userVerification": "required",
        },
        "excludeCredentials": registration.known.iter().map(credential).collect::<Vec<_>>(),
    });
    Ok(Json(options).into_response())
}

/// Adds the passkey that was made.
pub(crate) async fn add(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    let name = form.text("name").to_owned();
    let new = NewCredential { name: &name, client: form.text("client"), object: form.text("object") };
    let added = match must_have_site(&signed.frame) {
        Ok(site) => passkeys::add(&state.gateway, &signed.caller, &signed.session, &site, new).await,
        Err(failure) => Err(failure),
    };
    match added {
        Ok(_) => Ok(go(&format!("{HERE}?done=passkey_added"))),
        Err(failure) => page(&state, signed, &name, Some(failure)).await,
    }
}

/// Removes a passkey.
pub(crate) async fn remove(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(id): Segment,
    _: Form,
) -> Result<Response, Oops> {
    let id = PasskeyId(number(&id)?);
    match passkeys::remove(&state.gateway, &signed.caller, &signed.session, id).await {
        Ok(()) => Ok(go(&format!("{HERE}?done=passkey_removed"))),
        Err(failure) => page(&state, signed, "", Some(failure)).await,
    }
}

/// What the script asks the browser for, to sign in.
pub(crate) async fn request_options(
    State(state): State<AppState>,
    visitor: Visitor,
    form: Form,
) -> Result<Response, Oops> {
    let site = match must_have_site(&visitor.frame) {
        Ok(site) => site,
        Err(failure) => return Ok(refusal(&failure)),
    };
    let challenge = passkeys::begin_sign_in(&state.gateway, form.raw(TOKEN))?;
    let options = json!({
        "challenge": challenge,
        "rpId": site.name,
        "timeout": MILLIS,
        "userVerification": "required",
    });
    Ok(Json(options).into_response())
}

/// Signs in.
pub(crate) async fn enter(
    State(state): State<AppState>,
    visitor: Visitor,
    form: Form,
) -> Result<Response, Oops> {
    let assertion = Assertion {
        credential: form.text("credential"),
        client: form.text("client"),
        data: form.text("data"),
        signature: form.text("signature"),
        user: form.text("user"),
    };
    let entered = match site(&visitor.frame) {
        Some(site) => {
            passkeys::sign_in(&state.gateway, &site, form.raw(TOKEN), assertion, visitor.origin()).await
        }
        None => Err(Failure::Unauthenticated),
    };
    let next = sign_in::local(form.text("next"));
    match entered {
        Ok(token) => {
            visitor.leave(&state.gateway).await?;
            Ok(sign_in::enter(&token, next, &state))
        }
        Err(failure) => {
            let wrong = visitor.frame.t.passkeys.wrong;
            sign_in::refused(visitor.frame, failure, next, "", wrong)
        }
    }
}

/// Takes all passkeys from somebody else.
pub(crate) async fn remove_all(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(id): Segment,
    _: Form,
) -> Result<Response, Oops> {
    let id = number(&id)?;
    passkeys::remove_all(&state.gateway, &signed.caller, AccountId(id)).await?;
    Ok(go(&format!("/console/accounts/{id}?done=passkey_removed")))
}
