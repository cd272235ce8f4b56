//! One look at the brackets and strings of a body, before anything is read: how deep it is nested, and whether it may
//! bring something that is larger than its bytes.

use memchr::memmem;

use super::{BodyError, MAX_DEPTH};
use crate::json::after_string;

/// Refuses nesting beyond [`MAX_DEPTH`] before anything recurses into it.
///
/// # Errors
/// [`BodyError::TooDeep`].
pub fn check_depth(body: &[u8]) -> Result<(), BodyError> {
    skim(body, &[]).map(drop)
}

/// The same, and whether some text of the body is the name of one of these members.
pub(super) fn skim(body: &[u8], members: &[&str]) -> Result<bool, BodyError> {
    // Most texts differ from all of them in their first byte, which costs less to see than to compare them.
    let bit = |byte: u8| 1_u32 << (byte % 32);
    let firsts =
        members.iter().filter_map(|member| member.bytes().next()).fold(0, |all, byte| all | bit(byte));
    let (mut depth, mut mentioned) = (0_usize, false);
    let mut rest = body;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => {
                rest = after_string(after).unwrap_or_default();
                if after.first().is_some_and(|first| firsts & bit(*first) != 0) {
                    let text = after.get(..after.len() - rest.len()).unwrap_or_default();
                    mentioned |=
                        members.iter().any(|member| text.strip_suffix(b"\"") == Some(member.as_bytes()));
                }
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(BodyError::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(mentioned || !members.is_empty() && escaped(body, members))
}

/// Mentions that are written with escapes, such as `image\u005furl`: the same to a JSON reader, and so to the upstream.
fn escaped(body: &[u8], members: &[&str]) -> bool {
    if memchr::memchr(b'\\', body).is_none() {
        return false;
    }
    // Nobody needs to escape a letter or an underscore, so most other bodies end here.
    let letter = |at: usize| body.get(at + 4).is_some_and(|digit| matches!(digit, b'4'..=b'7'));
    if !memmem::find_iter(body, b"\\u00").any(letter) {
        return false;
    }
    let longest = members.iter().map(|member| member.len()).max().unwrap_or(0);
    let mut rest = body;
    while let Some(start) = memchr::memchr(b'"', rest) {
        let string = rest.get(start..).unwrap_or_default();
        rest = after_string(string.get(1..).unwrap_or_default()).unwrap_or_default();
        let string = string.get(..string.len() - rest.len()).unwrap_or_default();
        // Every character may be an escape of six bytes.
        let may_be = string.len() <= 6 * longest + 2 && string.contains(&b'\\');
        if may_be
            && serde_json::from_slice::<String>(string).is_ok_and(|text| members.contains(&text.as_str()))
        {
            return true;
        }
    }
    false
}
