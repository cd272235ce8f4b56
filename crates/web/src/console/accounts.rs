//! Accounts, for administrators.

use askama::Template;
use axum::{extract::State, response::Response};
use gateway::{
    Account, Failure,
    accounts::{self, AccountInput},
    groups, passkeys, passwords, second_factor,
};
use http::{StatusCode, Uri};
use model::id::AccountId;

use super::{
    form::Form,
    frame::{self, Frame, go},
    key_page::number,
    keys::Badge,
    messages::Messages,
    oops::Oops,
    page::{Pager, Query},
    show,
    visitor::SignedIn,
};
use crate::{management::Segment, routes::AppState};

struct Line {
    id: i64,
    username: String,
    display_name: String,
    email: String,
    role: &'static str,
    status: Badge,
    group: String,
    balance: Option<String>,
    used: String,
}

const fn role(t: &Messages, number: i64) -> &'static str {
    match number {
        100 => t.role_root,
        10 => t.role_administrator,
        _ => t.role_member,
    }
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct ListPage {
    f: Frame,
    search: String,
    lines: Vec<Line>,
    pager: Pager,
}

/// All accounts, or those with a text in one of their names.
pub(crate) async fn list(
    State(state): State<AppState>,
    signed: SignedIn,
    uri: Uri,
) -> Result<Response, Oops> {
    let query = Query::of(&uri);
    let search: String = query.text("search").chars().take(100).collect();
    let found = accounts::search(&state.gateway, &signed.caller, &search, query.page()).await?;
    let t = signed.frame.t;
    let line = |account: Account| Line {
        id: account.id.0,
        role: role(t, account.role.number()),
        status: Badge::of_switch(t, !account.disabled),
        balance: (!account.unlimited).then(|| show::dollars(account.remaining.get())),
        used: show::dollars(account.used.get()),
        username: account.username,
        display_name: account.display_name,
        email: account.email,
        group: account.group,
    };
    let kept = [("search", search.as_str())];
    let pager = Pager::new("/console/accounts", &kept, query.page(), found.total).beyond(found.more);
    let lines = found.accounts.into_iter().map(line).collect();
    Ok(frame::ok(&ListPage { f: signed.frame, search, lines, pager }))
}

/// The fields as they are typed.
struct Fields {
    username: String,
    display_name: String,
    email: String,
    role: i64,
    enabled: bool,
    group: String,
    groups: String,
    auto_groups: String,
    quota: String,
    unlimited: bool,
    /// Why the balance changes.
    reason: String,
}

impl Fields {
    fn of_form(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            username: text("username"),
            display_name: text("display_name"),
            email: text("email"),
            role: form.text("role").parse().unwrap_or(1),
            enabled: form.is_checked("enabled"),
            group: text("group"),
            groups: text("groups"),
            auto_groups: text("auto_groups"),
            quota: text("quota"),
            unlimited: form.is_checked("unlimited"),
            reason: text("reason"),
        }
    }

    fn of_account(account: &Account) -> Self {
        Self {
            username: account.username.clone(),
            display_name: account.display_name.clone(),
            email: account.email.clone(),
            role: account.role.number(),
            enabled: !account.disabled,
            group: account.group.clone(),
            groups: account.groups.join(", "),
            auto_groups: account.auto_groups.join(", "),
            quota: show::plain_dollars(account.remaining.get().max(0)),
            unlimited: account.unlimited,
            reason: String::new(),
        }
    }
}

#[derive(Template)]
#[template(path = "account_form.html")]
struct FormPage {
    f: Frame,
    id: Option<i64>,
    quota_before: String,
    fields: Fields,
    known_groups: Vec<String>,
    has_second_factor: bool,
    passkeys: usize,
    error: Option<String>,
}

async fn form_page(
    state: &AppState,
    signed: SignedIn,
    id: Option<i64>,
    (fields, quota_before): (Fields, String),
    error: Option<String>,
) -> Result<Response, Oops> {
    let known = groups::list(&state.gateway, &signed.caller).await?;
    let known_groups = known.into_iter().map(|group| group.name).collect();
    let (gateway, caller) = (&state.gateway, &signed.caller);
    let (has_second_factor, passkeys) = match id.map(AccountId) {
        Some(id) => (
            second_factor::is_on_of(gateway, caller, id).await?,
            passkeys::count_of(gateway, caller, id).await?,
        ),
        None => (false, 0),
    };
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let f = signed.frame;
    let page = FormPage { f, id, quota_before, fields, known_groups, has_second_factor, passkeys, error };
    Ok(frame::page(status, &page))
}

