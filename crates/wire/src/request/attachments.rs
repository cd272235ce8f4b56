//! What a request brings that is larger than its bytes: pictures, and documents and films, of which nobody knows from the
//! request how long they are.

use crate::json::{Malformed, Walk};

/// What one of them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A picture, or something that is no longer than one.
    Picture,
    /// A document, a film or a recording by its address, or one whose bytes do not bound its tokens.
    Document,
    /// Nothing beyond its bytes.
    Plain,
}

/// What there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attachments {
    pub(super) pictures: u64,
    pub(super) documents: u64,
}

/// Endings of addresses that are no pictures.
const DOCUMENTS: [&str; 22] = [
    "pdf", "doc", "docx", "odt", "rtf", "txt", "md", "csv", "xls", "xlsx", "ppt", "pptx", "html", "htm",
    "json", "mp4", "mov", "mpeg", "mpg", "webm", "mp3", "wav",
];

impl Attachments {
    /// Looks through a body for these members.
    pub(super) fn find(body: &[u8], members: &[&str]) -> Result<Self, Malformed> {
        let mut found = Self::default();
        found.look(&mut Walk::new(body), members)?;
        Ok(found)
    }

    fn look(&mut self, walk: &mut Walk<'_>, members: &[&str]) -> Result<(), Malformed> {
        if walk.is_array() {
            return walk.array(|walk| self.look(walk, members));
        }
        if !walk.is_object() {
            return walk.value().map(drop);
        }
        let (mut kind, mut heavy) = (b"".as_slice(), Vec::new());
        walk.object(|name, walk| {
            let value = walk.value()?;
            if name == b"type" {
                kind = value;
            }
            if let Some(member) = members.iter().find(|member| member.as_bytes() == name) {
                heavy.push((*member, value));
            }
            if value.starts_with(b"{") || value.starts_with(b"[") {
                self.look(&mut Walk::new(value), members)?;
            }
            Ok(())
        })?;
        if heavy.is_empty() {
            return Ok(());
        }
        let of_picture = memchr::memmem::find(kind, b"image").is_some();
        for (member, value) in heavy {
            match judge(member, of_picture, value) {
                Kind::Picture => self.pictures += 1,
                Kind::Document => self.documents += 1,
                Kind::Plain => {}
            }
        }
        Ok(())
    }
}

/// What stands in a member. `of_picture`: the part that it belongs to calls itself a picture.
fn judge(member: &str, of_picture: bool, value: &[u8]) -> Kind {
    let said = Said::read(value);
    match member {
        "image_url" => said.address.as_deref().map_or(Kind::Picture, by_address),
        "source" if of_picture => Kind::Picture,
        "source" if said.is_written || said.address.is_none() && said.medium.is_none() && !said.by_id => {
            Kind::Plain
        }
        "source" | "inlineData" | "inline_data" => match &said.medium {
            Some(medium) => by_medium(medium, said.address.is_none()),
            None if said.address.is_some() || said.by_id || said.data => Kind::Document,
            None => Kind::Plain,
        },
        "fileData" | "file_data" if said.text => {
            said.address.as_deref().map_or(Kind::Plain, by_address_of_file)
        }
        "fileData" | "file_data" => match (&said.address, &said.medium) {
            (Some(_), Some(medium)) => by_medium(medium, false),
            (Some(_), None) => Kind::Document,
            (None, _) => Kind::Plain,
        },
        "file_id" if said.text && of_picture => Kind::Picture,
        "file_id" if said.text => Kind::Document,
        "file" if said.by_id || said.data || said.address.is_some() && !said.text => Kind::Document,
        "file_url" | "video_url" | "audio_url" | "document_url" if said.address.is_some() => Kind::Document,
        "input_audio" if said.address.is_some() => Kind::Document,
        // Its bytes are more than its tokens.
        "input_audio" => Kind::Picture,
        _ => Kind::Plain,
    }
}

fn by_medium(medium: &str, inline: bool) -> Kind {
    match medium.split('/').next() {
        Some("image") => Kind::Picture,
        Some("audio") if inline => Kind::Picture,
        Some("text") if inline => Kind::Plain,
        _ => Kind::Document,
    }
}

fn by_address(address: &str) -> Kind {
    let address = address.trim().to_ascii_lowercase();
    if let Some(data) = address.strip_prefix("data:") {
        return by_medium(data, true);
    }
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let end = path.rsplit_once('.').map_or("", |(_, end)| end);
    // An ending that is not written plainly is somebody's trick.
    if DOCUMENTS.contains(&end) || end.contains('%') { Kind::Document } else { Kind::Picture }
}

