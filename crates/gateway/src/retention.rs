//! Old usage records go in the background, a block of them at a time, and so do old counts of failed sign-ins. One node at a
//! time does it.

use std::{sync::Weak, time::Duration};

use crate::{Gateway, sign_in_limit};

/// How often it is looked whether something is too old or too much.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Pause between two blocks, in which what waits for the database's one writer goes first.
const BETWEEN: Duration = Duration::from_millis(250);

/// For how long the others leave it to the node that does it.
const CLAIM: Duration = Duration::from_secs(150);

/// Runs as long as the gateway is there.
pub(crate) async fn run(gateway: Weak<Gateway>) {
    let mut pause = LOOK_EVERY;
    loop {
        tokio::time::sleep(pause).await;
        let Some(gateway) = gateway.upgrade() else { return };
        if !gateway.claims("retention", CLAIM).await {
            pause = LOOK_EVERY;
            continue;
        }
        if let Err(error) = sign_in_limit::forget(&gateway).await {
            tracing::warn!(%error, "old counts of failed sign-ins cannot be forgotten");
        }
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
