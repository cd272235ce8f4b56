//! The console: pages for people.
//!
//! A page is written by a template from what a use case returned; there is no other way in than those of the management
//! API, and the same roles. [`guard`] stands around all of them: no inline code, no other host, no copy in a cache.

mod accounts;
mod assets;
mod attention;
mod audit;
mod besides;
mod browser;
mod channels;
pub(crate) mod configuration;
mod cookies;
mod dashboard;
mod docs;
pub(crate) mod errors;
mod explained;
mod form;
mod frame;
mod groups;
mod invitations;
mod key_form;
mod key_meaning;
mod key_page;
mod keys;
mod ledger;
mod messages;
mod models;
mod oops;
mod page;
mod passkeys;
mod playground;
mod preferences;
mod price_extras;
mod prices;
mod reference;
mod second_factor;
mod set_up;
mod settings;
mod show;
mod sign_in;
mod styleguide;
mod texts;
mod usage;
mod visitor;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use http::{HeaderName, HeaderValue, Method, header};

use self::{cookies::Cookie, frame::Frame, oops::Oops};
use crate::routes::AppState;

/// Where everything is.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    let pages = Router::new()
        .route("/", get(async || frame::go("/console")))
        .route("/console", get(dashboard::show))
        // opening it
        .route("/console/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/console/sign-in/code", get(second_factor::show_code).post(second_factor::enter_code))
        .route("/console/sign-in/passkey", post(passkeys::enter))
        .route("/console/sign-in/passkey/options", post(passkeys::request_options))
        .route("/console/invite", get(invitations::show).post(invitations::accept))
        .route("/console/sign-out", post(sign_in::sign_out))
        .route("/console/set-up", get(set_up::show).post(set_up::begin))
        .route("/console/set-up/channel", get(set_up::show_channel).post(set_up::channel))
        .route("/console/set-up/key", get(set_up::show_key).post(set_up::key))
        .route("/console/preferences", post(preferences::choose))
        // API keys
        .route("/console/keys", get(keys::list).post(key_form::create))
        .route("/console/keys/new", get(key_form::new))
        .route("/console/keys/several", post(keys::several))
        .route("/console/keys/meaning", post(key_meaning::show))
        .route("/console/keys/{id}", get(key_page::show))
        .route("/console/keys/{id}/edit", get(key_form::edit).post(key_form::update))
        .route("/console/keys/{id}/reveal", post(key_page::reveal))
        .route("/console/keys/{id}/status", post(key_page::set_status))
        .route("/console/keys/{id}/delete", post(key_page::delete))
        // use
        .route("/console/usage", get(usage::list))
        .route("/console/usage/sums", get(usage::sums))
        .route("/console/usage/export", get(usage::export))
        .route("/console/usage/{id}", get(usage::show))
        .route("/console/models", get(models::list))
        .route("/console/playground", get(playground::show))
        .route("/console/playground/ask", post(playground::ask))
        .route("/console/playground/receipt", get(playground::receipt))
        .merge(personal())
        .merge(administration())
        // documents
        .route("/docs", get(docs::show))
        .route("/docs/api/{tag}", get(docs::section))
        .route("/docs/errors", get(docs::errors))
        .route("/docs/errors/{code}", get(docs::error))
        .route("/docs/{*rest}", get(async || Oops::Nowhere))
        .route("/console/{*rest}", get(async || Oops::Nowhere))
        .route_layer(middleware::from_fn_with_state(state.clone(), guard));
    pages.route("/console/assets/{name}", get(assets::get))
}

/// What a person sets for oneself.
fn personal() -> Router<AppState> {
    Router::new()
        .route("/console/settings", get(settings::show))
        .route("/console/settings/password", post(settings::change_password))
        .route("/console/settings/tokens", post(settings::create_token))
        .route("/console/settings/tokens/{id}/revoke", post(settings::revoke_token))
        .route("/console/settings/sessions/end", post(settings::end_other_sessions))
        .route("/console/settings/sessions/{id}/end", post(settings::end_session))
        .route("/console/settings/second-factor", get(second_factor::show))
        .route("/console/settings/second-factor/begin", post(second_factor::begin))
        .route("/console/settings/second-factor/confirm", post(second_factor::confirm))
        .route("/console/settings/second-factor/codes", post(second_factor::renew))
        .route("/console/settings/second-factor/end", post(second_factor::end))
        .route("/console/settings/passkeys", get(passkeys::show).post(passkeys::add))
        .route("/console/settings/passkeys/prove", post(passkeys::prove))
        .route("/console/settings/passkeys/options", post(passkeys::creation_options))
        .route("/console/settings/passkeys/{id}/remove", post(passkeys::remove))
}

/// The pages of administrators; each use case behind them asks for the role.
fn administration() -> Router<AppState> {
    Router::new()
        .route("/console/channels", get(channels::list).post(channels::create))
        .route("/console/channels/new", get(channels::new))
        .route("/console/channels/{id}/edit", get(channels::edit).post(channels::update))
        .route("/console/channels/{id}/test", post(channels::test))
        .route("/console/channels/{id}/status", post(channels::set_status))
        .route("/console/channels/{id}/delete", post(channels::delete))
        .route("/console/accounts", get(accounts::list).post(accounts::create))
        .route("/console/accounts/new", get(accounts::new))
        .route("/console/accounts/{id}", get(accounts::edit).post(accounts::update))
        .route("/console/accounts/{id}/password", post(accounts::set_password))
        .route("/console/accounts/{id}/second-factor/remove", post(second_factor::remove))
        .route("/console/accounts/{id}/passkeys/remove", post(passkeys::remove_all))
        .route("/console/accounts/{id}/invite", post(invitations::create))
        .route("/console/groups", get(groups::list).post(groups::put))
        .route("/console/groups/delete", post(groups::delete))
        .route("/console/prices", get(prices::list).post(prices::put))
        .route("/console/ledger", get(ledger::show))
        .route("/console/ledger/prove", post(ledger::prove))
        .route("/console/system", get(ledger::system))
        .route("/console/configuration", get(configuration::show))
        .route("/console/audit", get(audit::list))
        .route("/console/styleguide", get(styleguide::show))
}

/// What a browser is told about every page.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // A browser that is told `no-referrer` does not say either which origin a form is of.
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Turns what stopped a page into one, and says what the browser may do with it. Pages are not compressed: they have
/// the token of the reader's forms beside texts that others choose.
async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    if let Some(oops) = response.extensions_mut().remove::<Oops>() {
        let had_session = Cookie::Session.read(&headers, state.is_secure()).is_some();
        response = match sign_in::is_needed(&oops) {
            true => sign_in::first(&uri, reads, had_session, &state),
            false => page::problem(Frame::new(&state, &headers, &uri, None), &oops),
        };
    }
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