fn by_address_of_file(address: &str) -> Kind {
    match by_address(address) {
        Kind::Picture if !address.trim_start().to_ascii_lowercase().starts_with("data:image/") => {
            Kind::Document
        }
        kind => kind,
    }
}

/// What the value of a member says of what it brings.
#[derive(Default)]
struct Said {
    /// Whether it is a text.
    text: bool,
    address: Option<String>,
    medium: Option<String>,
    by_id: bool,
    /// Whether its bytes are in it.
    data: bool,
    /// Whether it is text or content that stands in the request as it is.
    is_written: bool,
}

impl Said {
    fn read(value: &[u8]) -> Self {
        let text = |value: &[u8]| serde_json::from_slice::<String>(value).ok();
        if let Some(address) = text(value) {
            return Self { text: true, address: Some(address), ..Self::default() };
        }
        let mut said = Self::default();
        let read = Walk::new(value).object(|name, walk| {
            let value = walk.value()?;
            if !value.starts_with(b"\"") {
                return Ok(());
            }
            match name {
                b"url" | b"uri" | b"fileUri" | b"file_uri" => said.address = text(value),
                b"media_type" | b"mimeType" | b"mime_type" => {
                    said.medium = text(value).map(|medium| medium.trim().to_ascii_lowercase());
                }
                b"file_id" => said.by_id = true,
                b"data" | b"file_data" => said.data = true,
                b"type" => said.is_written |= matches!(value, b"\"text\"" | b"\"content\""),
                _ => {}
            }
            Ok(())
        });
        // What cannot be read brings whatever it may.
        if read.is_err() && value.starts_with(b"{") {
            said.address = Some(String::new());
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 13] = [
        "image_url",
        "source",
        "inlineData",
        "inline_data",
        "fileData",
        "file_data",
        "file",
        "file_id",
        "file_url",
        "video_url",
        "audio_url",
        "document_url",
        "input_audio",
    ];

    #[test]
    fn pictures_are_told_from_documents() {
        for (part, pictures, documents) in [
            (r#"{"type":"image_url","image_url":{"url":"https://a.example/b?c=x.pdf"}}"#, 1, 0),
            (r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}"#, 1, 0),
            (r#"{"type":"image_url","image_url":{"url":"data:application/pdf;base64,AAAA"}}"#, 0, 1),
            (r#"{"type":"image_url","image_url":"https://a.example/b.PDF?x"}"#, 0, 1),
            (r#"{"type":"image_url","image_url":"https://a.example/b.p\u0064f"}"#, 0, 1),
            (r#"{"type":"image_url","image_url":"https://a.example/b.%70df"}"#, 0, 1),
            (r#"{"type":"input_image","image_url":"https://a.example/b.png"}"#, 1, 0),
            (
                r#"{"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA","filename":"a"}}"#,
                0,
                2,
            ),
            (r#"{"type":"input_file","file_url":"https://a.example/b"}"#, 0, 1),
            (r#"{"type":"input_file","file_id":"f"}"#, 0, 1),
            (r#"{"type":"input_image","file_id":"f"}"#, 1, 0),
            (r#"{"type":"video_url","video_url":{"url":"https://a.example/b"}}"#, 0, 1),
            (r#"{"type":"image","source":{"type":"url","url":"https://a.example/b"}}"#, 1, 0),
            (r#"{"type":"document","source":{"type":"url","url":"https://a.example/b"}}"#, 0, 1),
            (
                r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA"}}"#,
                0,
                1,
            ),
            (r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"AA"}}"#, 0, 0),
            (r#"{"inlineData":{"mimeType":"image/png","data":"AA"}}"#, 1, 0),
            (r#"{"inline_data":{"mime_type":"video/mp4","data":"AA"}}"#, 0, 1),
            (r#"{"inline\u0044ata":{"data":"AA"}}"#, 0, 1),
            (r#"{"fileData":{"mimeType":"image/png","fileUri":"https://a.example/b"}}"#, 1, 0),
            (r#"{"fileData":{"fileUri":"https://a.example/b"}}"#, 0, 1),
            (r#"{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}"#, 1, 0),
            // What tools say of their arguments.
            (
                r#"{"properties":{"file":{"type":"string"},"source":{"type":"string"},"file_url":{"type":"string"}}}"#,
                0,
                0,
            ),
        ] {
            let body = format!(r#"{{"messages":[{{"content":[{part}]}}]}}"#);
            let found = Attachments::find(body.as_bytes(), &ALL).unwrap();
            assert_eq!((found.pictures, found.documents), (pictures, documents), "{part}");
        }
    }
}
