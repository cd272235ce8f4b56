//! The sound of a caller on its way to be written down: how much of it nothing was reported of, in which pieces.

use std::collections::VecDeque;

/// Sound that nothing was reported of.
#[derive(Debug, Default)]
pub(super) struct Sound {
    bytes: u64,
    /// Bytes of each piece that the upstream is writing down, in their order.
    under_way: VecDeque<u64>,
    /// Bytes of all of these together.
    whole: u64,
    /// Pieces that the caller has called whole, and the upstream not yet.
    asked: u64,
}

impl Sound {
    /// So much more comes in.
    pub(super) const fn comes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The caller calls what came since the last piece a whole one.
    pub(super) const fn is_asked(&mut self) {
        self.asked = self.asked.saturating_add(1);
    }

    /// The upstream will not do what a caller may have asked for.
    pub(super) const fn is_refused(&mut self) {
        self.asked = self.asked.saturating_sub(1);
    }

    /// The upstream calls it a whole piece, whether it was asked to or not.
    pub(super) fn begins(&mut self) {
        self.is_refused();
        let piece = self.bytes.saturating_sub(self.whole);
        self.whole = self.whole.saturating_add(piece);
        self.under_way.push_back(piece);
    }

    /// The upstream has done with a piece; its bytes, where there was one.
    pub(super) fn ends(&mut self) -> Option<u64> {
        let Some(piece) = self.under_way.pop_front() else {
            self.is_refused();
            return None;
        };
        self.whole = self.whole.saturating_sub(piece);
        self.bytes = self.bytes.saturating_sub(piece);
        Some(piece)
    }

    /// The upstream has reported a piece. Its bytes: all there are, where it called nothing whole.
    pub(super) fn is_reported(&mut self) -> u64 {
        self.ends().unwrap_or_else(|| std::mem::take(&mut self.bytes))
    }

    /// Bytes that nothing was reported of.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Pieces that somebody called whole and nothing was reported of.
    pub(super) fn pieces(&self) -> u64 {
        self.asked.saturating_add(self.under_way.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_a_piece_is_not_reported_with_it() {
        let mut sound = Sound::default();
        sound.comes(100);
        sound.is_asked();
        sound.comes(30);
        assert_eq!((sound.bytes(), sound.pieces()), (130, 1));
        // The upstream takes 130 for the piece; it says so when it has all of it.
        sound.begins();
        sound.comes(7);
        sound.begins();
        sound.comes(500);
        assert_eq!((sound.bytes(), sound.pieces()), (637, 2));
        assert_eq!((sound.is_reported(), sound.bytes(), sound.pieces()), (130, 507, 1));
        assert_eq!((sound.ends(), sound.bytes(), sound.pieces()), (Some(7), 500, 0));
    }

    #[test]
    fn an_upstream_that_calls_nothing_whole_reports_all() {
        let mut sound = Sound::default();
        sound.comes(100);
        sound.is_asked();
        assert_eq!((sound.ends(), sound.bytes(), sound.pieces()), (None, 100, 0));
        assert_eq!((sound.is_reported(), sound.bytes(), sound.pieces()), (100, 0, 0));
    }
}
