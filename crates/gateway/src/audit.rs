//! The audit record, for administrators: who changed what, and when.

use store::{AuditFilter, AuditRecord, Page, Role};

use crate::{Failure, Gateway, access::Caller};

/// Recorded changes, newest first, and how many match.
///
/// # Errors
/// [`Failure::Forbidden`].
pub async fn list(
    gateway: &Gateway,
    caller: &Caller,
    filter: &AuditFilter,
    page: Page,
) -> Result<(Vec<AuditRecord>, i64), Failure> {
    caller.must_be(Role::Administrator)?;
    let found = gateway.store.audit_records(filter, page).await;
    found.map_err(|error| Failure::of(error, "audit record"))
}
