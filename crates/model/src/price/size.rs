//! Sizes of a video: where they have prices of their own, a second of one costs what its size does. They are few and known by
//! name, so that a request for another one is refused.

use serde::{Deserialize, Serialize};

use super::{Kind, Price, UnitsPerMillion};

/// The size of a video, by its shorter side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// 480 lines.
    P480,
    /// 720 lines.
    P720,
    /// 1024 lines.
    P1024,
    /// 1080 lines.
    P1080,
    /// 1440 lines.
    P1440,
    /// 2160 lines.
    P2160,
}

/// What a million seconds of a size cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeRate {
    /// The size.
    pub size: Size,
    /// Its price.
    pub rate: UnitsPerMillion,
}

impl Size {
    /// All there are.
    pub const ALL: [Self; 6] = [Self::P480, Self::P720, Self::P1024, Self::P1080, Self::P1440, Self::P2160];

    /// Its stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::P480 => "480p",
            Self::P720 => "720p",
            Self::P1024 => "1024p",
            Self::P1080 => "1080p",
            Self::P1440 => "1440p",
            Self::P2160 => "2160p",
        }
    }

    /// The word of a second of it.
    pub(super) const fn second(self) -> &'static str {
        match self {
            Self::P480 => "second_480p",
            Self::P720 => "second_720p",
            Self::P1024 => "second_1024p",
            Self::P1080 => "second_1080p",
            Self::P1440 => "second_1440p",
            Self::P2160 => "second_2160p",
        }
    }

    /// The size of this word, or of this width and height, however a picture stands: `1080p`, `4k`, `1792x1024`.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let word = match text.as_str() {
            "4k" => "2160p".to_owned(),
            "2k" => "1440p".to_owned(),
            _ => match text.split_once(['x', '*']) {
                Some((width, height)) => {
                    let side = |text: &str| text.parse::<u32>().ok();
                    format!("{}p", side(width)?.min(side(height)?))
                }
                None => text,
            },
        };
        Self::ALL.into_iter().find(|size| size.word() == word)
    }
}

impl Price {
    /// What a million seconds of a size cost; `None` where nobody has said it.
    #[must_use]
    pub fn size(&self, size: Size) -> Option<UnitsPerMillion> {
        self.sizes.iter().find(|known| known.size == size).map(|known| known.rate)
    }

    /// The size whose seconds are the dearest; `None` where those of no size are.
    #[must_use]
    pub fn dearest_size(&self) -> Option<Size> {
        let dearest = self.sizes.iter().max_by_key(|known| known.rate)?;
        (dearest.rate > self.per_second).then_some(dearest.size)
    }

    /// What seconds of a size are, and what a million of them cost.
    pub(super) fn seconds_of(&self, size: Option<Size>) -> (Kind, UnitsPerMillion) {
        let known = size.and_then(|size| Some((Kind::SecondOf(size), self.size(size)?)));
        known.unwrap_or((Kind::Second, self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::PriceId,
        money::Units,
        price::{ListedRates, Most, Ratio},
        usage::{Parts, Tokens},
    };

    #[test]
    fn sizes_are_read_however_they_are_written() {
        assert!(Size::ALL.into_iter().all(|size| Size::of(size.word()) == Some(size)));
        for (text, size) in [
            ("1280x720", Some(Size::P720)),
            ("720X1280", Some(Size::P720)),
            (" 1024x1792 ", Some(Size::P1024)),
            ("1920*1080", Some(Size::P1080)),
            ("4K", Some(Size::P2160)),
            ("720", None),
            ("x720", None),
            ("999x999", None),
            ("", None),
        ] {
            assert_eq!(Size::of(text), size, "{text}");
        }
    }

    #[test]
    fn a_second_costs_what_its_size_does() {
        let rate = |size, units: i64| SizeRate { size, rate: UnitsPerMillion(units * 1_000_000) };
        let price = Price {
            per_second: UnitsPerMillion(2_000_000),
            sizes: vec![rate(Size::P720, 3), rate(Size::P1080, 7)],
            ..Price::listed(PriceId(1), ListedRates::default().rates())
        };
        for (size, kind, cost) in [
            (None, "second", 8),
            (Some(Size::P720), "second_720p", 12),
            (Some(Size::P1080), "second_1080p", 28),
            (Some(Size::P480), "second", 8),
        ] {
            let tokens =
                Tokens { parts: Parts { seconds: 4, size, ..Parts::default() }, ..Tokens::default() };
            assert_eq!(price.cost(Ratio::ONE, &tokens), Ok(Units::new(cost)));
            let said = price.lines(&tokens).into_iter().find(|(_, quantity, _)| *quantity == 4);
            assert_eq!(said.map(|(kind, ..)| kind.word()), Some(kind));
            let most = Most { seconds: 4, ..Most::default() };
            assert_eq!(price.bound_of(Ratio::ONE, &most), Ok(Units::new(28)), "whatever the size");
        }
        assert_eq!(price.dearest_size(), Some(Size::P1080));
        assert!(Price { per_second: UnitsPerMillion(0), ..price }.counts_seconds());
    }
}
