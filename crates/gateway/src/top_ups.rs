//! Top-ups, for administrators: what was put on accounts, and when.

use store::{Page, Role, TopUp, TopUpFilter};

use crate::{Failure, Gateway, access::Caller};

/// Top-ups, newest first, and how many match.
///
/// # Errors
/// [`Failure::Forbidden`].
pub async fn list(
    gateway: &Gateway,
    caller: &Caller,
    filter: &TopUpFilter,
    page: Page,
) -> Result<(Vec<TopUp>, i64), Failure> {
    caller.must_be(Role::Administrator)?;
    let found = gateway.store.top_ups(filter, page).await;
    found.map_err(|error| Failure::of(error, "top-up"))
}
