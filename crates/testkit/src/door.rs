//! What stands at which path, as the vendors' documents have it.

use http::{Method, Uri};

use crate::vendor::Vendor;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Chat,
    Completions,
    Responses,
    Embeddings,
    Moderations,
    Rerank,
    Images,
    Speech,
    Transcription,
    CreateVideo,
    Video(String),
    VideoContent(String),
    RemixVideo(String),
    DeleteVideo(String),
    Realtime,
    Messages,
    CountMessages,
    /// Messages at a cloud, whose path says what is streamed.
    Hosted {
        stream: bool,
    },
    Generate {
        stream: bool,
        sse: bool,
    },
    CountGoogle,
    EmbedGoogle {
        batch: bool,
    },
}

/// A door, whose it is, and the model where the path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) vendor: Vendor,
    pub(crate) door: Door,
    pub(crate) model: Option<String>,
}

/// Whose path it is, and what it is behind that vendor's own beginning.
fn vendor(path: &str) -> (Vendor, &str) {
    for (prefix, vendor) in [
        ("/bedrock/", Vendor::Bedrock),
        ("/model/", Vendor::Bedrock),
        ("/openai/v1/", Vendor::Azure),
        ("/openai/", Vendor::Azure),
        ("/v1beta/", Vendor::Google),
        ("/v1/projects/", Vendor::Vertex),
        ("/v1beta1/projects/", Vendor::Vertex),
    ] {
        if let Some(rest) = path.strip_prefix(prefix) {
            return (vendor, rest);
        }
    }
    let rest = path.strip_prefix("/v1/").unwrap_or_default();
    if rest.starts_with("models/") && rest.contains(':') {
        return (Vendor::Google, rest);
    }
    if rest == "messages" || rest.starts_with("messages/") {
        return (Vendor::Anthropic, rest);
    }
    (Vendor::OpenAi, rest)
}

/// Finds the door at a path; without one, whose path it would be.
pub(crate) fn at(method: &Method, uri: &Uri) -> Result<Place, Vendor> {
    let (vendor, rest) = vendor(uri.path());
    let (mut model, mut rest) = (None, rest);
    if vendor == Vendor::Azure
        && let Some((deployment, behind)) =
            rest.strip_prefix("deployments/").and_then(|rest| rest.split_once('/'))
    {
        (model, rest) = (Some(deployment.to_owned()), behind);
    }
    let door = match vendor {
        Vendor::OpenAi | Vendor::Azure if rest == "realtime" => {
            let query = uri.query().unwrap_or_default();
            model = query.split('&').find_map(|pair| pair.strip_prefix("model=")).map(str::to_owned);
            Some(Door::Realtime)
        }
        Vendor::OpenAi | Vendor::Azure => openai(method, rest),
        Vendor::Anthropic => match (method.as_str(), rest) {
            ("POST", "messages") => Some(Door::Messages),
            ("POST", "messages/count_tokens") => Some(Door::CountMessages),
            _ => None,
        },
        Vendor::Bedrock => match rest.strip_prefix("openai/v1/") {
            Some(rest) => openai(method, rest),
            None => {
                let (id, verb) = rest.trim_start_matches("model/").split_once('/').ok_or(vendor)?;
                let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy().into_owned();
                model = Some(id);
                bedrock(method, verb)
            }
        },
        Vendor::Vertex if rest.ends_with("/endpoints/openapi/chat/completions") => {
            openai(method, "chat/completions")
        }
        Vendor::Vertex if rest.contains("/publishers/anthropic/models/") => {
            let named = rest.rsplit_once("models/").and_then(|(_, named)| named.split_once(':'));
            let (name, verb) = named.filter(|_| method == Method::POST).ok_or(vendor)?;
            model = Some(name.to_owned()).filter(|name| name != "count-tokens");
            match (verb, &model) {
                ("rawPredict", None) => Some(Door::CountMessages),
                ("rawPredict", Some(_)) => Some(Door::Hosted { stream: false }),
                ("streamRawPredict", Some(_)) => Some(Door::Hosted { stream: true }),
                _ => None,
            }
        }
        Vendor::Google | Vendor::Vertex => {
            let named = rest.rsplit_once("models/").and_then(|(_, named)| named.split_once(':'));
            let (name, verb) = named.filter(|_| method == Method::POST).ok_or(vendor)?;
            model = Some(name.to_owned());
            google(verb, uri.query().unwrap_or_default())
        }
    };
    door.map(|door| Place { vendor, door, model }).ok_or(vendor)
}

