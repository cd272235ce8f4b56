//! What each event means for the books: before it passes, what it can cost is held.

use model::refusal::Refusal;
use tokio::sync::watch;
use wire::realtime::{
    Format,
    client::{self, Brought},
    server,
};

use super::{
    account::{Account, Ending},
    ear::{Ear, Payer},
    meter::{Meter, TooMany},
};

/// The event with which a caller asks for a response.
const ASK: &str = "response.create";
/// Output tokens that are held in small steps where a whole one is not affordable.
const SMALL: u64 = 64;

/// Why an event of a caller does not pass.
pub(super) enum Objection {
    /// The event is refused, and the session goes on.
    Event(Refusal),
    /// The session is over.
    End(Refusal),
}

/// The books of one session.
pub(super) struct Books {
    pub(super) payer: Payer,
    pub(super) account: Account,
    pub(super) meter: Meter,
    /// How sound comes in.
    pub(super) input: Format,
    pub(super) ear: Option<Ear>,
    /// Output tokens of a response that are held ahead.
    pub(super) step: u64,
    /// Whether nobody waits for a response.
    pub(super) quiet: watch::Sender<bool>,
}

impl Books {
    /// A caller says something. Returns what is sent instead, where it cannot go as it is.
    ///
    /// # Errors
    /// [`Objection`].
    pub(super) async fn caller_says(&mut self, text: &str) -> Result<Option<String>, Objection> {
        let invalid =
            |error: client::EventError| Objection::Event(Refusal::InvalidRequest(error.to_string()));
        let event = client::read(text).map_err(invalid)?;
        let context = &self.payer.context;
        let changed = event.renamed(text, &context.model, &context.upstream_model).map_err(invalid)?;
        for model in &event.transcription {
            self.listen(model).await.map_err(Objection::Event)?;
        }
        self.brings(event.brings).await.map_err(Objection::End)?;
        if event.kind == ASK {
            self.meter.asked();
            self.tell_quiet();
            self.cover(self.payer.gateway.settings.minimum_output).await.map_err(Objection::End)?;
        }
        Ok(changed)
    }

    /// Something comes into the conversation.
    ///
    /// # Errors
    /// To hear it is not affordable.
    pub(super) async fn brings(&mut self, brought: Brought) -> Result<(), Refusal> {
        self.meter.brings(brought);
        match &mut self.ear {
            Some(ear) if brought.sound > 0 => ear.hears(brought.sound, self.input).await,
            _ => Ok(()),
        }
    }

    /// What is heard is to be written down by this model.
    async fn listen(&mut self, model: &str) -> Result<(), Refusal> {
        if self.ear.as_ref().is_some_and(|ear| ear.is(model)) {
            return Ok(());
        }
        let ear = Ear::open(&self.payer, model).await?;
        if let Some(mut before) = self.ear.replace(ear) {
            before.close(Ending { status: 101, word: None }).await;
        }
        Ok(())
    }

    /// An upstream says something.
    ///
    /// # Errors
    /// It may not pass: what it costs is not affordable, or it cannot be.
    pub(super) async fn upstream_says(&mut self, text: &str) -> Result<(), Refusal> {
        let broken = |TooMany| Refusal::UpstreamError;
        match server::read(text) {
            server::Event::Session(session) => {
                self.input = session.input.unwrap_or(self.input);
                self.meter.sounds(session.input, session.output);
            }
            server::Event::Began(response) => {
                self.meter.began(response).map_err(broken)?;
                self.cover(self.payer.gateway.settings.minimum_output).await?;
            }
            server::Event::Piece { response, text, sound } => {
                self.meter.piece(response, text, sound).map_err(broken)?;
                self.cover(0).await?;
            }
            server::Event::Ended { response, reported, joined } => {
                self.meter.ended(&response, reported, joined);
                self.account.relax();
                self.cover(0).await?;
                self.account.note_at_once(self.meter.so_far())?;
            }
            server::Event::Heard(reported) => match (&mut self.ear, reported) {
                (Some(ear), reported) => ear.heard(reported, self.input).await?,
                // Nobody asked for it, but it was done.
                (None, wire::openai::usage::Reported::Good(tokens)) => {
                    self.meter.use_up(tokens);
                    self.cover(0).await?;
                }
                (None, _) => {}
            },
            server::Event::Error => self.meter.failed(),
            server::Event::Other => return Ok(()),
        }
        self.account.note(self.meter.so_far());
        self.tell_quiet();
        Ok(())
    }

    /// Holds a further step before what is held runs out; at least `least` output tokens of each response.
    async fn cover(&mut self, least: u64) -> Result<(), Refusal> {
        if self.meter.need((self.step / 2).max(least)) <= self.account.held() {
            return Ok(());
        }
        let (wanted, least) = (self.meter.need(self.step), self.meter.need(least));
        let small = self.meter.need(SMALL.min(self.step)).max(least);
        if least <= self.account.held() {
            return self.account.cover(wanted, least).await;
        }
        match self.account.cover(wanted, small).await {
            Err(_) => self.account.cover(wanted, least).await,
            covered => covered,
        }
    }

    fn tell_quiet(&self) {
        self.quiet.send_if_modified(|quiet| std::mem::replace(quiet, self.meter.is_quiet()) != *quiet);
    }

    /// Ends all holds at what was used.
    pub(super) async fn settle(&mut self, end: Ending<'_>) {
        self.account.settle(self.meter.so_far(), end).await;
        if let Some(ear) = &mut self.ear {
            ear.close(end).await;
        }
    }
}

impl Drop for Books {
    /// Whoever conversed is gone: what was delivered is charged.
    fn drop(&mut self) {
        self.account.end(self.meter.so_far(), Ending::LEFT);
        if let Some(ear) = &mut self.ear {
            ear.end(Ending::LEFT);
        }
    }
}
