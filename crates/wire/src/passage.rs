//! A streamed answer on its way from the upstream to the caller: as it came, with a tap that reads it, or in another
//! dialect. One face for both.

use bytes::Bytes;
use model::{
    refusal::Refusal,
    usage::{Parts, Tokens},
};

use crate::{
    convert::{Caller, Converter},
    dialect::Dialect,
    error::Setting,
    extras::Used,
    openai::{stream::Pass, usage::Reported},
    plain::{Events, Sound},
    tap::Tap,
};

/// A comment between server-sent events, which every reader of them passes over.
pub(crate) const COMMENT: &[u8] = b": keep-alive\n\n";

/// The way of one stream.
#[derive(Debug)]
pub enum Passage {
    /// Both sides speak the same dialect.
    Native(Box<Tap>),
    /// They do not.
    Converted(Box<Converter>),
    /// Events that are no text in a dialect.
    Events(Box<Events>),
    /// Sound.
    Sound(Sound),
}

/// How an upstream writes a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Events,
    /// One JSON array.
    Array,
    /// Bytes, and nothing in them to look for.
    Bytes,
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

    /// How the upstream writes it.
    #[must_use]
    pub fn framing(&self) -> Framing {
        match self {
            Self::Native(tap) if !tap.is_of_events() => Framing::Array,
            Self::Native(_) | Self::Converted(_) | Self::Events(_) => Framing::Events,
            Self::Sound(_) => Framing::Bytes,
        }
    }

    /// Whether an error cannot be said in it.
    #[must_use]
    pub const fn is_wordless(&self) -> bool {
        matches!(self, Self::Sound(_))
    }

    /// Takes in one event of the upstream.
    pub fn event(&mut self, event: Bytes) -> Pass {
        match self {
            Self::Native(tap) => tap.event(event),
            Self::Converted(converter) => {
                let bytes = converter.event(&event);
                converted(converter, bytes)
            }
            Self::Events(events) => events.event(event),
            Self::Sound(sound) => sound.piece(event),
        }
    }

    /// What tells the caller, and everybody in between, that the answer goes on though the upstream says nothing; empty where
    /// nothing may be said. It stands between two events.
    pub fn ping(&mut self) -> Bytes {
        match self {
            Self::Native(tap) => tap.ping(),
            Self::Converted(converter) => converter.ping(),
            Self::Events(_) => Bytes::from_static(COMMENT),
            Self::Sound(_) => Bytes::new(),
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
            Self::Events(events) => Pass { bytes: None, done: events.finished(), error: false },
            Self::Sound(sound) => {
                sound.end();
                Pass { bytes: None, done: true, error: false }
            }
        }
    }

    /// Ends the answer as if its output limit had been met; `used` is what is charged for.
    pub fn stop(&mut self, used: Tokens) -> Bytes {
        match self {
            Self::Native(tap) => tap.stop(used),
            Self::Converted(converter) => converter.stop(used),
            Self::Events(_) | Self::Sound(_) => Bytes::new(),
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
            Self::Events(_) => Events::fail(refusal, setting),
            Self::Sound(_) => Bytes::new(),
        }
    }

    /// Whether the answer has said why it ended.
    #[must_use]
    pub fn finished(&self) -> bool {
        match self {
            Self::Native(tap) => tap.finished(),
            Self::Converted(converter) => converter.finished(),
            Self::Events(events) => events.finished(),
            Self::Sound(sound) => sound.finished(),
        }
    }

    /// The upstream's counts so far.
    #[must_use]
    pub fn reported(&self) -> Reported {
        match self {
            Self::Native(tap) => tap.report().reported(),
            Self::Converted(converter) => converter.report().reported(),
            Self::Events(events) => events.reported(),
            Self::Sound(_) => Reported::Absent,
        }
    }

    /// An estimate of the output tokens that passed.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        match self {
            Self::Native(tap) => tap.delivered(),
            Self::Converted(converter) => converter.delivered(),
            Self::Events(events) => events.delivered(),
            Self::Sound(sound) => sound.delivered(),
        }
    }

    /// What passed beside tokens, as the gateway counts it.
    #[must_use]
    pub fn pieces(&self) -> Parts {
        match self {
            Self::Native(_) | Self::Converted(_) => Parts::default(),
            Self::Events(events) => events.pieces(),
            Self::Sound(sound) => sound.pieces(),
        }
    }
}

impl Passage {
    /// What was used beside tokens so far, as the upstream says it.
    #[must_use]
    pub fn used(&self) -> Used {
        match self {
            Self::Native(tap) => tap.used(),
            Self::Converted(converter) => converter.used(),
            Self::Events(_) | Self::Sound(_) => Used::default(),
        }
    }

    /// Whether [`Passage::pieces`] is an estimate.
    #[must_use]
    pub fn guesses_pieces(&self) -> bool {
        match self {
            Self::Native(_) | Self::Converted(_) => false,
            Self::Events(events) => events.guesses(),
            Self::Sound(sound) => sound.guesses(),
        }
    }
}

fn converted(converter: &Converter, bytes: Bytes) -> Pass {
    let (over, error) = (converter.is_over(), converter.has_failed());
    Pass { bytes: (!bytes.is_empty()).then_some(bytes), done: over && !error, error }
}
