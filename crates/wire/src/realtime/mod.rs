//! OpenAI's realtime: events over a websocket. They pass as they are; here is what the gateway must know of them.
//!
//! [`client`] reads what a caller says, [`server`] what an upstream says. Both look at each string of an event in its place
//! and build nothing.

pub mod client;
pub mod server;
mod strings;
mod usage;

/// How sound is sent in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Bytes of a second.
    pub bytes_per_second: u64,
}

impl Format {
    /// What a second has at least in every format of the dialect: G.711.
    pub const LEAST: Self = Self { bytes_per_second: 8_000 };

    /// By its name, in the words of either version of the dialect; `rate` is that of samples of two bytes.
    fn named(name: &str, rate: Option<u64>) -> Self {
        match name {
            "audio/pcm" | "pcm16" => {
                let rate = rate.filter(|rate| (4_000..=192_000).contains(rate));
                Self { bytes_per_second: 2 * rate.unwrap_or(24_000) }
            }
            _ => Self::LEAST,
        }
    }
}

/// The bytes that this much Base64 stands for.
const fn decoded(base64: usize) -> u64 {
    base64 as u64 / 4 * 3
}
