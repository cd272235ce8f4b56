//! What a request brings, and the most that it can use beside output tokens.

use wire::{openai::estimate, plain, request::Scan};

use crate::door::Door;

/// The size of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    /// An upper bound of the input tokens.
    pub(crate) input: u64,
    /// What the input is charged for when nobody reports a count.
    pub(crate) estimated_input: u64,
    /// Whether that is a count of what is paid for, and no estimate.
    pub(crate) counted: bool,
    /// The most seconds.
    pub(crate) seconds: u64,
    /// The most images.
    pub(crate) images: u64,
    /// Whether nothing is charged, whatever is used.
    pub(crate) free: bool,
}

impl Door {
    /// Measures a request.
    pub(crate) fn measure(self, scan: &Scan, body: &[u8], image_tokens: Option<u64>) -> Measured {
        let input = scan.input_bound(image_tokens);
        let plain =
            Measured { input, estimated_input: estimate(input), free: self.is_free(), ..Measured::default() };
        match self {
            Self::Images => Measured { images: scan.choices, ..plain },
            Self::Speech => {
                // Speech is paid for by the character, and none takes longer than a second.
                let characters = plain::characters(body);
                Measured {
                    estimated_input: characters,
                    counted: true,
                    seconds: characters.saturating_add(1),
                    ..plain
                }
            }
            _ => plain,
        }
    }
}
