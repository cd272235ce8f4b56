//! Every component once: what new pages are made of.

use askama::Template;
use axum::response::Response;

use super::{
    frame::{self, Frame},
    oops::Oops,
    visitor::SignedIn,
};

#[derive(Template)]
#[template(path = "styleguide.html")]
struct Styleguide {
    f: Frame,
}

/// The components.
pub(crate) async fn show(signed: SignedIn) -> Result<Response, Oops> {
    Ok(frame::ok(&Styleguide { f: signed.frame }))
}
