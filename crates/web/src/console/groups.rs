//! Groups and their ratios, for administrators.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{Failure, Group, groups};
use http::{StatusCode, Uri};
use model::price::Ratio;

use super::{
    form::Form,
    frame::{self, Frame, go},
    oops::Oops,
    page::Query,
    usage::ratio,
    visitor::SignedIn,
};
use crate::routes::AppState;

#[derive(Clone)]
struct Line {
    name: String,
    description: String,
    ratio: String,
}

#[derive(Template)]
#[template(path = "groups.html")]
struct ListPage {
    f: Frame,
    lines: Vec<Line>,
    fields: Line,
    error: Option<String>,
}

async fn page(
    state: &AppState,
    signed: SignedIn,
    fields: impl FnOnce(&[Line]) -> Line,
    error: Option<String>,
) -> Result<Response, Oops> {
    let found = groups::list(&state.gateway, &signed.caller).await?;
    let line =
        |group: Group| Line { name: group.name, description: group.description, ratio: ratio(group.ratio) };
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let lines: Vec<Line> = found.into_iter().map(line).collect();
    let fields = fields(&lines);
    Ok(frame::page(status, &ListPage { f: signed.frame, lines, fields, error }))
}

/// All groups, and one of them to be changed.
pub(crate) async fn list(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let query = Query::of(&uri);
    let chosen = |lines: &[Line]| {
        let empty = || Line { name: String::new(), description: String::new(), ratio: "1".to_owned() };
        lines.iter().find(|line| line.name == query.text("name")).cloned().unwrap_or_else(empty)
    };
    page(&state, signed, chosen, None).await
}

/// A ratio as it is typed: at most six decimals.
pub(super) fn read(text: &str) -> Result<Ratio, Failure> {
    let invalid =
        || Failure::Invalid("ratio must be a number such as 1.5, with at most six decimals".to_owned());
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(rest) || rest.len() > 6 {
        return Err(invalid());
    }
    let whole: i64 = whole.parse().map_err(|_| invalid())?;
    let rest: i64 = format!("{rest:0<6}").parse().map_err(|_| invalid())?;
    whole.checked_mul(1_000_000).and_then(|whole| whole.checked_add(rest)).map(Ratio).ok_or_else(invalid)
}

/// Makes a group, or changes the one of this name.
pub(crate) async fn put(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    let text = |name: &str| form.text(name).to_owned();
    let put = match read(form.text("ratio")) {
        Ok(ratio) => {
            let group = Group { name: text("name"), description: text("description"), ratio };
            groups::put(&state.gateway, &signed.caller, &group).await
        }
        Err(failure) => Err(failure),
    };
    match put {
        Ok(()) => Ok(go("/console/groups?done=saved")),
        Err(failure @ (Failure::Unavailable | Failure::Forbidden)) => Err(failure.into()),
        Err(failure) => {
            let fields = Line { name: text("name"), description: text("description"), ratio: text("ratio") };
            page(&state, signed, |_| fields, Some(failure.to_string())).await
        }
    }
}

/// Removes a group that nothing names.
pub(crate) async fn delete(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    groups::delete(&state.gateway, &signed.caller, form.text("name")).await?;
    Ok(go("/console/groups?done=deleted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_exact() {
        assert_eq!(read("1.5"), Ok(Ratio(1_500_000)));
        assert_eq!(read("0.000001"), Ok(Ratio(1)));
        for text in ["", ".5", "1.0000001", "-1", "1e3", "99999999999999999999"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
