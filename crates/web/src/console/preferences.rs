//! Language and theme, kept in the browser alone.

use axum::{extract::State, response::Response};
use http::HeaderMap;

use super::{
    cookies::Cookie,
    form::Form,
    frame::{go, theme},
    messages::Language,
    sign_in::with_cookie,
};
use crate::routes::AppState;

/// A year.
const SECONDS: i64 = 365 * 86_400;

/// Keeps what was chosen, and goes back to the page where it was.
pub(crate) async fn choose(State(state): State<AppState>, headers: HeaderMap, form: Form) -> Response {
    let secure = state.is_secure();
    let back = headers.get(http::header::REFERER).and_then(|page| page.to_str().ok());
    let back = back.and_then(|page| page.parse::<http::Uri>().ok());
    let path = back.as_ref().map_or("/console", http::Uri::path);
    let response = go(if path.starts_with("/console") { path } else { "/console" });
    let language = Language::named(form.text("language"));
    let response = match language {
        Some(language) => with_cookie(response, Cookie::Language.set(language.tag(), SECONDS, secure)),
        None => response,
    };
    match form.text("theme") {
        "" => response,
        name => with_cookie(response, Cookie::Theme.set(theme(Some(name)), SECONDS, secure)),
    }
}
