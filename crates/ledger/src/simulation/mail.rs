//! How a node of the simulation and the book talk of leases: questions and answers that are lost, late or told twice.

use std::sync::Arc;

use model::{
    clock::Timestamp,
    id::{JournalId, PoolId},
    money::Units,
};

use super::{fault::Fault, node::SimNode, world::Shared};
use crate::{Ask, BookError, LeaseState, Node, Part, pool::Pool};

/// What may arrive long after it was sent, when nobody waits for the answer any more.
pub(super) enum Letter {
    Ask(Node, Ask),
    Part(Node, Part),
}

impl Letter {
    fn arrive(self, shared: &mut Shared) {
        // One of a life that has ended is refused; nobody hears of it.
        drop(match self {
            Self::Ask(node, ask) => shared.book.lease(node, &ask).map(drop),
            Self::Part(node, part) => shared.book.give_back(node, &part),
        });
    }
}

/// What becomes of a question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It does not arrive.
    Lost,
    /// It arrives some time.
    Late,
    /// It is done, and the answer does not arrive.
    Unanswered,
    /// It is done, and the answer takes a while.
    Slow,
    Answered,
}

impl Fate {
    fn of(shared: &mut Shared) -> Self {
        match shared.random.below(if shared.several { 12 } else { 60 }) {
            0 => Self::Lost,
            1 => Self::Late,
            2 => Self::Unanswered,
            3 | 4 => Self::Slow,
            _ => Self::Answered,
        }
    }
}

impl SimNode {
    /// Now: one second a step, so that every pool has an age.
    const fn now(shared: &Shared) -> Timestamp {
        Timestamp::from_millis(shared.step as i64 * 1_000)
    }

    /// The pool with as much in it as can be had at this moment; `None` when the book does not tell.
    pub(super) fn pool(
        &mut self,
        id: PoolId,
        units: Units,
        shared: &mut Shared,
    ) -> Result<Option<Arc<Pool>>, String> {
        if let Some(pool) = self.pools.fresh(id).filter(|pool| pool.left() >= units) {
            pool.touch(Self::now(shared));
            return Ok(Some(pool));
        }
        // Whoever asks waits for the answer before it asks again, and a book that must be told first is not asked.
        if self.answer.is_none() && !self.anew {
            self.ask(id, units, shared)?;
        }
        Ok(self.pools.fresh(id))
    }

    fn ask(&mut self, id: PoolId, units: Units, shared: &mut Shared) -> Result<(), String> {
        let fate = Fate::of(shared);
        self.ask_with(fate, id, units, shared)
    }

    /// As long as nothing is lost.
    pub(super) fn ask_surely(&mut self, id: PoolId, all: Units, shared: &mut Shared) -> Result<(), String> {
        self.answer = None;
        self.ask_with(Fate::Answered, id, all, shared)
    }

    fn ask_with(&mut self, fate: Fate, id: PoolId, units: Units, shared: &mut Shared) -> Result<(), String> {
        let known = self.pools.known(id);
        let left = known.as_ref().map_or(0, |pool| pool.left().get());
        let need = Units::new((units.get() - left).max(0));
        let waiting = Units::new(need.get() * (1 + shared.random.below(2) as i64));
        let spending = Units::new(shared.random.below(6) as i64);
        let ask = Ask { pool: id, need, waiting, spending };
        match fate {
            Fate::Lost => return Ok(()),
            Fate::Late => {
                self.mail.push(Letter::Ask(self.node, ask));
                return Ok(());
            }
            Fate::Unanswered | Fate::Slow | Fate::Answered => {}
        }
        match shared.book.lease(self.node, &ask) {
            Err(error) => self.refused(error, shared)?,
            Ok(state) => match fate {
                Fate::Slow => self.answer = Some((id, state)),
                Fate::Answered => self.take_in(id, &state, shared),
                _ => {}
            },
        }
        Ok(())
    }

    fn refused(&mut self, error: BookError, shared: &mut Shared) -> Result<(), String> {
        match error {
            BookError::Fenced => self.crash(false, shared),
            BookError::Anew => {
                self.anew = true;
                Ok(())
            }
            BookError::Unavailable(what) => Err(what),
        }
    }

