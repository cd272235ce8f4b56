//! API keys: the list, and what is done to several at once.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{
    Failure, Gateway, KeyFilter, KeyOrder, KeyView,
    keys::{self, KeyInput},
};
use http::Uri;
use model::{id::KeyId, key::Status};

use super::{
    form::Form,
    frame::{self, Frame, go},
    messages::Messages,
    oops::Oops,
    page::{self, Pager, Query},
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
    /// Whether its text cannot be shown any more.
    pub(crate) damaged: bool,
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
        damaged: view.is_damaged(),
        used: show::dollars(view.used.get()),
        remaining: (!settings.unlimited_quota).then(|| show::dollars(view.remaining.get())),
        group: settings.group.clone(),
        expires: settings.expires.map(show::moment),
        accessed: (view.key.accessed > view.key.created).then(|| show::moment(view.key.accessed)),
    }
}

/// The orders that the list can have, by their words in the query.
const ORDERS: [(KeyOrder, &str); 5] = [
    (KeyOrder::Name, "name"),
    (KeyOrder::Used, "used"),
    (KeyOrder::Remaining, "remaining"),
    (KeyOrder::Expires, "expires"),
    (KeyOrder::Accessed, "accessed"),
];

/// The statuses, by their words in the query.
const STATUSES: [(&str, Status); 4] = [
    ("enabled", Status::Enabled),
    ("disabled", Status::Disabled),
    ("expired", Status::Expired),
    ("exhausted", Status::Exhausted),
];

/// The head of a column.
struct Column {
    label: &'static str,
    /// Where the list is in its order, or that turned round; `None` when it is in none.
    href: Option<String>,
    /// `ascending` or `descending`.
    sorted: Option<&'static str>,
    is_number: bool,
}

/// What is looked for, as it stands in the query.
struct Filters {
    search: String,
    status: String,
    sort: String,
}

impl Filters {
    fn of(query: &Query) -> Self {
        let text = |name: &str| query.text(name).chars().take(100).collect::<String>();
        Self { search: text("search"), status: text("status"), sort: text("sort") }
    }

    fn is_plain(&self) -> bool {
        self.search.is_empty() && self.status.is_empty() && self.sort.is_empty()
    }

    fn filter(&self) -> KeyFilter {
        let (descending, word) =
            self.sort.strip_prefix('-').map_or((false, &*self.sort), |word| (true, word));
        let order = ORDERS.iter().find(|(_, name)| *name == word).map(|(order, _)| *order);
        KeyFilter {
            keyword: self.search.clone(),
            status: STATUSES.iter().find(|(name, _)| *name == self.status).map(|(_, status)| *status),
            order: order.unwrap_or_default(),
            descending: descending || order.is_none(),
        }
    }

    fn kept(&self) -> [(&'static str, &str); 3] {
        [("search", &self.search), ("status", &self.status), ("sort", &self.sort)]
    }

    fn columns(&self, t: &Messages, very_many: bool) -> Vec<Column> {
        let plain = |label| Column { label, href: None, sorted: None, is_number: false };
        let sorted = |label, wanted: KeyOrder| {
            let found = ORDERS.iter().find(|(order, _)| *order == wanted && (order.is_kept() || !very_many));
            let word = found.map_or("", |(_, word)| word);
            let turned = format!("-{word}");
            let is_number = matches!(wanted, KeyOrder::Used | KeyOrder::Remaining);
            let (sorted, sort) = match self.sort.as_str() {
                sort if sort == word => (Some("ascending"), turned.as_str()),
                sort if sort == turned => (Some("descending"), word),
                // The largest amount and the latest use are what one looks for.
                _ if is_number || wanted == KeyOrder::Accessed => (None, turned.as_str()),
                _ => (None, word),
            };
            let fields = [("search", &*self.search), ("status", &self.status), ("sort", sort)];
            let href = found.map(|_| page::link("/console/keys", &fields));
            Column { label, href, sorted: sorted.filter(|_| found.is_some()), is_number }
        };
        vec![
            sorted(t.name, KeyOrder::Name),
            plain(t.status),
            sorted(t.used, KeyOrder::Used),
            sorted(t.remaining, KeyOrder::Remaining),
            plain(t.group),
            sorted(t.expires, KeyOrder::Expires),
            sorted(t.last_used, KeyOrder::Accessed),
        ]
    }
}

#[derive(Template)]
#[template(path = "keys.html")]
struct ListPage {
    f: Frame,
    filters: Filters,
    statuses: [(&'static str, &'static str); 4],
    columns: Vec<Column>,
    very_many: bool,
    rows: Vec<Row>,
    pager: Pager,
}

/// Own keys.
pub(crate) async fn list(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let (gateway, caller, t) = (&state.gateway, &signed.caller, signed.frame.t);
    let query = Query::of(&uri);
    let filters = Filters::of(&query);
    let found = keys::find(gateway, caller, &filters.filter(), query.page()).await?;
    let very_many = keys::are_very_many(gateway, caller).await?;
    let page = ListPage {
        statuses: STATUSES.map(|(word, status)| (word, Badge::of_key(t, status).text)),
        columns: filters.columns(t, very_many),
        very_many,
        rows: found.keys.iter().map(|view| row(gateway, t, view)).collect(),
        pager: Pager::new("/console/keys", &filters.kept(), query.page(), found.total).beyond(found.more),
        filters,
        f: signed.frame,
    };
    Ok(frame::ok(&page))
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
