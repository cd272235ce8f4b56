//! How long sound is, by the frames that it comes in: read as it passes, a few bytes of each frame.
//!
//! Sources: MPEG audio and ADTS headers (ISO 11172-3, 13818-3, 13818-7), Ogg pages (RFC 3533) with Opus in them (RFC 7845), the
//! header of a wave file. Sound of which nothing is known counts by its bytes.

/// Bytes of a second of sound that is compressed as most is.
const SECOND: u64 = 16_000;
/// What tells the kinds apart stands in so many bytes.
const HEAD: usize = 44;
/// Of sound in frames, at most one byte in so many may lie outside of them.
const STRAY: u64 = 20;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// Too little has come to say.
    #[default]
    Open,
    /// So many bytes a second, behind so many bytes of head.
    Plain {
        rate: u64,
        head: u64,
    },
    Mpeg,
    Adts,
    Opus,
    Unknown,
}

/// Measures sound.
#[derive(Debug, Default)]
pub struct Meter {
    kind: Kind,
    /// Bytes of a second, where the sound is nothing but samples.
    samples: Option<u64>,
    /// The bytes of the header that comes next, as far as they have come.
    head: Vec<u8>,
    skip: u64,
    bytes: u64,
    stray: u64,
    micros: u64,
    granule: u64,
    lead: u64,
}

/// What one frame says.
struct Frame {
    bytes: u64,
    micros: u64,
}

impl Meter {
    /// Begins. `samples`: bytes of a second, where it is known that nothing but samples comes.
    #[must_use]
    pub fn new(samples: Option<u64>) -> Self {
        Self { samples: samples.filter(|rate| *rate > 0), ..Self::default() }
    }

    /// Begun seconds of sound that is there as a whole; `None` where they would be an estimate.
    #[must_use]
    pub fn whole(sound: &[u8]) -> Option<u64> {
        let mut meter = Self::default();
        meter.take(sound);
        meter.exact()
    }

    /// Takes in the next bytes.
    pub fn take(&mut self, mut data: &[u8]) {
        self.bytes = self.bytes.saturating_add(data.len() as u64);
        while !data.is_empty() {
            if self.skip > 0 {
                let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(data.len());
                self.skip -= skipped as u64;
                data = data.get(skipped..).unwrap_or_default();
                continue;
            }
            if matches!(self.kind, Kind::Plain { .. } | Kind::Unknown) {
                return;
            }
            let need = self.need().saturating_sub(self.head.len()).clamp(1, data.len());
            let (now, later) = data.split_at_checked(need).unwrap_or((data, &[]));
            self.head.extend_from_slice(now);
            data = later;
            self.step();
        }
    }

    /// Begun seconds, by the sound itself; `None` where it does not say.
    #[must_use]
    pub fn exact(&self) -> Option<u64> {
        let ceiled = |micros: u64| micros.div_ceil(1_000_000);
        match self.kind {
            Kind::Plain { rate, head } => Some(self.bytes.saturating_sub(head).div_ceil(rate)),
            Kind::Open => self.samples.map(|rate| self.bytes.div_ceil(rate)),
            Kind::Mpeg | Kind::Adts => {
                let framed = self.micros > 0 && self.stray.saturating_mul(STRAY) <= self.bytes;
                framed.then(|| ceiled(self.micros))
            }
            Kind::Opus => (self.granule > 0).then(|| self.granule.saturating_sub(self.lead).div_ceil(48_000)),
            Kind::Unknown => None,
        }
    }

