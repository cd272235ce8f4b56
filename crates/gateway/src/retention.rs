//! Old usage records go in the background, a block of them at a time.

use std::{sync::Weak, time::Duration};

use crate::Gateway;

/// How often it is looked whether something is too old or too much.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Pause between two blocks, in which what waits for the database's one writer goes first.
const BETWEEN: Duration = Duration::from_millis(250);

/// Runs as long as the gateway is there.
pub(crate) async fn run(gateway: Weak<Gateway>) {
    let mut pause = LOOK_EVERY;
    loop {
        tokio::time::sleep(pause).await;
        let Some(gateway) = gateway.upgrade() else { return };
        let retired = gateway.store.retire_usage(gateway.settings.usage, gateway.now()).await;
        pause = match retired {
            Ok(true) => BETWEEN,
            Ok(false) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(%error, "old usage records cannot be forgotten; the next try is in a minute");
                LOOK_EVERY
            }
        };
    }
}