fn openai(method: &Method, rest: &str) -> Option<Door> {
    if let Some(video) = rest.strip_prefix("videos") {
        let mut parts = video.strip_prefix('/').unwrap_or(video).split('/');
        let (id, verb) = (parts.next().unwrap_or_default().to_owned(), parts.next());
        return match (method.as_str(), id.is_empty(), verb) {
            ("POST", true, None) => Some(Door::CreateVideo),
            ("GET", false, None) => Some(Door::Video(id)),
            ("DELETE", false, None) => Some(Door::DeleteVideo(id)),
            ("GET", false, Some("content")) => Some(Door::VideoContent(id)),
            ("POST", false, Some("remix")) => Some(Door::RemixVideo(id)),
            _ => None,
        };
    }
    if method != Method::POST {
        return None;
    }
    Some(match rest {
        "chat/completions" => Door::Chat,
        "completions" => Door::Completions,
        "responses" => Door::Responses,
        "embeddings" => Door::Embeddings,
        "moderations" => Door::Moderations,
        "rerank" => Door::Rerank,
        "images/generations" | "images/edits" => Door::Images,
        "audio/speech" => Door::Speech,
        "audio/transcriptions" | "audio/translations" => Door::Transcription,
        _ => return None,
    })
}

fn bedrock(method: &Method, verb: &str) -> Option<Door> {
    match (method.as_str(), verb) {
        ("POST", "invoke") => Some(Door::Hosted { stream: false }),
        ("POST", "invoke-with-response-stream") => Some(Door::Hosted { stream: true }),
        _ => None,
    }
}

fn google(verb: &str, query: &str) -> Option<Door> {
    Some(match verb {
        "generateContent" => Door::Generate { stream: false, sse: false },
        "streamGenerateContent" => {
            Door::Generate { stream: true, sse: query.split('&').any(|pair| pair == "alt=sse") }
        }
        "countTokens" => Door::CountGoogle,
        "embedContent" => Door::EmbedGoogle { batch: false },
        "batchEmbedContents" => Door::EmbedGoogle { batch: true },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_paths_of_every_vendor() {
        for (method, path, expected) in [
            ("POST", "/v1/chat/completions", Ok((Vendor::OpenAi, Door::Chat, None))),
            ("POST", "/openai/v1/responses", Ok((Vendor::Azure, Door::Responses, None))),
            ("POST", "/openai/deployments/d/embeddings", Ok((Vendor::Azure, Door::Embeddings, Some("d")))),
            ("POST", "/v1/messages", Ok((Vendor::Anthropic, Door::Messages, None))),
            ("POST", "/v1/messages/batches", Err(Vendor::Anthropic)),
            (
                "POST",
                "/v1beta/models/m:streamGenerateContent?alt=sse",
                Ok((Vendor::Google, Door::Generate { stream: true, sse: true }, Some("m"))),
            ),
            (
                "POST",
                "/v1/projects/p/locations/l/publishers/google/models/m:generateContent",
                Ok((Vendor::Vertex, Door::Generate { stream: false, sse: false }, Some("m"))),
            ),
            (
                "POST",
                "/v1/projects/p/locations/l/publishers/anthropic/models/c@1:streamRawPredict",
                Ok((Vendor::Vertex, Door::Hosted { stream: true }, Some("c@1"))),
            ),
            (
                "POST",
                "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
                Ok((Vendor::Vertex, Door::CountMessages, None)),
            ),
            (
                "POST",
                "/v1/projects/p/locations/l/endpoints/openapi/chat/completions",
                Ok((Vendor::Vertex, Door::Chat, None)),
            ),
            (
                "POST",
                "/model/a.b-v1%3A0/invoke",
                Ok((Vendor::Bedrock, Door::Hosted { stream: false }, Some("a.b-v1:0"))),
            ),
            ("POST", "/bedrock/openai/v1/chat/completions", Ok((Vendor::Bedrock, Door::Chat, None))),
            ("POST", "/v1/models/m:countTokens", Ok((Vendor::Google, Door::CountGoogle, Some("m")))),
            ("GET", "/v1beta/models/m:countTokens", Err(Vendor::Google)),
            ("GET", "/v1/videos/v/content", Ok((Vendor::OpenAi, Door::VideoContent("v".to_owned()), None))),
            ("GET", "/", Err(Vendor::OpenAi)),
        ] {
            let found = at(&Method::from_bytes(method.as_bytes()).unwrap(), &path.parse().unwrap());
            let expected =
                expected.map(|(vendor, door, model)| Place { vendor, door, model: model.map(str::to_owned) });
            assert_eq!(found, expected, "{path}");
        }
    }
}
