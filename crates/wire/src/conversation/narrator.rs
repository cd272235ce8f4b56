//! Keeps what a reader of a stream tells in order, and counts along.

use super::{
    answer::Stop,
    event::{Block, Delta, Event},
    part::Seal,
};
use crate::{
    openai::{estimate, upstream_error},
    usage::{Report, Usage},
};

/// More choices than anybody gives.
const MAX_CHOICES: u32 = 128;

#[derive(Debug, Default)]
struct Choice {
    open: Option<Block>,
    stop: Option<Stop>,
    called: bool,
    /// Whether anything was added to the open block.
    grown: bool,
}

/// Turns what a dialect's events say into [`Event`]s in order.
#[derive(Debug, Default)]
pub(crate) struct Narrator {
    told: Vec<Event>,
    choices: Vec<Choice>,
    started: bool,
    over: bool,
    failed: bool,
    report: Report,
    delivered: u64,
}

impl Narrator {
    /// What was told since the last time.
    pub(crate) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.told)
    }

    /// The upstream's counts so far.
    pub(crate) const fn report(&self) -> Report {
        self.report
    }

    /// An estimate of the output tokens that were told.
    pub(crate) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Whether the end, or a failure, was told.
    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether every choice that was seen has said why it ended.
    pub(crate) fn finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.stop.is_some())
    }

    /// Whether a choice has called a tool.
    pub(crate) fn called(&self, choice: u32) -> bool {
        self.choices.get(choice as usize).is_some_and(|choice| choice.called)
    }

    /// Whether anything was added to the block that is open in a choice.
    pub(crate) fn has_grown(&self, choice: u32) -> bool {
        self.choices.get(choice as usize).is_some_and(|choice| choice.open.is_some() && choice.grown)
    }

    fn tell(&mut self, event: Event) {
        if !self.over {
            self.told.push(event);
        }
    }

    /// The answer begins; later beginnings are not heard.
    pub(crate) fn start(&mut self, id: &str, model: &str, created: Option<u64>) {
        if !self.started {
            self.started = true;
            let (id, model, usage) = (id.to_owned(), model.to_owned(), self.report.usage());
            self.tell(Event::Start { id, model, created, usage });
        }
    }

    pub(crate) fn ping(&mut self) {
        self.tell(Event::Ping);
    }

    /// Sees to it that a block like this is open. A call is always a new one.
    pub(crate) fn open(&mut self, choice: u32, block: Block) {
        let Some(state) = self.choice(choice) else { return };
        let is_call = matches!(block, Block::Call { .. });
        if state.stop.is_some() || (!is_call && state.open.as_ref() == Some(&block)) {
            return;
        }
        state.called |= is_call;
        self.close(choice);
        if let Some(state) = self.choice(choice) {
            (state.open, state.grown) = (Some(block.clone()), false);
        }
        if let Block::Call { name, .. } = &block {
            self.delivered += estimate(name.len() as u64);
        }
        self.tell(Event::Open { choice, block });
    }

    /// Adds to the open block; with none open, there is nothing to add to.
    pub(crate) fn delta(&mut self, choice: u32, delta: Delta) {
        let open = self.choices.get_mut(choice as usize).filter(|state| state.open.is_some());
        let Some(state) = open else { return };
        state.grown = true;
        if let Delta::Text(text) = &delta {
            self.delivered += estimate(text.len() as u64);
        }
        self.tell(Event::Delta { choice, delta });
    }

    /// Text in a block of its kind.
    pub(crate) fn text(&mut self, choice: u32, block: Block, text: &str) {
        if !text.is_empty() {
            self.open(choice, block);
            self.delta(choice, Delta::Text(text.to_owned()));
        }
    }

    /// A seal on the thinking that is open, or on thinking without text.
    pub(crate) fn seal(&mut self, choice: u32, seal: Seal) {
        self.open(choice, Block::Thinking);
        self.delta(choice, Delta::Seal(seal));
    }

    pub(crate) fn close(&mut self, choice: u32) {
        let Some(state) = self.choices.get_mut(choice as usize) else { return };
        let Some(open) = state.open.take() else { return };
        // No arguments are an empty object, which some dialects say and others leave out.
        if matches!(open, Block::Call { .. }) && !state.grown {
            self.tell(Event::Delta { choice, delta: Delta::Text("{}".to_owned()) });
        }
        self.tell(Event::Close { choice });
    }

    /// A choice is complete.
    pub(crate) fn stop(&mut self, choice: u32, stop: Stop) {
        self.close(choice);
        let Some(state) = self.choice(choice) else { return };
        if state.stop.is_none() {
            state.stop = Some(stop.clone());
            self.tell(Event::Stop { choice, stop });
        }
    }

    /// The upstream counts.
    pub(crate) fn usage(&mut self, report: Report) {
        self.report.merge(report);
        if let (true, Some(usage)) = (report != Report::Absent && self.started, self.report.usage()) {
            self.tell(Event::Usage(usage));
        }
    }

    /// The upstream failed, in its own words, which are cleaned here.
    pub(crate) fn fail(&mut self, message: Option<&str>, code: Option<&str>) {
        let message = message.map(upstream_error::clean).filter(|message| !message.is_empty());
        let message = message.unwrap_or_else(|| "the upstream reported an error".to_owned());
        let code = code.filter(|code| upstream_error::is_word(code)).map(str::to_owned);
        self.tell(Event::Failed { message, code });
        (self.over, self.failed) = (true, true);
    }

    /// The upstream is done. That is the end of the answer only if it had one.
    pub(crate) fn end(&mut self) {
        if self.over {
            return;
        }
        if self.finished() {
            self.tell(Event::End);
            self.over = true;
        } else {
            self.fail(Some("the upstream ended its answer early"), None);
        }
    }

    /// Ends every choice that has not ended as if it had met its limit, and then the answer; `used` is what is
    /// charged for.
    pub(crate) fn cut(&mut self, used: Usage) {
        self.start("", "", None);
        if self.choices.is_empty() {
            self.stop(0, Stop::Length);
        }
        for choice in 0..self.choices.len() as u32 {
            self.stop(choice, Stop::Length);
        }
        self.tell(Event::Usage(used));
        self.end();
    }

    fn choice(&mut self, choice: u32) -> Option<&mut Choice> {
        if choice >= MAX_CHOICES {
            return None;
        }
        while self.choices.len() <= choice as usize {
            self.choices.push(Choice::default());
        }
        self.choices.get_mut(choice as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_in_order() {
        let mut narrator = Narrator::default();
        narrator.start("a", "m", None);
        narrator.start("b", "m", None);
        narrator.text(0, Block::Thinking, "hm");
        narrator.text(0, Block::Text, "a");
        narrator.text(0, Block::Text, "b");
        narrator.stop(0, Stop::End);
        narrator.text(0, Block::Text, "late");
        narrator.end();
        narrator.ping();
        let open = |block| Event::Open { choice: 0, block };
        let text = |text: &str| Event::Delta { choice: 0, delta: Delta::Text(text.to_owned()) };
        let start = Event::Start { id: "a".to_owned(), model: "m".to_owned(), created: None, usage: None };
        assert_eq!(
            narrator.take(),
            [
                start,
                open(Block::Thinking),
                text("hm"),
                Event::Close { choice: 0 },
                open(Block::Text),
                text("a"),
                text("b"),
                Event::Close { choice: 0 },
                Event::Stop { choice: 0, stop: Stop::End },
                Event::End
            ]
        );
        assert_eq!(narrator.delivered(), 3);
    }

    #[test]
    fn an_answer_without_an_end_has_failed() {
        let mut narrator = Narrator::default();
        narrator.start("a", "m", None);
        narrator.text(0, Block::Text, "a");
        narrator.end();
        assert!(narrator.has_failed() && narrator.is_over());
        assert!(matches!(narrator.take().last(), Some(Event::Failed { .. })));
    }
}
