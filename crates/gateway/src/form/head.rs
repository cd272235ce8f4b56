//! The head of a field.

use std::collections::HashMap;

use model::refusal::Refusal;

/// What the head of a field says.
pub(super) struct Head {
    pub(super) name: String,
    pub(super) file: Option<String>,
    pub(super) kind: Option<String>,
}

pub(super) fn malformed() -> Refusal {
    Refusal::InvalidRequest("the request body is not the form that its head says".to_owned())
}

impl Head {
    /// Reads a head without the empty line behind it.
    ///
    /// # Errors
    /// It is not framed as it must be, or names no field.
    pub(super) fn read(head: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(head).map_err(|_| malformed())?;
        let (mut disposition, mut kind) = (None, None);
        for line in text.split("\r\n") {
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            let kept = match name.trim().to_ascii_lowercase().as_str() {
                "content-disposition" => &mut disposition,
                "content-type" => &mut kind,
                _ => continue,
            };
            // Of two, others could take the other one.
            if kept.replace(value.trim().to_owned()).is_some() {
                return Err(malformed());
            }
        }
        let mut told = parameters(&disposition.ok_or_else(malformed)?)?;
        let name = told.remove("name").ok_or_else(malformed)?;
        Ok(Self { name, file: told.remove("filename"), kind })
    }
}

/// The parameters of a header, with or without quotes. What could be read in two ways is refused: one that stands twice or is
/// written in an extended form, escapes, and characters that no name needs.
pub(super) fn parameters(value: &str) -> Result<HashMap<String, String>, Refusal> {
    let mut found = HashMap::new();
    if value.chars().any(|character| character.is_control() || character == '\\') {
        return Err(malformed());
    }
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest).trim();
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=').ok_or_else(malformed)?;
        let behind = behind.trim_start();
        let (text, next) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(malformed)?,
            None => behind.split_at(behind.find(';').unwrap_or(behind.len())),
        };
        let name = name.trim().to_ascii_lowercase();
        // Beside its plain form a file's name may have an extended one, which nobody here needs.
        if name.ends_with('*') && name != "filename*" || found.insert(name, text.trim().to_owned()).is_some()
        {
            return Err(malformed());
        }
        let next = next.trim_start();
        rest = match next.strip_prefix(';') {
            Some(next) => next.trim_start(),
            None if next.is_empty() => next,
            None => return Err(malformed()),
        };
    }
    Ok(found)
}
