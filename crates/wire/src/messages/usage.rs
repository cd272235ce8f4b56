//! What Anthropic reports as used: cache reads and writes beside the input, reasoning inside the output.

use crate::{
    json::{Malformed, Walk},
    usage::{Report, Usage, count},
};

/// Reads a `usage` member, also one with only a part of the counts, as the events of a stream have it.
#[must_use]
pub fn read(usage: &[u8]) -> Report {
    let mut counts = Counts::default();
    match counts.take(usage) {
        Ok(()) => counts.report(),
        Err(Malformed) => Report::Absurd,
    }
}

/// Counts that come in parts: `message_start` has the input, `message_delta` the output, and sometimes all of it again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    any: bool,
    absurd: bool,
    usage: Usage,
    /// All that was written to caches; the ages are parts of it.
    written: u64,
    written_brief: u64,
}

impl Counts {
    /// Takes in a report. A count only ever grows: each is of the whole answer so far.
    pub(crate) fn add(&mut self, usage: &[u8]) {
        if usage != b"null" && self.take(usage).is_err() {
            self.absurd = true;
        }
    }

    fn take(&mut self, usage: &[u8]) -> Result<(), Malformed> {
        let Self { any, usage: counts, written, written_brief, .. } = self;
        Walk::new(usage).object(|name, walk| {
            let kind = match name {
                b"input_tokens" => &mut counts.input,
                b"output_tokens" => &mut counts.output,
                b"cache_read_input_tokens" => &mut counts.cached_input,
                b"cache_creation_input_tokens" => &mut *written,
                b"cache_creation" if walk.is_object() => {
                    return walk.object(|name, walk| {
                        let kind = match name {
                            b"ephemeral_5m_input_tokens" => &mut *written_brief,
                            b"ephemeral_1h_input_tokens" => &mut counts.cache_write_hour,
                            _ => return walk.value().map(drop),
                        };
                        *kind = count(walk)?.max(*kind);
                        Ok(())
                    });
                }
                b"output_tokens_details" if walk.is_object() => {
                    return walk.object(|name, walk| {
                        if name != b"thinking_tokens" {
                            return walk.value().map(drop);
                        }
                        counts.reasoning = count(walk)?.max(counts.reasoning);
                        Ok(())
                    });
                }
                b"server_tool_use" if walk.is_object() => {
                    return walk.object(|name, walk| {
                        if name != b"web_search_requests" {
                            return walk.value().map(drop);
                        }
                        counts.searches = count(walk)?.max(counts.searches);
                        Ok(())
                    });
                }
                _ => return walk.value().map(drop),
            };
            *any |= matches!(name, b"input_tokens" | b"output_tokens");
            *kind = count(walk)?.max(*kind);
            Ok(())
        })
    }

    /// All of it together.
    pub(crate) fn report(&self) -> Report {
        if self.absurd || !self.any {
            return if self.absurd { Report::Absurd } else { Report::Absent };
        }
        let ages = self.written_brief.saturating_add(self.usage.cache_write_hour);
        let Some(rest) = self.written.max(ages).checked_sub(self.usage.cache_write_hour) else {
            return Report::Absurd;
        };
        // Ages that add up to less than the whole leave a rest that nobody names: it counts as brief.
        Report::of(Usage { cache_write: rest, ..self.usage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ages_of_cache_writes_are_told_apart() {
        let read = read(
            br#"{"input_tokens":5,"cache_creation_input_tokens":30,"cache_read_input_tokens":60,
                "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":7,
                "server_tool_use":{"web_search_requests":2},"service_tier":"standard"}"#,
        );
        let expected = Usage {
            input: 5,
            cached_input: 60,
            cache_write: 10,
            cache_write_hour: 20,
            output: 7,
            searches: 2,
            ..Usage::default()
        };
        assert_eq!(read, Report::Good(expected));
    }

    #[test]
    fn counts_that_are_split_over_events_add_up() {
        let mut counts = Counts::default();
        assert_eq!(counts.report(), Report::Absent);
        counts.add(br#"{"input_tokens":25,"output_tokens":1}"#);
        counts.add(br#"{"output_tokens":15}"#);
        // Some say the input again at the end, some say zero, and some say it only then.
        counts.add(br#"{"input_tokens":0,"output_tokens":20,"cache_read_input_tokens":9}"#);
        let expected = Usage { input: 25, output: 20, cached_input: 9, ..Usage::default() };
        assert_eq!(counts.report(), Report::Good(expected));
        counts.add(br#"{"output_tokens":-1}"#);
        assert_eq!(counts.report(), Report::Absurd);
    }

    #[test]
    fn does_not_believe_what_cannot_be() {
        for usage in ["[]", "7", r#"{"input_tokens":1.5}"#, r#"{"output_tokens":"3"}"#, "{"] {
            assert_eq!(read(usage.as_bytes()), Report::Absurd, "{usage}");
        }
        assert_eq!(read(b"{}"), Report::Absent);
    }
}
