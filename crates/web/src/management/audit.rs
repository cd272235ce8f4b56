//! The audit record, for administrators.

use axum::extract::State;
use gateway::{AuditFilter, AuditRecord, audit};
use model::id::AccountId;
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{Authenticated, Listed, PageQuery, Paging, id};
use crate::{
    envelope::{Envelope, Failed, Reply, ok},
    routes::AppState,
};

/// Which records are asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the shape of the query in the OpenAPI document")]
pub(crate) struct AuditQuery {
    /// The kind of thing: account, channel, credential, group, price.
    object: Option<String>,
    /// Which one: its id, or its name where that is its identity.
    object_id: Option<String>,
    /// Who.
    user_id: Option<i64>,
}

/// A recorded change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditRecord)]
pub(crate) struct Record {
    /// Its place in the order.
    id: i64,
    /// When, in Unix seconds.
    time: i64,
    /// Who; absent for the command line and for the gateway itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<i64>,
    /// Their username, or what they are.
    actor: String,
    /// What was done.
    action: String,
    /// The kind of thing.
    object: String,
    /// Which one.
    object_id: String,
    /// What it was, without secrets; absent for something new.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// What it became, without secrets; absent for something deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

impl From<AuditRecord> for Record {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id,
            time: record.at.secs(),
            user_id: record.actor.account.map(|account| account.0),
            actor: record.actor.name.to_string(),
            action: record.action,
            object: record.object,
            object_id: record.object_id,
            before: record.before,
            after: record.after,
        }
    }
}

/// Who changed what, newest first.
#[utoipa::path(get, path = "/api/audit", tag = "Operators", params(AuditQuery, PageQuery),
    responses((status = 200, body = Envelope<Listed<Record>>), (status = 401, body = Failed)), security(("personal_access_token" = [])))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    Paging { page, query }: Paging,
) -> Reply<Listed<Record>> {
    let asked = |name: &str| query.get(name).filter(|text| !text.is_empty()).cloned();
    let account = asked("user_id").map(|text| id(&text)).transpose()?.map(AccountId);
    let filter = AuditFilter { object: asked("object"), object_id: asked("object_id"), account };
    let (records, total) = audit::list(&state.gateway, &caller, &filter, page).await?;
    ok(Listed::new(page, total, records.into_iter().map(Record::from).collect()))
}
