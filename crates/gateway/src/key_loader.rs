//! Looking keys up in the database: one question at a time, for all who ask meanwhile.
//!
//! So a thousand keys that are used for the first time after a start are a few questions, and a flood of texts that have the form of a
//! key, each a new one, is no flood of questions.

use std::{collections::HashMap, sync::Arc};

use model::{ip::IpRules, refusal::Refusal};
use parking_lot::Mutex;
use store::{Digest, Owned, Store, StoreError};
use tokio::sync::{Mutex as Turn, oneshot};

use crate::key_cache::Known;

/// Digests of one question at most.
const MOST: usize = 256;

/// What came of a look-up.
type Found = Result<Option<Arc<Known>>, Refusal>;

/// Who waits for which key.
#[derive(Debug, Default)]
pub(crate) struct KeyLoader {
    waiting: Mutex<Vec<(Digest, oneshot::Sender<Found>)>>,
    /// Whose it is asks for all who wait.
    turn: Turn<()>,
}

impl KeyLoader {
    /// The key of `digest`.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when the database does not answer, or the key cannot be read; the log says which.
    pub(crate) async fn load(&self, store: &Store, digest: Digest) -> Found {
        loop {
            let (sender, mut receiver) = oneshot::channel();
            self.waiting.lock().push((digest, sender));
            let _turn = tokio::select! {
                biased;
                found = &mut receiver => match found {
                    Ok(found) => return found,
                    // Whoever asked for it has left before there was an answer.
                    Err(_) => continue,
                },
                turn = self.turn.lock() => turn,
            };
            loop {
                match receiver.try_recv() {
                    Ok(found) => return found,
                    Err(oneshot::error::TryRecvError::Closed) => break,
                    Err(oneshot::error::TryRecvError::Empty) => self.ask(store).await,
                }
            }
        }
    }

    /// Asks for those who have waited longest. Where nothing comes of it, whoever waits behind them is not kept waiting until
    /// nothing comes of a question of their own.
    async fn ask(&self, store: &Store) {
        let mut batch: Vec<_> = {
            let mut waiting = self.waiting.lock();
            // Who has left asks for nothing, and there may be many of them.
            waiting.retain(|(_, waiter)| !waiter.is_closed());
            let many = waiting.len().min(MOST);
            waiting.drain(..many).collect()
        };
        let found = look_up(store, batch.iter().map(|(digest, _)| *digest)).await;
        if found.is_err() {
            batch.append(&mut self.waiting.lock());
        }
        for (digest, waiter) in batch {
            let answer = match &found {
                Ok(found) => found.get(&digest).cloned().unwrap_or(Ok(None)),
                Err(refusal) => Err(refusal.clone()),
            };
            if waiter.send(answer).is_err() {
                tracing::trace!("who asked for a key has left");
            }
        }
    }
}

/// All keys that there are of these.
async fn look_up(
    store: &Store,
    digests: impl Iterator<Item = Digest>,
) -> Result<HashMap<Digest, Found>, Refusal> {
    let mut digests: Vec<Digest> = digests.collect();
    digests.sort_unstable();
    digests.dedup();
    let rows = match digests.as_slice() {
        // Its statement is prepared.
        [digest] => store
            .key_by_digest(digest)
            .await
            .map(|found| found.map(|owned| (*digest, Ok(owned))).into_iter().collect()),
        _ => store.keys_by_digests(&digests).await,
    };
    let rows: Vec<(Digest, Result<Owned, StoreError>)> = rows.map_err(|error| unavailable(&error))?;
    let known = |owned: Result<Owned, StoreError>| known(owned?).map(|known| Some(Arc::new(known)));
    Ok(rows
        .into_iter()
        .map(|(digest, owned)| (digest, known(owned).map_err(|error| unavailable(&error))))
        .collect())
}

fn known((key, account): Owned) -> Result<Known, StoreError> {
    let list = key.settings.allow_ips.as_deref().unwrap_or_default();
    let rules = IpRules::parse(list).map_err(|_| StoreError::Corrupt("an address list"))?;
    Ok(Known { key, account, rules })
}

fn unavailable(error: &StoreError) -> Refusal {
    tracing::error!(%error, "cannot look up an API key");
    Refusal::Unavailable
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use store::MasterKey;
    use tokio::task::unconstrained;

    use super::*;

    async fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let master = MasterKey::generate().unwrap();
        let store = Store::open(&dir.path().join("apsis.db"), &master).await.unwrap();
        (dir, store)
    }

    const fn digest(number: usize) -> Digest {
        let mut digest = [0; 32];
        digest[0] = (number >> 8) as u8;
        digest[1] = number as u8;
        digest
    }

    #[tokio::test]
    async fn who_has_left_is_not_asked_for() {
        let ((_dir, store), loader) = (store().await, KeyLoader::default());
        let turn = loader.turn.lock().await;
        for number in 1..=4 * MOST {
            assert!(loader.load(&store, digest(number)).now_or_never().is_none());
        }
        let mut stays = Box::pin(loader.load(&store, digest(0)));
        assert!(stays.as_mut().now_or_never().is_none());
        loader.ask(&store).await;
        assert!(unconstrained(stays).now_or_never().unwrap().unwrap().is_none());
        drop(turn);
    }

    #[tokio::test]
    async fn nobody_waits_behind_a_question_that_fails() {
        let ((_dir, store), loader) = (store().await, KeyLoader::default());
        store.close().await;
        let turn = loader.turn.lock().await;
        let mut waiting: Vec<_> =
            (0..4 * MOST).map(|number| Box::pin(loader.load(&store, digest(number)))).collect();
        for one in &mut waiting {
            assert!(one.as_mut().now_or_never().is_none());
        }
        loader.ask(&store).await;
        for one in waiting {
            let told = unconstrained(one).now_or_never().map(|found| found.unwrap_err());
            assert_eq!(told, Some(Refusal::Unavailable));
        }
        drop(turn);
    }
}
