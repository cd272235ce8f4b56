//! Asks about jobs that nobody asks about, so that each is settled soon after its end.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{ask, later};
use crate::Gateway;

/// How often it is looked whether a job is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Jobs that are asked about at a time.
const TOGETHER: i64 = 16;
/// For how long nobody else asks about a job that was taken; a process that dies meanwhile leaves it to the others then.
const TAKEN_MILLIS: i64 = 300_000;

/// Runs as long as the gateway is there.
pub(crate) async fn run(gateway: Weak<Gateway>) {
    loop {
        let Some(every) = gateway.upgrade().map(|gateway| gateway.settings.job_poll.min(LOOK_EVERY)) else {
            return;
        };
        tokio::time::sleep(every).await;
        let Some(gateway) = gateway.upgrade() else { return };
        turn(&gateway).await;
    }
}

/// Asks about all jobs that are due, a few at a time.
async fn turn(gateway: &Arc<Gateway>) {
    loop {
        let now = gateway.now();
        let due = gateway.store.take_due_jobs(now, later(gateway, TAKEN_MILLIS), TOGETHER).await;
        let due = match due {
            Ok(due) if due.is_empty() => return,
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "cannot look for jobs that are due");
                return;
            }
        };
        let mut asking = JoinSet::new();
        for job in due {
            let gateway = Arc::clone(gateway);
            asking.spawn(async move {
                let name = job.name.clone();
                if let Err(error) = ask::look(&gateway, job).await {
                    tracing::warn!(%error, job = name, "what was learnt of a job cannot be written down");
                }
            });
        }
        while let Some(asked) = asking.join_next().await {
            if let Err(error) = asked {
                tracing::error!(%error, "asking about a job failed");
            }
        }
    }
}
