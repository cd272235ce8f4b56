//! What stands around every page: language, theme, who is signed in, where one is.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use gateway::{Role, access::Caller};
use http::{HeaderMap, StatusCode, Uri, header};

use super::{
    assets::{ASSETS, Assets},
    cookies::Cookie,
    form,
    messages::{Language, Messages},
};
use crate::routes::AppState;

/// What stands around a page.
pub(crate) struct Frame {
    /// The texts, in the reader's language.
    pub(crate) t: &'static Messages,
    /// That language.
    pub(crate) language: Language,
    /// `light`, `dark` or `auto`.
    pub(crate) theme: &'static str,
    /// What every form carries.
    pub(crate) csrf: String,
    /// Who is signed in.
    pub(crate) account: Option<String>,
    /// Whether they see what administrators see.
    pub(crate) administrator: bool,
    /// The page's path.
    pub(crate) path: String,
    /// What clients use as base URL.
    pub(crate) base_url: String,
    /// What was just done.
    pub(crate) done: Option<&'static str>,
    /// The files.
    pub(crate) assets: &'static Assets,
}

impl Frame {
    /// The frame of a request's page.
    pub(crate) fn new(state: &AppState, headers: &HeaderMap, uri: &Uri, caller: Option<&Caller>) -> Self {
        let secure = state.is_secure();
        let language = Language::of(headers, secure);
        let t = language.messages();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let query = uri.query().unwrap_or_default().as_bytes();
        let done = form_urlencoded::parse(query).find(|(name, _)| name == "done");
        Self {
            t,
            language,
            theme: theme(Cookie::Theme.read(headers, secure)),
            csrf: form::token(headers, secure).unwrap_or_default(),
            account: caller.map(|caller| caller.account.username.clone()),
            administrator: caller.is_some_and(|caller| caller.must_be(Role::Administrator).is_ok()),
            path: uri.path().to_owned(),
            base_url: state.public_url.as_deref().map_or_else(|| format!("http://{host}"), str::to_owned),
            done: done.and_then(|(_, word)| t.done(&word)),
            assets: &ASSETS,
        }
    }

    /// Whether the page is, or is below, `path`: for the navigation.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        match path {
            "/console" => self.path == path,
            _ => self.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    /// Whether the page is that of a section of the documents.
    pub(crate) fn is_section(&self, tag: &str) -> bool {
        let encoded = self.path.strip_prefix("/docs/api/").unwrap_or_default();
        form_urlencoded::parse(encoded.as_bytes()).next().is_some_and(|(name, _)| name == tag)
    }

    /// The theme's name when it is chosen.
    pub(crate) fn is_theme(&self, theme: &str) -> bool {
        self.theme == theme
    }
}

/// One of the themes that there are.
pub(crate) fn theme(name: Option<&str>) -> &'static str {
    match name {
        Some("light") => "light",
        Some("dark") => "dark",
        _ => "auto",
    }
}

/// A page.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page without a fault.
pub(crate) fn ok(template: &impl Template) -> Response {
    page(StatusCode::OK, template)
}

/// Elsewhere, by GET.
pub(crate) fn go(path: &str) -> Response {
    axum::response::Redirect::to(path).into_response()
}
