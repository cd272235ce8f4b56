//! What each event means for the books: before it passes, what it can cost is held.

use model::refusal::Refusal;
use tokio::sync::watch;
use wire::{
    openai::usage::Reported,
    realtime::{
        Format,
        client::{self, Brought, EventError, Hints},
        server,
    },
};

use super::{
    account::Ending,
    ear::{Ear, Payer},
    meter::TooMany,
    voice::Voice,
};

/// The event with which a caller asks for a response.
const ASK: &str = "response.create";
/// The event with which it says that a piece of sound is whole.
const COMMIT: &str = "input_audio_buffer.commit";

/// Why an event of a caller does not pass.
pub(super) enum Objection {
    /// The event is refused, and the session goes on.
    Event(Refusal),
    /// The session is over.
    End(Refusal),
}

impl From<EventError> for Objection {
    fn from(error: EventError) -> Self {
        Self::Event(Refusal::InvalidRequest(error.to_string()))
    }
}

/// The books of one session.
pub(super) struct Books {
    pub(super) payer: Payer,
    /// Who answers; nobody where what is heard is only written down.
    pub(super) voice: Option<Voice>,
    /// Who writes down what is heard.
    pub(super) ear: Option<Ear>,
    /// What who writes down is told beside the sound.
    hints: Hints,
    /// How sound comes in.
    pub(super) input: Format,
    /// Whether nobody waits for a response.
    pub(super) quiet: watch::Sender<bool>,
}

impl Books {
    /// The books of a session that begins.
    pub(super) fn of(payer: Payer, voice: Option<Voice>, ear: Option<Ear>, hints: Hints) -> Self {
        Self { payer, voice, ear, hints, input: Format::LEAST, quiet: watch::Sender::new(true) }
    }

    /// A caller says something. Returns what is sent instead, where it cannot go as it is.
    ///
    /// # Errors
    /// [`Objection`].
    pub(super) async fn caller_says(&mut self, text: &str) -> Result<Option<String>, Objection> {
        let event = client::read(text)?;
        let Payer { context, channel, .. } = &self.payer;
        let changed = event.renamed(text, &context.model, |named| channel.upstream_model(named))?;
        let hints = self.hints.and(event.hints);
        match self.voice {
            Some(_) => {
                if let Some(model) = event.transcription.first() {
                    self.listen(model, hints).await.map_err(Objection::Event)?;
                }
            }
            None => event.only_writes_down(&context.model)?,
        }
        self.hints = hints;
        self.brings(event.brings).await.map_err(Objection::End)?;
        if let Some(ear) = &mut self.ear {
            ear.is_told(hints);
            if event.kind == COMMIT {
                ear.is_asked(self.input).await.map_err(Objection::End)?;
            }
        }
        if let Some(voice) = self.voice.as_mut().filter(|_| event.kind == ASK) {
            voice.meter.asked();
            let least = self.payer.gateway.settings.minimum_output;
            let covered = voice.cover(least).await;
            self.tell_quiet();
            covered.map_err(Objection::End)?;
        }
        Ok(changed)
    }

    /// Something comes into the conversation.
    ///
    /// # Errors
    /// To hear it is not affordable.
    pub(super) async fn brings(&mut self, brought: Brought) -> Result<(), Refusal> {
        if let Some(voice) = &mut self.voice {
            voice.meter.brings(brought);
        }
        match &mut self.ear {
            Some(ear) if brought.sound > 0 => ear.hears(brought.sound, self.input).await,
            _ => Ok(()),
        }
    }

    /// What is heard is to be written down by this model.
    async fn listen(&mut self, model: &str, hints: Hints) -> Result<(), Refusal> {
        if self.ear.as_ref().is_some_and(|ear| ear.is(model)) {
            return Ok(());
        }
        let ear = Ear::open(&self.payer, model, hints).await?;
        if let Some(mut before) = self.ear.replace(ear) {
            before.close(self.input, Ending { status: 101, word: None }).await;
        }
        Ok(())
    }

    /// An upstream says something.
    ///
    /// # Errors
    /// It may not pass: what it costs is not affordable, or it cannot be.
    pub(super) async fn upstream_says(&mut self, text: &str) -> Result<(), Refusal> {
        match server::read(text) {
            server::Event::Session(session) => {
                self.input = session.input.unwrap_or(self.input);
                if let Some(voice) = &mut self.voice {
                    voice.meter.sounds(session.input, session.output);
                }
            }
            server::Event::Hearing(words) => {
                if let Some(ear) = &mut self.ear {
                    ear.tells(words, self.input);
                }
            }
            server::Event::Heard(reported) => self.heard(reported).await?,
            server::Event::Committed => {
                if let Some(ear) = &mut self.ear {
                    ear.will_hear(self.input).await?;
                }
            }
            server::Event::NotHeard => {
                if let Some(ear) = &mut self.ear {
                    ear.has_done();
                }
            }
            server::Event::Other => return Ok(()),
            event => self.answers(event).await?,
        }
        if let Some(voice) = &mut self.voice {
            voice.account.note(voice.meter.so_far());
        }
        self.tell_quiet();
        Ok(())
    }

    /// What was heard has been written down.
    async fn heard(&mut self, reported: Reported) -> Result<(), Refusal> {
        match (&mut self.ear, &mut self.voice, reported) {
            (Some(ear), ..) => ear.heard(reported, self.input).await,
            // Nobody asked for it, but it was done.
            (None, Some(voice), Reported::Good(tokens)) => voice.uses(tokens).await,
            _ => Ok(()),
        }
    }

    /// An event of a response.
    async fn answers(&mut self, event: server::Event) -> Result<(), Refusal> {
        let broken = |TooMany| Refusal::UpstreamError;
        if let Some(ear) = self.ear.as_mut().filter(|_| event == server::Event::Error) {
            ear.is_refused();
        }
        let Some(voice) = &mut self.voice else {
            // Nothing is held for an answer where there is to be none.
            return if event == server::Event::Error { Ok(()) } else { Err(Refusal::UpstreamError) };
        };
        match event {
            server::Event::Began(response) => {
                voice.meter.began(response).map_err(broken)?;
                voice.cover(self.payer.gateway.settings.minimum_output).await?;
            }
            server::Event::Piece { response, text, sound } => {
                voice.meter.piece(response, text, sound).map_err(broken)?;
                voice.cover(0).await?;
            }
            server::Event::Ended { response, reported, joined } => {
                voice.meter.ended(&response, reported, joined);
                voice.account.relax();
                voice.cover(0).await?;
                voice.account.note_at_once(voice.meter.so_far())?;
            }
            server::Event::Error => voice.meter.failed(),
            _ => {}
        }
        Ok(())
    }

    fn tell_quiet(&self) {
        let now = self.voice.as_ref().is_none_or(|voice| voice.meter.is_quiet());
        self.quiet.send_if_modified(|quiet| std::mem::replace(quiet, now) != now);
    }

    /// Ends all holds at what was used.
    pub(super) async fn settle(&mut self, end: Ending<'_>) {
        if let Some(voice) = &mut self.voice {
            voice.settle(end).await;
        }
        if let Some(ear) = &mut self.ear {
            ear.close(self.input, end).await;
        }
    }
}

impl Drop for Books {
    /// Whoever conversed is gone: what was delivered is charged.
    fn drop(&mut self) {
        if let Some(voice) = &mut self.voice {
            voice.end(Ending::LEFT);
        }
        if let Some(ear) = &mut self.ear {
            ear.end(self.input, Ending::LEFT);
        }
    }
}