    /// Begun seconds, or an estimate of them.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.exact().unwrap_or(self.bytes.div_ceil(SECOND))
    }

    /// Bytes so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn need(&self) -> usize {
        match self.kind {
            Kind::Mpeg => 4,
            Kind::Adts => 7,
            Kind::Opus => 27 + usize::from(self.head.get(26).copied().unwrap_or(0)),
            Kind::Open | Kind::Plain { .. } | Kind::Unknown => HEAD,
        }
    }

    fn step(&mut self) {
        if self.head.len() < self.need() {
            return;
        }
        if self.kind == Kind::Open {
            let head = std::mem::take(&mut self.head);
            self.kind = self.judge(&head);
            let tag = tag(&head);
            self.bytes -= head.len() as u64;
            self.skip = tag;
            return self.take(&head);
        }
        let frame = match self.kind {
            Kind::Mpeg => mpeg(&self.head),
            Kind::Adts => adts(&self.head),
            _ => self.page(),
        };
        match frame {
            Some(frame) => {
                self.micros = self.micros.saturating_add(frame.micros);
                self.skip = frame.bytes.saturating_sub(self.head.len() as u64);
                self.head.clear();
            }
            None => {
                self.stray += 1;
                self.head.remove(0);
            }
        }
    }

    /// What begins so.
    fn judge(&mut self, head: &[u8]) -> Kind {
        if head.starts_with(b"RIFF") {
            return wave(head).map_or(Kind::Unknown, |rate| Kind::Plain { rate, head: HEAD as u64 });
        }
        if head.starts_with(b"OggS") {
            let lead = head.get(28..36).filter(|magic| *magic == b"OpusHead").and(head.get(38..40));
            let Some([low, high]) = lead else { return Kind::Unknown };
            self.lead = u64::from(u16::from_le_bytes([*low, *high]));
            return Kind::Opus;
        }
        if adts(head).is_some() {
            return Kind::Adts;
        }
        if head.starts_with(b"ID3") || mpeg(head).is_some() {
            return Kind::Mpeg;
        }
        self.samples.map_or(Kind::Unknown, |rate| Kind::Plain { rate, head: 0 })
    }

    /// A page of Ogg, which says how far the sound is at its end.
    fn page(&mut self) -> Option<Frame> {
        let head = self.head.strip_prefix(b"OggS")?;
        let granule = u64::from_le_bytes(*head.get(2..10)?.first_chunk()?);
        if granule != u64::MAX {
            self.granule = self.granule.max(granule);
        }
        let inside: u64 = head.get(23..)?.iter().map(|length| u64::from(*length)).sum();
        Some(Frame { bytes: self.head.len() as u64 + inside, micros: 0 })
    }
}

/// Bytes of a tag that stands before the frames.
fn tag(head: &[u8]) -> u64 {
    let size = head.strip_prefix(b"ID3").and_then(|rest| rest.get(3..7));
    let size = size.map(|size| size.iter().fold(0, |all, byte| all << 7 | u64::from(byte & 0x7f)));
    size.map_or(0, |size| size + 10)
}

/// Bytes of a second of a wave file whose head adds up.
fn wave(head: &[u8]) -> Option<u64> {
    let plain = head.get(8..16)? == b"WAVEfmt " && head.get(20..22)? == [1, 0];
    let samples = u64::from(u32::from_le_bytes(*head.get(24..28)?.first_chunk()?));
    let told = u64::from(u32::from_le_bytes(*head.get(28..32)?.first_chunk()?));
    let block = u64::from(u16::from_le_bytes(*head.get(32..34)?.first_chunk()?));
    (plain && told > 0 && told == samples * block).then_some(told)
}

