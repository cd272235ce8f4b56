//! Every string of an event, with where it stands.

use crate::json::{Malformed, Walk};

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 64;

/// Visits the strings of a JSON object: with the names of the members that lead there, joined by dots, and as each stands
/// between its quotes. Items of arrays stand where their array does.
///
/// # Errors
/// It is no JSON object, or nested too deep.
pub(super) fn visit<'a>(event: &'a [u8], mut seen: impl FnMut(&str, &'a [u8])) -> Result<(), Malformed> {
    let mut walk = Walk::new(event);
    if !walk.is_object() {
        return Err(Malformed);
    }
    go(&mut walk, &mut String::new(), MAX_DEPTH, &mut seen)?;
    walk.end()
}

fn go<'a>(
    walk: &mut Walk<'a>,
    path: &mut String,
    depth: usize,
    seen: &mut impl FnMut(&str, &'a [u8]),
) -> Result<(), Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    if walk.is_string() {
        seen(path, walk.string()?);
        return Ok(());
    }
    if walk.is_array() {
        return walk.array(|walk| go(walk, path, depth, seen));
    }
    if !walk.is_object() {
        return walk.value().map(drop);
    }
    walk.object(|name, walk| {
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(&String::from_utf8_lossy(name));
        go(walk, path, depth, seen)?;
        path.truncate(length);
        Ok(())
    })
}
