//! Jobs: videos, which an upstream makes while nobody waits.
//!
//! [`submit`] begins one: the request is held like every other, and once the upstream has taken it, the book takes over
//! what is held. [`ask`] asks its upstream how far it is and settles it when it has ended, whether a caller wants to know
//! or [`watch`] does because nobody else did. A job belongs to its account, whichever key began it.

mod ask;
mod content;
mod form;
mod list;
mod place;
mod said;
mod size;
mod submit;
pub(crate) mod watch;

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::body::Body;
use model::{
    clock::Timestamp,
    price::Size,
    refusal::Refusal,
    usage::{Parts, Tokens},
};
use store::Job;

pub use self::{
    content::JobBody,
    list::{JobQuery, own},
    place::{Place, WrongMethod},
};
use crate::{
    admission::{self, Credentials},
    door::Door,
    entry::Entry,
    gateway::Gateway,
    key_cache::Known,
};

/// A request about jobs.
pub struct Question<B> {
    /// What is asked.
    pub place: Place,
    /// The query of its address.
    pub query: Option<String>,
    /// The API keys that it carries.
    pub credentials: Credentials,
    /// The caller's address.
    pub client: IpAddr,
    /// The caller's headers.
    pub headers: HeaderMap,
    /// The body, not read yet.
    pub body: B,
    /// The request id that the caller sees.
    pub request_id: String,
    /// What the log line will say.
    pub entry: Entry,
    /// When it arrived.
    pub started: Timestamp,
}

/// What goes back.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: JobBody,
}

/// A caller who may ask, and what is known of the request.
struct Call {
    known: Arc<Known>,
    client: IpAddr,
    headers: HeaderMap,
    request_id: String,
    entry: Entry,
    started: Timestamp,
}

/// Answers a request about jobs.
///
/// # Errors
/// The refusal that the caller gets.
pub async fn answer<B>(gateway: &Arc<Gateway>, question: Question<B>) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let result = tell(gateway, question).await;
    let status = result.as_ref().map_or_else(Refusal::status, |answer| answer.status.as_u16());
    gateway.metrics.request(Door::Videos.path(), status);
    result
}

async fn tell<B>(gateway: &Arc<Gateway>, question: Question<B>) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let Question { place, query, credentials, client, headers, body, request_id, entry, started } = question;
    let known = admission::admit(gateway, &credentials, client, started).await?;
    entry.note(|facts| (facts.account, facts.key) = (Some(known.account.id), Some(known.key.id)));
    let call = Call { known, client, headers, request_id, entry, started };
    let query = query.unwrap_or_default();
    match place {
        Place::Create => submit::create(gateway, &call, body).await,
        Place::Remix(name) => submit::remix(gateway, &call, &name, body).await,
        Place::List => list::shown(gateway, &call, &query).await,
        Place::Retrieve(name) => {
            let job = call.job(gateway, &name).await?;
            let job = ask::refresh(gateway, job).await?;
            Ok(json(job.told.answer))
        }
        Place::Content(name) => {
            let job = call.job(gateway, &name).await?;
            content::of(gateway, ask::refresh(gateway, job).await?, &query).await
        }
        Place::Delete(name) => {
            let job = call.job(gateway, &name).await?;
            ask::delete(gateway, ask::refresh(gateway, job).await?).await
        }
    }
}

impl Call {
    /// A job of the caller's account. Somebody else's is as one that never was.
    async fn job(&self, gateway: &Gateway, name: &str) -> Result<Job, Refusal> {
        let job =
            gateway.store.job(self.known.account.id, name).await.map_err(|error| unavailable(&error))?;
        job.ok_or_else(missing)
    }
}

fn missing() -> Refusal {
    refusal(404, "job_not_found", "there is no such video".to_owned())
}

fn unavailable(error: &store::StoreError) -> Refusal {
    tracing::error!(%error, "a job cannot be looked up");
    Refusal::Unavailable
}

/// What is used for a video of so many seconds, of this size where that is known.
fn used(seconds: u64, size: Option<Size>) -> Tokens {
    Tokens { parts: Parts { seconds, size, ..Parts::default() }, ..Tokens::default() }
}

/// So many milliseconds from now.
fn later(gateway: &Gateway, millis: i64) -> Timestamp {
    Timestamp::from_millis(gateway.now().millis().saturating_add(millis))
}

/// A refusal in the gateway's own words.
fn refusal(status: u16, code: &str, message: String) -> Refusal {
    Refusal::Upstream { status, code: Some(code.to_owned()), message, retry_after: None }
}

/// The refusal of what asks for a completed job.
fn not_completed(job: &Job) -> Refusal {
    let state = job.told.state.word();
    // Not 409: vendors' clients ask again by themselves after that.
    refusal(400, "job_not_completed", format!("the video is not completed, its status is {state}"))
}

fn json(body: String) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Answer { status: StatusCode::OK, headers, body: JobBody::whole(Bytes::from(body)) }
}
