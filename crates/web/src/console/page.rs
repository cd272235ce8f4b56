//! Parts of lists, and the page that says what went wrong.

use askama::Template;
use axum::response::Response;
use gateway::Page;

use super::{
    frame::{self, Frame},
    oops::Oops,
    show,
};
use gateway::Failure;

/// Rows of a list.
pub(crate) const SIZE: i64 = 25;

/// The fields of a query, read leniently.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Those of a path.
    pub(crate) fn of(uri: &http::Uri) -> Self {
        let fields = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self(fields.map(|(name, value)| (name.into_owned(), value.trim().to_owned())).collect())
    }

    /// A field; empty when it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// A field that says something.
    pub(crate) fn given(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name).parse().ok()
    }

    /// Which part of a list.
    pub(crate) fn page(&self) -> Page {
        Page {
            number: self.number("page").filter(|number| (1..=1_000_000).contains(number)).unwrap_or(1),
            size: SIZE,
        }
    }
}

/// Which part of a list one sees.
pub(crate) struct Pager {
    /// The number of the first row, from 1; 0 when there is none.
    pub(crate) first: i64,
    /// The number of the last row.
    pub(crate) last: i64,
    /// Rows in all, as far as they were counted.
    pub(crate) total: i64,
    /// Whether there are more than were counted.
    pub(crate) more: bool,
    /// What is before.
    pub(crate) previous: Option<String>,
    /// What follows.
    pub(crate) next: Option<String>,
}

/// A path with those fields that say something.
pub(crate) fn link(path: &str, fields: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields.iter().filter(|(_, value)| !value.is_empty()));
    format!("{path}?{}", query.finish())
}

impl Pager {
    /// The part `page` of `total` rows of the list at `path`, where `kept` fields of the query stay.
    pub(crate) fn new(path: &str, kept: &[(&str, &str)], page: Page, total: i64) -> Self {
        let link = |number: i64| link(path, &[kept, &[("page", &number.to_string())]].concat());
        let before = (page.number - 1).saturating_mul(page.size);
        let last = before.saturating_add(page.size).min(total);
        Self {
            first: if last > before { before + 1 } else { 0 },
            last: last.max(0),
            total,
            more: false,
            previous: (page.number > 1).then(|| link(page.number - 1)),
            next: (last < total).then(|| link(page.number + 1)),
        }
    }
}

impl Pager {
    /// Which rows these are, and of how many: `1–25 / 1,000+`.
    pub(crate) fn place(&self) -> String {
        let [first, last, total] = [self.first, self.last, self.total].map(|rows| show::grouped(rows.into()));
        format!("{first}–{last} / {total}{}", if self.more { "+" } else { "" })
    }

    /// Says that there are more rows than were counted.
    pub(crate) fn beyond(mut self, more: bool) -> Self {
        self.more = more;
        self
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    f: Frame,
    status: u16,
    title: &'static str,
    what: String,
}

/// A page that says what went wrong.
pub(crate) fn problem(f: Frame, oops: &Oops) -> Response {
    let t = f.t;
    let (title, what) = match oops {
        Oops::Failure(Failure::Forbidden) => (t.problem_forbidden, t.problem_forbidden_cure.to_owned()),
        Oops::Failure(Failure::NotFound(_)) | Oops::Nowhere => {
            (t.problem_nowhere, t.problem_nowhere_cure.to_owned())
        }
        Oops::Forged | Oops::Broken => (t.problem_forged, t.problem_forged_cure.to_owned()),
        Oops::Failure(failure) => (t.problem_refused, failure.to_string()),
    };
    let status = oops.status();
    frame::page(status, &ProblemPage { f, status: status.as_u16(), title, what })
}
