//! Access tokens that were made from credentials: kept until shortly before their end, and made by one request at a time.
//!
//! A token that is due to be renewed but still good serves on while one request renews it, also when that fails.

use std::{collections::HashMap, future::Future, sync::Arc};

use http::HeaderValue;
use model::{clock::Timestamp, id::CredentialId};
use parking_lot::Mutex;

use super::NoAnswer;

/// How long before its end a token is renewed, in milliseconds, or a quarter of its life if that is less.
const RENEW: i64 = 300_000;
/// How long before its end a token is used no more, or a tenth of its life.
const STOP: i64 = 30_000;
/// How long after a renewal that failed the next is tried.
const AGAIN: i64 = 30_000;

/// An access token.
#[derive(Clone)]
pub(super) struct Token {
    header: HeaderValue,
    renew: Timestamp,
    stop: Timestamp,
}

impl Token {
    /// A token that lives for `seconds` from now on.
    pub(super) fn new(header: HeaderValue, now: Timestamp, seconds: u32) -> Self {
        let life = i64::from(seconds) * 1_000;
        let before = |most: i64, part: i64| {
            Timestamp::from_millis(now.millis().saturating_add(life - most.min(life / part)))
        };
        Self { header, renew: before(RENEW, 4), stop: before(STOP, 10) }
    }
}

/// All tokens, by the credential that they were made from.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<CredentialId, Arc<Slot>>>);

/// The token of one credential.
#[derive(Default)]
struct Slot {
    kept: Mutex<Kept>,
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    token: Option<Token>,
    /// How often none could be made, and why not the last time.
    failures: u64,
    failure: Option<NoAnswer>,
    /// No renewal before this.
    again: Option<Timestamp>,
}

/// A token as a request gets it.
pub(super) struct Given {
    pub(super) header: HeaderValue,
    /// Whether it was made for this request.
    pub(super) fresh: bool,
}

impl Given {
    fn kept(token: &Token) -> Self {
        Self { header: token.header.clone(), fresh: false }
    }
}

impl Tokens {
    /// The token of a credential; `make` makes one where there is none.
    ///
    /// # Errors
    /// What `make` says, which those hear too that waited for it.
    pub(super) async fn get(
        &self,
        credential: CredentialId,
        now: Timestamp,
        make: impl Future<Output = Result<Token, NoAnswer>>,
    ) -> Result<Given, NoAnswer> {
        let slot = Arc::clone(self.0.lock().entry(credential).or_default());
        let before = {
            let kept = slot.kept.lock();
            match &kept.token {
                Some(token)
                    if now < token.renew
                        || kept.again.is_some_and(|again| now < again) && now < token.stop =>
                {
                    return Ok(Given::kept(token));
                }
                _ => kept.failures,
            }
        };
        let turn = match slot.good(now) {
            Some(good) => match slot.renewing.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(good),
            },
            None => slot.renewing.lock().await,
        };
        // Somebody else may have been here meanwhile.
        {
            let kept = slot.kept.lock();
            match (&kept.token, &kept.failure) {
                (Some(token), _) if now < token.renew => return Ok(Given::kept(token)),
                (None, Some(failure)) if kept.failures != before => return Err(failure.clone()),
                _ => {}
            }
        }
        let given = slot.take_in(credential, now, make.await);
        drop(turn);
        given
    }

    /// Forgets a token that its provider does not take, unless there is another by now.
    pub(super) fn forget(&self, credential: CredentialId, header: &HeaderValue) {
        let Some(slot) = self.0.lock().get(&credential).map(Arc::clone) else { return };
        let mut kept = slot.kept.lock();
        if kept.token.as_ref().is_some_and(|token| token.header == header) {
            kept.token = None;
        }
    }

    /// Forgets what is good no more and nobody waits for.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.0.lock().retain(|_, slot| Arc::strong_count(slot) > 1 || slot.good(now).is_some());
    }
}

impl Slot {
    fn good(&self, now: Timestamp) -> Option<Given> {
        let kept = self.kept.lock();
        kept.token.as_ref().filter(|token| now < token.stop).map(Given::kept)
    }

