//! A streamed answer on its way from the upstream to the caller: as it came, with a tap that reads it, or in another
//! dialect. One face for both.

use bytes::Bytes;
use model::{refusal::Refusal, usage::Tokens};

use crate::{
    convert::{Caller, Converter},
    dialect::Dialect,
    error::Setting,
    openai::{stream::Pass, usage::Reported},
    tap::Tap,
};

/// The way of one stream.
#[derive(Debug)]
pub enum Passage {
    /// Both sides speak the same dialect.
    Native(Box<Tap>),
    /// They do not.
    Converted(Box<Converter>),
}

impl Passage {
    /// A stream that passes as it is; see [`Tap::new`].
    #[must_use]
    pub fn native(dialect: Dialect, model: &str, include_usage: bool, sse: bool) -> Self {
        Self::Native(Box::new(Tap::new(dialect, model, include_usage, sse)))
    }

    /// A stream of an upstream that speaks `from`.
    #[must_use]
    pub fn converted(from: Dialect, caller: Caller) -> Self {
        Self::Converted(Box::new(Converter::new(from, caller)))
    }

    /// Whether the upstream's stream is of events, and not one JSON array.
    #[must_use]
    pub fn is_of_events(&self) -> bool {
        match self {
            Self::Native(tap) => tap.is_of_events(),
            Self::Converted(_) => true,
        }
    }

    /// Takes in one event of the upstream.
    pub fn event(&mut self, event: Bytes) -> Pass {
        match self {
            Self::Native(tap) => tap.event(event),
            Self::Converted(converter) => {
                let bytes = converter.event(&event);
                converted(converter, bytes)
            }
        }
    }

    /// The upstream's stream has ended. Where the answer had not, and nobody was told so, the pass is neither done nor an
    /// error.
    pub fn end(&mut self) -> Pass {
        match self {
            // Some upstreams end without the mark; an answer that says why it ended is an end too.
            Self::Native(tap) => Pass { bytes: None, done: tap.finished(), error: false },
            Self::Converted(converter) => {
                let bytes = converter.end();
                converted(converter, bytes)
            }
        }
    }

    /// Ends the answer as if its output limit had been met; `used` is what is charged for.
    pub fn stop(&mut self, used: Tokens) -> Bytes {
        match self {
            Self::Native(tap) => tap.stop(used),
            Self::Converted(converter) => converter.stop(used),
        }
    }

    /// Ends the stream with an error of the gateway's own, in the caller's dialect.
    pub fn fail(&mut self, refusal: &Refusal, setting: Setting<'_>) -> Bytes {
        match self {
            Self::Native(tap) => tap.fail(refusal, setting),
            Self::Converted(converter) => {
                let message = format!("{refusal} (request id: {})", setting.request_id);
                converter.fail(&message, refusal.code())
            }
        }
    }

    /// Whether the answer has said why it ended.
    #[must_use]
    pub fn finished(&self) -> bool {
        match self {
            Self::Native(tap) => tap.finished(),
            Self::Converted(converter) => converter.finished(),
        }
    }

    /// The upstream's counts so far.
    #[must_use]
    pub fn reported(&self) -> Reported {
        match self {
            Self::Native(tap) => tap.report().reported(),
            Self::Converted(converter) => converter.report().reported(),
        }
    }

    /// An estimate of the output tokens that passed.
    #[must_use]
    pub const fn delivered(&self) -> u64 {
        match self {
            Self::Native(tap) => tap.delivered(),
            Self::Converted(converter) => converter.delivered(),
        }
    }
}

fn converted(converter: &Converter, bytes: Bytes) -> Pass {
    let (over, error) = (converter.is_over(), converter.has_failed());
    Pass { bytes: (!bytes.is_empty()).then_some(bytes), done: over && !error, error }
}
