//! An upper bound of the input tokens of a request.
//!
//! A token is never shorter than a byte, so the bytes of the body bound its text, and the JSON around a message bounds
//! what a chat template adds to it. Only what is named by its address, or compressed, is larger than its bytes: an image has
//! at most so many tokens, and of anything else nobody knows more than that it fits into the model's context.

use super::attachments::Attachments;

/// The most tokens of one image, where nobody has said it of the model.
const IMAGE_TOKENS: u64 = 6_000;

/// What of a body bounds its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    bytes: u64,
    images: u64,
    documents: bool,
}

impl Input {
    /// Of texts with so many bytes, and so many images.
    pub(crate) const fn of_form(bytes: u64, images: u64) -> Self {
        Self { bytes, images, documents: false }
    }

    /// Of a body whose images and files come in these members; `mentioned` says whether any of them is.
    pub(super) fn of_members(body: &[u8], members: &[&str], mentioned: bool) -> Self {
        let bytes = body.len() as u64;
        // Most bodies bring nothing, and need no second look.
        if !mentioned {
            return Self { bytes, images: 0, documents: false };
        }
        match Attachments::find(body, members) {
            Ok(found) => Self { bytes, images: found.pictures, documents: found.documents > 0 },
            Err(_) => Self { bytes, images: 0, documents: true },
        }
    }

    /// The bound without documents: one token for each byte, and for each image the most that one can be.
    pub(crate) fn bound(self, image_tokens: Option<u64>) -> u64 {
        self.bytes.saturating_add(self.images.saturating_mul(image_tokens.unwrap_or(IMAGE_TOKENS)))
    }

    /// Whether there is something that only the model's context bounds.
    pub(crate) const fn has_documents(self) -> bool {
        self.documents
    }
}

#[cfg(test)]
mod tests {
    use super::{super::skim::skim, *};

    #[test]
    fn an_image_counts_however_it_is_written() {
        for (body, images) in [
            (r#"{"a":"b"}"#, 0),
            (r#"{"type":"image_url","image_url":{}}"#, 1),
            (r#"{"type":"image\u005furl","image\u005Furl":{}}"#, 1),
            (r#"{"x":"\u0061\"","\u0069\u006d\u0061\u0067\u0065\u005f\u0075\u0072\u006c":{}}"#, 1),
            (r#"{"x":"\"image_url\"","y":"\u0061"}"#, 0),
            (r#"{"x":"image\\u005furl"}"#, 0),
        ] {
            let members = ["image_url"];
            let mentioned = skim(body.as_bytes(), &members).unwrap();
            let (input, bytes) = (Input::of_members(body.as_bytes(), &members, mentioned), body.len() as u64);
            assert_eq!(input.bound(None), bytes + images * 6_000, "{body}");
            assert_eq!(input.bound(Some(1_601)), bytes + images * 1_601, "{body}");
            assert!(!input.has_documents(), "{body}");
        }
    }
}
