//! What an account decides about itself: password, personal access tokens, sessions, language and theme.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{Failure, passkeys, passwords, second_factor, sessions, tokens};
use http::StatusCode;
use model::id::{SessionId, TokenId};

use super::{
    browser,
    form::Form,
    frame::{self, Frame, go},
    key_page::number,
    oops::Oops,
    show,
    visitor::SignedIn,
};
use crate::{management::Segment, routes::AppState};

struct TokenLine {
    id: i64,
    name: String,
    created: String,
    expires: Option<String>,
    ended: bool,
}

struct SessionLine {
    id: i64,
    client: String,
    agent: String,
    browser: String,
    created: String,
    used: String,
    this: bool,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    f: Frame,
    display_name: String,
    email: String,
    group: String,
    tokens: Vec<TokenLine>,
    sessions: Vec<SessionLine>,
    factor_is_on: bool,
    passkeys: usize,
    /// A token that was just made, shown this once.
    token: Option<String>,
    password_error: Option<String>,
    token_error: Option<String>,
}

#[derive(Default)]
struct Outcome {
    token: Option<String>,
    password_error: Option<String>,
    token_error: Option<String>,
}

async fn page(state: &AppState, signed: SignedIn, outcome: Outcome) -> Result<Response, Oops> {
    let now = state.gateway.now();
    let tokens = tokens::list(&state.gateway, &signed.caller).await?;
    let sessions = sessions::list(&state.gateway, &signed.caller).await?;
    let wrong = outcome.password_error.is_some() || outcome.token_error.is_some();
    let factor = second_factor::state(&state.gateway, &signed.caller).await?;
    let passkeys = passkeys::list(&state.gateway, &signed.caller).await?;
    let account = &signed.caller.account;
    let page = SettingsPage {
        display_name: account.display_name.clone(),
        email: account.email.clone(),
        group: account.group.clone(),
        tokens: tokens
            .into_iter()
            .map(|token| TokenLine {
                id: token.id.0,
                name: token.name,
                created: show::moment(token.created),
                expires: token.expires.map(show::moment),
                ended: token.expires.is_some_and(|end| end <= now),
            })
            .collect(),
        sessions: sessions
            .into_iter()
            .map(|session| SessionLine {
                this: session.id == signed.session.id,
                id: session.id.0,
                client: session.client,
                browser: browser::of(&session.agent),
                agent: session.agent,
                created: show::moment(session.created),
                used: show::moment(session.used),
            })
            .collect(),
        factor_is_on: factor.is_on,
        passkeys: passkeys.len(),
        token: outcome.token,
        password_error: outcome.password_error,
        token_error: outcome.token_error,
        f: signed.frame,
    };
    let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(frame::page(status, &page))
}

/// The settings.
pub(crate) async fn show(State(state): State<AppState>, signed: SignedIn) -> Result<Response, Oops> {
    page(&state, signed, Outcome::default()).await
}

/// Changes the password; every other session ends.
pub(crate) async fn change_password(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    let t = signed.frame.t;
    let (old, new) = (form.secret("current"), form.secret("password"));
    let changed = if form.raw("password") == form.raw("again") {
        passwords::change(&state.gateway, &signed.caller, &signed.session, old, new).await
    } else {
        Err(Failure::Invalid(t.password_differs.to_owned()))
    };
    match changed {
        Ok(()) => Ok(go("/console/settings?done=password_changed")),
        Err(Failure::Unavailable) => Err(Failure::Unavailable.into()),
        Err(failure) => {
            let outcome = Outcome { password_error: Some(failure.to_string()), ..Outcome::default() };
            page(&state, signed, outcome).await
        }
    }
}

/// Makes a personal access token, and shows it this once.
pub(crate) async fn create_token(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    let made = match show::read_moment("expires", form.text("expires")) {
        Ok(expires) => tokens::create(&state.gateway, &signed.caller, form.text("name"), expires).await,
        Err(failure) => Err(failure),
    };
    let outcome = match made {
        Ok((_, credential)) => Outcome { token: Some(credential.expose().to_owned()), ..Outcome::default() },
        Err(Failure::Unavailable) => return Err(Failure::Unavailable.into()),
        Err(failure) => Outcome { token_error: Some(failure.to_string()), ..Outcome::default() },
    };
    page(&state, signed, outcome).await
}

/// Ends a personal access token.
pub(crate) async fn revoke_token(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(token): Segment,
    _: Form,
) -> Result<Response, Oops> {
    tokens::revoke(&state.gateway, &signed.caller, TokenId(number(&token)?)).await?;
    Ok(go("/console/settings?done=revoked"))
}

/// Ends a session of the account.
pub(crate) async fn end_session(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(session): Segment,
    _: Form,
) -> Result<Response, Oops> {
    sessions::end(&state.gateway, &signed.caller, SessionId(number(&session)?)).await?;
    Ok(go("/console/settings?done=session_ended"))
}

/// Ends every session of the account but this one.
pub(crate) async fn end_other_sessions(
    State(state): State<AppState>,
    signed: SignedIn,
    _: Form,
) -> Result<Response, Oops> {
    sessions::end_others(&state.gateway, &signed.caller, signed.session.id).await?;
    Ok(go("/console/settings?done=session_ended"))
}