/// Where an account is described.
pub(crate) async fn new(State(state): State<AppState>, signed: SignedIn) -> Result<Response, Oops> {
    let fields = Fields {
        username: String::new(),
        display_name: String::new(),
        email: String::new(),
        role: 1,
        enabled: true,
        group: "default".to_owned(),
        groups: String::new(),
        auto_groups: String::new(),
        quota: "0.00".to_owned(),
        unlimited: false,
        reason: String::new(),
    };
    form_page(&state, signed, None, (fields, String::new()), None).await
}

fn input(form: &Form) -> Result<AccountInput, Failure> {
    let quota = form.text("quota");
    let touched = quota != form.text("quota_before");
    let text = |name: &str| Some(form.text(name).to_owned());
    Ok(AccountInput {
        username: text("username"),
        display_name: text("display_name"),
        email: text("email"),
        role: form.number("role")?,
        status: Some(if form.is_checked("enabled") { 1 } else { 2 }),
        group: text("group"),
        groups: Some(form.list("groups")),
        auto_groups: Some(form.list("auto_groups")),
        quota: if touched && !quota.is_empty() { Some(show::units("quota", quota)?) } else { None },
        unlimited_quota: Some(form.is_checked("unlimited")),
        reason: text("reason"),
    })
}

/// What goes on a page of its own.
const fn stops(failure: &Failure) -> bool {
    matches!(failure, Failure::Unavailable | Failure::NotFound(_) | Failure::Forbidden)
}

/// Makes an account, with a password when one is given.
pub(crate) async fn create(
    State(state): State<AppState>,
    signed: SignedIn,
    form: Form,
) -> Result<Response, Oops> {
    let password = form.secret("password");
    let made = async {
        if !password.is_empty() {
            passwords::check(&password)?;
        }
        let made = accounts::create(&state.gateway, &signed.caller, input(&form)?).await?;
        if !password.is_empty() {
            passwords::set(&state.gateway, &signed.caller, made.id, password).await?;
        }
        Ok::<_, Failure>(made)
    };
    match made.await {
        Ok(_) => Ok(go("/console/accounts?done=created")),
        Err(failure) if stops(&failure) => Err(failure.into()),
        Err(failure) => {
            let fields = (Fields::of_form(&form), String::new());
            form_page(&state, signed, None, fields, Some(failure.to_string())).await
        }
    }
}

/// Where an account is changed.
pub(crate) async fn edit(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(id): Segment,
) -> Result<Response, Oops> {
    let id = number(&id)?;
    let account = accounts::get(&state.gateway, &signed.caller, AccountId(id)).await?;
    let fields = Fields::of_account(&account);
    let before = fields.quota.clone();
    form_page(&state, signed, Some(id), (fields, before), None).await
}

/// Changes an account.
pub(crate) async fn update(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(id): Segment,
    form: Form,
) -> Result<Response, Oops> {
    let id = number(&id)?;
    let updated = match input(&form) {
        Ok(input) if input.quota.is_some() && form.text("reason").is_empty() => {
            Err(Failure::Invalid(signed.frame.t.reason_missing.to_owned()))
        }
        Ok(input) => accounts::update(&state.gateway, &signed.caller, AccountId(id), input).await,
        Err(failure) => Err(failure),
    };
    match updated {
        Ok(_) => Ok(go("/console/accounts?done=saved")),
        Err(failure) if stops(&failure) => Err(failure.into()),
        Err(failure) => {
            let fields = (Fields::of_form(&form), form.text("quota_before").to_owned());
            form_page(&state, signed, Some(id), fields, Some(failure.to_string())).await
        }
    }
}

/// Sets the password of somebody else; their sessions end.
pub(crate) async fn set_password(
    State(state): State<AppState>,
    signed: SignedIn,
    Segment(id): Segment,
    form: Form,
) -> Result<Response, Oops> {
    let account = AccountId(number(&id)?);
    passwords::set(&state.gateway, &signed.caller, account, form.secret("password")).await?;
    Ok(go("/console/accounts?done=password_changed"))
}
