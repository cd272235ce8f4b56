//! API keys: the list, and what is done to several at once.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{
    Failure, Gateway, KeyView,
    keys::{self, KeyInput},
};
use http::Uri;
use model::{id::KeyId, key::Status};

use super::{
    form::Form,
    frame::{self, Frame, go},
    messages::Messages,
    oops::Oops,
    page::{Pager, Query},
    show,
    visitor::SignedIn,
};
use crate::{management::id, routes::AppState};

/// The most keys that are changed at once.
const SEVERAL: usize = 100;

/// A key in a list. It has no secret.
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) status: Badge,
    pub(crate) used: String,
    pub(crate) remaining: Option<String>,
    pub(crate) group: String,
    pub(crate) expires: Option<String>,
    pub(crate) accessed: Option<String>,
}

/// A status as it is shown.
pub(crate) struct Badge {
    pub(crate) class: &'static str,
    pub(crate) text: &'static str,
}

impl Badge {
    pub(crate) const fn of_key(t: &Messages, status: Status) -> Self {
        match status {
            Status::Enabled => Self { class: "good", text: t.status_enabled },
            Status::Disabled => Self { class: "off", text: t.status_disabled },
            Status::Expired => Self { class: "bad", text: t.status_expired },
            Status::Exhausted => Self { class: "bad", text: t.status_exhausted },
        }
    }

    pub(crate) const fn of_switch(t: &Messages, enabled: bool) -> Self {
        match enabled {
            true => Self { class: "good", text: t.status_enabled },
            false => Self { class: "off", text: t.status_disabled },
        }
    }
}

pub(crate) fn row(gateway: &Gateway, t: &Messages, view: &KeyView) -> Row {
    let settings = &view.key.settings;
    Row {
        id: view.key.id.0,
        name: settings.name.clone(),
        status: Badge::of_key(t, keys::status_now(gateway, view)),
        used: show::dollars(view.used.get()),
        remaining: (!settings.unlimited_quota).then(|| show::dollars(view.remaining.get())),
        group: settings.group.clone(),
        expires: settings.expires.map(show::moment),
        accessed: (view.key.accessed > view.key.created).then(|| show::moment(view.key.accessed)),
    }
}

#[derive(Template)]
#[template(path = "keys.html")]
struct ListPage {
    f: Frame,
    search: String,
    rows: Vec<Row>,
    pager: Pager,
}

/// Own keys.
pub(crate) async fn list(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let query = Query::of(&uri);
    let search: String = query.text("search").chars().take(100).collect();
    let (found, total) = keys::list(&state.gateway, &signed.caller, &search, query.page()).await?;
    let rows = found.iter().map(|view| row(&state.gateway, signed.frame.t, view)).collect();
    let pager = Pager::new("/console/keys", &[("search", &search)], query.page(), total);
    Ok(frame::ok(&ListPage { f: signed.frame, search, rows, pager }))
}

/// Switches several own keys on or off, or deletes them.
pub(crate) async fn several(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    let ids = form.all("id").map(|text| id(text).map(KeyId)).collect::<Result<Vec<_>, _>>()?;
    if ids.len() > SEVERAL {
        return Err(Failure::Invalid(format!("at most {SEVERAL} keys at once")).into());
    }
    let (gateway, caller) = (&state.gateway, &signed.caller);
    let status = match form.text("what") {
        "delete" if form.is_checked("sure") => {
            keys::delete(gateway, caller, &ids).await?;
            return Ok(go("/console/keys?done=deleted"));
        }
        "delete" => return Ok(go("/console/keys?done=not_sure")),
        "enable" => 1,
        "disable" => 2,
        _ => return Err(Oops::Broken),
    };
    for id in ids {
        let input = KeyInput { status: Some(status), ..KeyInput::default() };
        keys::update(gateway, caller, id, input, true).await?;
    }
    Ok(go("/console/keys?done=saved"))
}
