//! What became of the latest attempts at each channel on this node: for people to look at, and for nothing else.

use std::collections::HashMap;

use model::{clock::Timestamp, id::ChannelId};

/// How long attempts are counted together.
const SPAN: i64 = 5 * 60_000;

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    attempts: u64,
    failures: u64,
    answers: u64,
    millis: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Spans {
    began: Timestamp,
    now: Count,
    before: Count,
}

impl Spans {
    fn at(mut self, now: Timestamp) -> Self {
        let passed = now.millis_since(self.began);
        if passed >= SPAN {
            let before = if passed < 2 * SPAN { self.now } else { Count::default() };
            self = Self { began: now, now: Count::default(), before };
        }
        self
    }
}

/// The latest attempts at a channel: those of the last 5 to 10 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// How many were made.
    pub attempts: u64,
    /// How many failed for a reason that is the channel's.
    pub failures: u64,
    /// The mean time to the head of an answer, in milliseconds; `None` without an answer.
    pub mean_ms: Option<u64>,
}

/// The counts of all channels.
#[derive(Debug, Default)]
pub(crate) struct Recents(HashMap<ChannelId, Spans>);

impl Recents {
    /// Takes in an attempt: how long its answer took, or that there was none.
    pub(crate) fn note(&mut self, channel: ChannelId, answered: Option<i64>, now: Timestamp) {
        let spans = self.0.entry(channel).or_default();
        *spans = spans.at(now);
        spans.now.attempts += 1;
        match answered {
            Some(millis) => {
                spans.now.answers += 1;
                spans.now.millis += u64::try_from(millis).unwrap_or(0);
            }
            None => spans.now.failures += 1,
        }
    }

    /// What is known of a channel; `None` when nothing was tried lately.
    pub(crate) fn of(&self, channel: ChannelId, now: Timestamp) -> Option<Record> {
        let spans = self.0.get(&channel)?.at(now);
        let answers = spans.now.answers + spans.before.answers;
        let record = Record {
            attempts: spans.now.attempts + spans.before.attempts,
            failures: spans.now.failures + spans.before.failures,
            mean_ms: (spans.now.millis + spans.before.millis).checked_div(answers),
        };
        Some(record).filter(|record| record.attempts > 0)
    }

    /// Keeps those of `wanted` channels alone.
    pub(crate) fn keep(&mut self, wanted: impl Fn(ChannelId) -> bool) {
        self.0.retain(|channel, _| wanted(*channel));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_is_forgotten() {
        let mut recents = Recents::default();
        let (channel, at) = (ChannelId(1), |minutes: i64| Timestamp::from_secs(1_000_000 + minutes * 60));
        assert_eq!(recents.of(channel, at(0)), None);
        recents.note(channel, Some(100), at(0));
        recents.note(channel, Some(300), at(1));
        recents.note(channel, None, at(1));
        let both = Record { attempts: 3, failures: 1, mean_ms: Some(200) };
        assert_eq!(recents.of(channel, at(4)), Some(both));
        assert_eq!(recents.of(channel, at(6)), Some(both), "the span before still counts");
        recents.note(channel, None, at(6));
        assert_eq!(recents.of(channel, at(6)), Some(Record { attempts: 4, failures: 2, ..both }));
        assert_eq!(recents.of(channel, at(12)), Some(Record { attempts: 1, failures: 1, mean_ms: None }));
        assert_eq!(recents.of(channel, at(30)), None);
        recents.keep(|_| false);
        assert_eq!(recents.of(channel, at(6)), None);
    }
}
