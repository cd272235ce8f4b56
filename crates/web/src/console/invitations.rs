//! Invitations: an administrator makes a link, its receiver chooses a password.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{Failure, accounts, invitations, sessions};
use http::StatusCode;
use model::id::AccountId;

use super::{
    form::Form,
    frame::{self, Frame},
    key_page::number,
    oops::Oops,
    second_factor,
    sign_in::{bind, enter, with_cookie},
    visitor::{SignedIn, Visitor},
};
use crate::{management::Segment, routes::AppState};

#[derive(Template)]
#[template(path = "invitation.html")]
struct MadePage {
    f: Frame,
    id: i64,
    username: String,
    link: String,
}

/// Makes a link, and shows it this once.
pub(crate) async fn create(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(id): Segment,
    _: Form,
) -> Result<Response, Oops> {
    let id = number(&id)?;
    let token = invitations::create(&state.gateway, &signed.caller, AccountId(id)).await?;
    let account = accounts::get(&state.gateway, &signed.caller, AccountId(id)).await?;
    // What stands behind `#` is sent to nobody but the page that is opened.
    let link = format!("{}/console/invite#{}", signed.frame.base_url, token.as_str());
    Ok(frame::ok(&MadePage { f: signed.frame, id, username: account.username, link }))
}

#[derive(Template)]
#[template(path = "invite.html")]
struct AcceptPage {
    f: Frame,
    error: Option<String>,
}

/// Where the receiver chooses a password.
pub(crate) async fn show(State(state): State<AppState>, mut visitor: Visitor) -> Result<Response, Oops> {
    let cookie = bind(&mut visitor, &state)?;
    Ok(with_cookie(frame::ok(&AcceptPage { f: visitor.frame, error: None }), cookie))
}

/// Sets the password, and signs in.
pub(crate) async fn accept(
    State(state): State<AppState>,
    visitor: Visitor,
    form: Form,
) -> Result<Response, Oops> {
    let t = visitor.frame.t;
    let accepted = if form.raw("password") == form.raw("again") {
        let (token, password) = (form.text("token"), form.secret("password"));
        invitations::accept(&state.gateway, token, password, visitor.origin()).await
    } else {
        Err(Failure::Invalid(t.password_differs.to_owned()))
    };
    let error = match accepted {
        Ok(sessions::SignedIn::Entered(token)) => {
            visitor.leave(&state.gateway).await?;
            return Ok(enter(&token, "/console", &state));
        }
        Ok(sessions::SignedIn::NeedsCode(token)) => {
            return Ok(second_factor::ask(&token, "/console", &state));
        }
        Err(Failure::Unauthenticated) => t.invite_wrong.to_owned(),
        Err(Failure::TooManyAttempts { .. }) => t.sign_in_too_often.to_owned(),
        Err(failure @ Failure::Invalid(_)) => failure.to_string(),
        Err(failure) => return Err(failure.into()),
    };
    let page = AcceptPage { f: visitor.frame, error: Some(error) };
    Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page))
}
