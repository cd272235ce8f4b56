//! An upper bound of the input tokens of a request.
//!
//! A token is never shorter than a byte, so the bytes of the body bound its text, and the JSON around a message bounds
//! what a chat template adds to it. Only an image that is named by its address is larger than its bytes.

use memchr::memmem;

use super::after_string;

/// The most tokens of one image, where nobody has said it of the model.
const IMAGE_TOKENS: u64 = 6_000;
/// An image is mentioned twice: as the type of its part, and as its member.
const MENTIONS: u64 = 2;

/// What of a body bounds its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    bytes: u64,
    /// How often images are mentioned.
    mentions: u64,
    /// How often each of them is.
    each: u64,
}

impl Input {
    /// Of texts with so many bytes, and so many images.
    pub(crate) const fn of_form(bytes: u64, images: u64) -> Self {
        Self { bytes, mentions: images, each: 1 }
    }

    /// Of a body whose images and files come in these members.
    pub(crate) fn of_members(body: &[u8], members: &[&str]) -> Self {
        let plain =
            |member: &&str| memmem::find_iter(body, format!("\"{member}\"").as_bytes()).count() as u64;
        let mentions = members.iter().map(plain).sum::<u64>() + escaped(body, members);
        Self { bytes: body.len() as u64, mentions, each: MENTIONS }
    }

    /// The same where each image is mentioned so often.
    pub(crate) const fn with_mentions(self, each: u64) -> Self {
        Self { each, ..self }
    }

    /// Whether anything is mentioned.
    pub(crate) const fn has_mentions(self) -> bool {
        self.mentions > 0
    }

    /// The bound: one token for each byte, and for each mention of an image its part of the most that an image can be.
    pub(crate) fn bound(self, image_tokens: Option<u64>) -> u64 {
        let each = image_tokens.unwrap_or(IMAGE_TOKENS).div_ceil(self.each);
        self.bytes.saturating_add(self.mentions.saturating_mul(each))
    }
}

/// Mentions that are written with escapes, such as `image\u005furl`: the same to a JSON reader, and so to the upstream.
fn escaped(body: &[u8], members: &[&str]) -> u64 {
    // Nobody needs to escape a letter or an underscore, so most bodies end here.
    let letter = |at: usize| body.get(at + 4).is_some_and(|digit| matches!(digit, b'4'..=b'7'));
    if !memmem::find_iter(body, b"\\u00").any(letter) {
        return 0;
    }
    let longest = members.iter().map(|member| member.len()).max().unwrap_or(0);
    let (mut found, mut rest) = (0, body);
    while let Some(start) = memchr::memchr(b'"', rest) {
        let string = rest.get(start..).unwrap_or_default();
        rest = after_string(string.get(1..).unwrap_or_default());
        let string = string.get(..string.len() - rest.len()).unwrap_or_default();
        // Every character may be an escape of six bytes.
        let may_be = string.len() <= 6 * longest + 2 && string.contains(&b'\\');
        if may_be
            && serde_json::from_slice::<String>(string).is_ok_and(|text| members.contains(&text.as_str()))
        {
            found += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_counts_however_it_is_written() {
        for (body, images) in [
            (r#"{"a":"b"}"#, 0),
            (r#"{"type":"image_url","image_url":{}}"#, 2),
            (r#"{"type":"image\u005furl","image\u005Furl":{}}"#, 2),
            (
                r#"{"x":"\u0061\"","\u0069\u006d\u0061\u0067\u0065\u005f\u0075\u0072\u006c":{},"image_url":1}"#,
                2,
            ),
            (r#"{"x":"\"image_url\"","y":"\u0061"}"#, 0),
            (r#"{"x":"image\\u005furl"}"#, 0),
        ] {
            let (input, bytes) = (Input::of_members(body.as_bytes(), &["image_url"]), body.len() as u64);
            assert_eq!(input.bound(None), bytes + images * 3_000, "{body}");
            assert_eq!(input.bound(Some(1_601)), bytes + images * 801, "{body}");
        }
    }
}