    /// Keeps what came of making a token, and gives what serves now.
    fn take_in(
        &self,
        credential: CredentialId,
        now: Timestamp,
        made: Result<Token, NoAnswer>,
    ) -> Result<Given, NoAnswer> {
        let mut kept = self.kept.lock();
        let failure = match made {
            Ok(token) => {
                let header = token.header.clone();
                *kept = Kept { token: Some(token), failures: kept.failures, ..Kept::default() };
                return Ok(Given { header, fresh: true });
            }
            Err(failure) => failure,
        };
        kept.failures += 1;
        kept.again = Some(Timestamp::from_millis(now.millis().saturating_add(AGAIN)));
        match kept.token.as_ref().filter(|token| now < token.stop) {
            Some(token) => {
                tracing::warn!(%credential, %failure, "an access token cannot be renewed yet; it serves on");
                Ok(Given::kept(token))
            }
            None => {
                kept.token = None;
                kept.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    const ID: CredentialId = CredentialId(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn token(name: &'static str, now: i64) -> Token {
        Token::new(HeaderValue::from_static(name), at(now), 3_600)
    }

    fn refused() -> NoAnswer {
        NoAnswer::Credential("no".to_owned())
    }

    /// What a request at `now` gets, if `made` is what a new token would be.
    fn get(tokens: &Tokens, now: i64, made: Result<Token, NoAnswer>) -> Result<(String, bool), NoAnswer> {
        let mut getting = pin!(tokens.get(ID, at(now), ready(made)));
        match getting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(given) => given.map(|given| (given.header.to_str().unwrap().to_owned(), given.fresh)),
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn a_token_serves_until_shortly_before_its_end() {
        let tokens = Tokens::default();
        let given = |name: &str, fresh: bool| Ok((name.to_owned(), fresh));
        assert_eq!(get(&tokens, 0, Ok(token("a", 0))), given("a", true));
        assert_eq!(get(&tokens, 3_299, Err(refused())), given("a", false));
        assert_eq!(get(&tokens, 3_301, Err(refused())), given("a", false));
        // Not again at once after a failure.
        assert_eq!(get(&tokens, 3_302, Ok(token("b", 3_302))), given("a", false));
        assert_eq!(get(&tokens, 3_340, Ok(token("b", 3_340))), given("b", true));
        assert_eq!(get(&tokens, 7_000, Err(refused())), Err(refused()));
        assert_eq!(get(&tokens, 7_001, Ok(token("c", 7_001))), given("c", true));
        tokens.forget(ID, &HeaderValue::from_static("b"));
        assert_eq!(get(&tokens, 7_002, Ok(token("d", 7_002))), given("c", false));
        tokens.forget(ID, &HeaderValue::from_static("c"));
        assert_eq!(get(&tokens, 7_003, Ok(token("d", 7_003))), given("d", true));
        tokens.sweep(at(7_004));
        assert_eq!(tokens.0.lock().len(), 1);
        tokens.sweep(at(99_999));
        assert_eq!(tokens.0.lock().len(), 0);
    }

    #[test]
    fn one_request_makes_a_token_and_the_others_hear_what_came_of_it() {
        let tokens = Tokens::default();
        let mut context = Context::from_waker(Waker::noop());
        let (told, hears) = tokio::sync::oneshot::channel::<Result<Token, NoAnswer>>();
        let mut first = Box::pin(tokens.get(ID, at(0), async { hears.await.unwrap_or(Err(refused())) }));
        assert!(first.as_mut().poll(&mut context).is_pending());
        let mut second = Box::pin(tokens.get(ID, at(0), pending()));
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(told.send(Err(refused())).is_ok());
        assert!(matches!(first.as_mut().poll(&mut context), Poll::Ready(Err(_))));
        drop(first);
        assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Err(_))));
    }

    #[test]
    fn nobody_waits_for_a_renewal_while_the_token_is_good() {
        let tokens = Tokens::default();
        assert!(get(&tokens, 0, Ok(token("a", 0))).is_ok());
        let mut renewing = Box::pin(tokens.get(ID, at(3_400), pending()));
        assert!(renewing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(get(&tokens, 3_401, Err(refused())), Ok(("a".to_owned(), false)));
    }
}