/// A frame of MPEG audio, layer III.
fn mpeg(head: &[u8]) -> Option<Frame> {
    const FIRST: [u64; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const SECOND: [u64; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let [sync, kind, rates, ..] = head else { return None };
    if *sync != 0xff || kind & 0xe6 != 0xe2 {
        return None;
    }
    let (table, samples, half) = match kind >> 3 & 3 {
        3 => (FIRST, 1152, 1),
        2 => (SECOND, 576, 2),
        0 => (SECOND, 576, 4),
        _ => return None,
    };
    let bits = *table.get(usize::from(rates >> 4)).filter(|rate| **rate > 0)? * 1_000;
    let rate = [44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 3))? / half;
    let bytes = samples / 8 * bits / rate + u64::from(rates >> 1 & 1);
    Some(Frame { bytes, micros: samples * 1_000_000 / rate })
}

/// A frame of AAC.
fn adts(head: &[u8]) -> Option<Frame> {
    const RATES: [u64; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
    ];
    let [0xff, kind, rates, a, b, c, d, ..] = head else { return None };
    if kind & 0xf6 != 0xf0 {
        return None;
    }
    let rate = RATES.get(usize::from(rates >> 2 & 0xf))?;
    let bytes = u64::from(a & 3) << 11 | u64::from(*b) << 3 | u64::from(c >> 5);
    let micros = 1_024 * (u64::from(d & 3) + 1) * 1_000_000 / rate;
    (bytes >= 7).then_some(Frame { bytes, micros })
}

/// Seconds, begun ones whole, at which the last subtitle of a text ends: `00:00:02,500` or `00:02.500` behind an arrow.
#[must_use]
pub fn subtitled(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let ends = text.lines().filter_map(|line| line.split_once("-->")).filter_map(|(_, end)| stamp(end));
    ends.max()
}

fn stamp(end: &str) -> Option<u64> {
    let end = end.split_whitespace().next()?;
    let (whole, decimals) = end.split_once([',', '.'])?;
    let part = |text: &str| text.parse::<u32>().ok().map(u64::from);
    let seconds = whole.split(':').try_fold(0_u64, |all, text| Some(all * 60 + part(text)?))?;
    Some(seconds + u64::from(part(decimals)? > 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Frames of 24 kHz at 32 kbit/s: 576 samples in 96 bytes.
    fn frames_of_mpeg(count: usize) -> Vec<u8> {
        let mut frame = vec![0xff, 0xf3, 0x44, 0xc4];
        frame.resize(96, 0x55);
        frame.repeat(count)
    }

    /// Frames of 24 kHz: 1024 samples in 100 bytes.
    fn frames_of_aac(count: usize) -> Vec<u8> {
        let mut frame = vec![0xff, 0xf1, 0x58, 0x40, 100 >> 3, 100 << 5, 0xfc];
        frame.resize(100, 0x55);
        frame.repeat(count)
    }

    fn page(granule: u64, content: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0\0".to_vec();
        page.extend(granule.to_le_bytes());
        page.extend([0; 12]);
        page.extend([1, u8::try_from(content.len()).unwrap()]);
        [page.as_slice(), content].concat()
    }

    fn opus() -> Vec<u8> {
        let head = page(0, b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0");
        [head, page(0, b"OpusTags"), page(48_000, &[0; 200]), page(96_312, &[0; 100])].concat()
    }

    fn wave() -> Vec<u8> {
        let mut wave =
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\xc0\x5d\0\0\x80\xbb\0\0\x02\0\x10\0data\0\0\0\0"
                .to_vec();
        wave.resize(44 + 48_000 * 3, 0);
        wave
    }

    #[test]
    fn frames_say_how_long_sound_is() {
        let tagged = [b"ID3\x04\0\0\0\0\0\x20".as_slice(), &[0xff; 32], &frames_of_mpeg(100)].concat();
        for (name, sound, expected) in [
            // 100 × 576 ÷ 24000 = 2.4
            ("mp3", frames_of_mpeg(100), Some(3)),
            ("mp3 with a tag", tagged, Some(3)),
            // 50 × 1024 ÷ 24000 = 2.13
            ("aac", frames_of_aac(50), Some(3)),
            ("opus", opus(), Some(2)),
            ("wav", wave(), Some(3)),
            ("noise", vec![7; 50_000], None),
            ("little", vec![7; 5], None),
            ("nothing", vec![], None),
        ] {
            assert_eq!(Meter::whole(&sound), expected, "{name}");
            // In pieces as in one.
            for size in [1, 3, 50, 1_000] {
                let mut meter = Meter::new(None);
                sound.chunks(size).for_each(|piece| meter.take(piece));
                assert_eq!(meter.exact(), expected, "{name} by {size}");
                assert_eq!(meter.bytes(), sound.len() as u64, "{name} by {size}");
            }
        }
    }

    #[test]
    fn samples_count_by_their_rate_and_the_rest_by_its_bytes() {
        let measured = |samples, sound: &[u8]| {
            let mut meter = Meter::new(samples);
            meter.take(sound);
            (meter.exact(), meter.seconds())
        };
        assert_eq!(measured(Some(48_000), &[1; 48_001]), (Some(2), 2));
        assert_eq!(measured(Some(48_000), &[1; 9]), (Some(1), 1));
        assert_eq!(measured(Some(48_000), &wave()), (Some(3), 3), "a head says better");
        assert_eq!(measured(None, &[1; 16_001]), (None, 2));
        // Frames among what is none say nothing of it.
        let mixed = [frames_of_mpeg(3), vec![0; 10_000]].concat();
        assert_eq!(measured(None, &mixed).0, None);
    }

    #[test]
    fn subtitles_say_when_they_end() {
        for (text, expected) in [
            ("1\n00:00:00,000 --> 00:00:02,000\nHello\n\n", Some(2)),
            ("WEBVTT\n\n00:01.000 --> 01:02.500 align:start\nHello\n", Some(63)),
            ("1\n00:00:03,000 --> 01:00:00,000\na\n\n2\n00:00:01,000 --> 00:00:02,000\nb\n", Some(3_600)),
            ("somebody says --> then", None),
            ("plain words", None),
        ] {
            assert_eq!(subtitled(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(start in 0_usize..5, sound in prop::collection::vec(any::<u8>(), 0..400)) {
            let starts = [frames_of_mpeg(2), frames_of_aac(2), opus(), wave()[..44].to_vec(), vec![]];
            let sound = [starts[start].as_slice(), &sound].concat();
            prop_assert!(Meter::whole(&sound).is_none_or(|seconds| seconds <= 1 << 52));
        }
    }
}
