//! The documents inside: every call of the API, and every error with its cause and its cure. Anybody may read them.

use askama::Template;
use axum::response::Response;

use super::{
    errors::{self, Explained, FAILURES, REFUSALS},
    frame::{self, Frame},
    oops::Oops,
    reference::{SECTIONS, Section},
    visitor::Reader,
};
use crate::management::Segment;

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage {
    f: Frame,
    sections: &'static [Section],
}

#[derive(Template)]
#[template(path = "docs_section.html")]
struct SectionPage {
    f: Frame,
    sections: &'static [Section],
    section: &'static Section,
}

#[derive(Template)]
#[template(path = "docs_errors.html")]
struct ErrorsPage {
    f: Frame,
    sections: &'static [Section],
    refusals: &'static [Explained],
    failures: &'static [Explained],
}

#[derive(Template)]
#[template(path = "docs_error.html")]
struct ErrorPage {
    f: Frame,
    sections: &'static [Section],
    code: String,
    found: Vec<&'static Explained>,
}

/// Where to begin, and what there is.
pub(crate) async fn show(reader: Reader) -> Response {
    frame::ok(&DocsPage { f: reader.frame, sections: &SECTIONS })
}

/// The calls of one kind.
pub(crate) async fn section(reader: Reader, Segment(tag): Segment) -> Result<Response, Oops> {
    let section = SECTIONS.iter().find(|section| section.tag == tag).ok_or(Oops::Nowhere)?;
    Ok(frame::ok(&SectionPage { f: reader.frame, sections: &SECTIONS, section }))
}

/// All errors.
pub(crate) async fn errors(reader: Reader) -> Response {
    let (refusals, failures) = (&**REFUSALS, &**FAILURES);
    frame::ok(&ErrorsPage { f: reader.frame, sections: &SECTIONS, refusals, failures })
}

/// One error.
pub(crate) async fn error(reader: Reader, Segment(code): Segment) -> Result<Response, Oops> {
    let found: Vec<_> = errors::find(&code).collect();
    if found.is_empty() {
        return Err(Oops::Nowhere);
    }
    Ok(frame::ok(&ErrorPage { f: reader.frame, sections: &SECTIONS, code, found }))
}