    pub(super) fn take_in(&mut self, id: PoolId, state: &LeaseState, shared: &Shared) {
        let now = Self::now(shared);
        if !self.pools.known(id).is_some_and(|pool| pool.refresh(state, now)) {
            self.pools.put(Arc::new(Pool::new(id, state, now)));
        }
    }

    /// Something that was on its way arrives, here or there.
    pub(super) fn deliver_mail(&mut self, shared: &mut Shared) -> Result<(), String> {
        if let Some((id, state)) = self.answer.take() {
            self.take_in(id, &state, shared);
            // It may be about a lease that an edit has voided since.
            if shared.edits[&id].0 > 0 && shared.fault != Some(Fault::VoidLeaseKept) {
                self.pools.mark_stale(id);
            }
        } else if !self.mail.is_empty() {
            let index = shared.random.below(self.mail.len() as u64) as usize;
            self.mail.swap_remove(index).arrive(shared);
        }
        Ok(())
    }

    /// A heartbeat, and what it leads to.
    pub(super) fn beat(&mut self, shared: &mut Shared) -> Result<(), String> {
        let fate = Fate::of(shared);
        self.beat_with(fate, shared)
    }

    /// As long as nothing is lost.
    pub(super) fn beat_surely(&mut self, shared: &mut Shared) -> Result<(), String> {
        self.beat_with(Fate::Answered, shared)
    }

    fn beat_with(&mut self, fate: Fate, shared: &mut Shared) -> Result<(), String> {
        let wanted = match shared.book.heartbeat(self.node) {
            Ok(wanted) => wanted,
            Err(error) => return self.refused(error, shared),
        };
        let unknown = self.pools.give_up(&wanted, &mut self.parts);
        if !self.parts.is_empty() {
            match fate {
                Fate::Lost => return Ok(()),
                Fate::Late => {
                    let node = self.node;
                    self.mail.extend(self.parts.values().map(|part| Letter::Part(node, *part)));
                    return Ok(());
                }
                Fate::Unanswered | Fate::Slow | Fate::Answered => {
                    for part in self.parts.values() {
                        shared.book.give_back(self.node, part).map_err(|error| error.to_string())?;
                    }
                    if fate != Fate::Answered {
                        return Ok(());
                    }
                    self.parts.clear();
                }
            }
        }
        if self.answer.is_some() && shared.fault != Some(Fault::UnknownClosed) {
            return Ok(());
        }
        let unknown = self.pools.unknown(unknown);
        shared.book.return_leases(self.node, Some(&unknown)).map_err(|error| error.to_string())
    }

    /// Pools go that were not used for a while, or that are too many.
    pub(super) fn return_idle(&mut self, shared: &mut Shared) -> Result<(), String> {
        // Not while an answer is on its way.
        if self.answer.is_some() || self.anew {
            return Ok(());
        }
        let before =
            Timestamp::from_millis(Self::now(shared).millis() - shared.random.below(9) as i64 * 1_000);
        let idle = self.pools.idle(self.reached, before, shared.random.below(4) as usize);
        let claimed = self.pools.claim(&idle, self.reached);
        let fate = Fate::of(shared);
        // It is no total, so it must not come after what this node says next. No transaction does: each waits for the one
        // before it.
        if !matches!(fate, Fate::Lost | Fate::Late)
            && let Err(error) = shared.book.return_leases(self.node, Some(&claimed))
        {
            return self.refused(error, shared);
        }
        if fate == Fate::Answered || shared.fault == Some(Fault::ReturnUnanswered) {
            self.pools.forget(&claimed);
        }
        Ok(())
    }

    /// Nothing of this node is heard for long: what it has leased is moved to suspense, whether it lives or not.
    pub(super) fn fall_silent(&mut self, shared: &mut Shared) {
        shared.book.hush(self.node.journal);
        if shared.random.below(2) == 0 {
            let silent = shared.book.journals.iter().filter(|(_, entry)| !entry.live).map(|(id, _)| *id);
            let known =
                |id: &JournalId| !shared.exact || shared.book.is_settled(*id) || shared.lost.contains(id);
            let silent: Vec<_> = silent.filter(known).collect();
            silent.into_iter().for_each(|journal| shared.book.bury(journal));
        }
    }
}
