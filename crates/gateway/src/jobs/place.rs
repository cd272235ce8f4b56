//! What is asked of jobs, and where.

use http::Method;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `POST /v1/videos`.
    Create,
    /// `GET /v1/videos`.
    List,
    /// `GET /v1/videos/{id}`.
    Retrieve(String),
    /// `GET /v1/videos/{id}/content`.
    Content(String),
    /// `POST /v1/videos/{id}/remix`.
    Remix(String),
    /// `DELETE /v1/videos/{id}`.
    Delete(String),
}

/// There is something at the path, and it does not take the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongMethod;

impl Place {
    /// The place at a path; `None` when it is none of jobs.
    #[must_use]
    pub fn at(method: &Method, path: &str) -> Option<Result<Self, WrongMethod>> {
        let rest = path.strip_prefix("/v1/videos")?;
        let mut parts = rest.split('/');
        if parts.next() != Some("") {
            return None;
        }
        let (name, verb) = (parts.next(), parts.next());
        if parts.next().is_some() || name == Some("") || verb == Some("") {
            return None;
        }
        let name = name.map(str::to_owned);
        Some(match (name, verb, method.as_str()) {
            (None, _, "POST") => Ok(Self::Create),
            (None, _, "GET") => Ok(Self::List),
            (Some(name), None, "GET") => Ok(Self::Retrieve(name)),
            (Some(name), None, "DELETE") => Ok(Self::Delete(name)),
            (Some(name), Some("content"), "GET") => Ok(Self::Content(name)),
            (Some(name), Some("remix"), "POST") => Ok(Self::Remix(name)),
            (None, ..) | (_, None | Some("content" | "remix"), _) => Err(WrongMethod),
            (Some(_), Some(_), _) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_is_asked() {
        let name = || "video_1".to_owned();
        for (method, path, expected) in [
            ("POST", "/v1/videos", Some(Ok(Place::Create))),
            ("GET", "/v1/videos", Some(Ok(Place::List))),
            ("PUT", "/v1/videos", Some(Err(WrongMethod))),
            ("GET", "/v1/videos/video_1", Some(Ok(Place::Retrieve(name())))),
            ("DELETE", "/v1/videos/video_1", Some(Ok(Place::Delete(name())))),
            ("POST", "/v1/videos/video_1", Some(Err(WrongMethod))),
            ("GET", "/v1/videos/video_1/content", Some(Ok(Place::Content(name())))),
            ("POST", "/v1/videos/video_1/remix", Some(Ok(Place::Remix(name())))),
            ("GET", "/v1/videos/video_1/remix", Some(Err(WrongMethod))),
            ("GET", "/v1/videos/video_1/other", None),
            ("GET", "/v1/videos/video_1/content/x", None),
            ("GET", "/v1/videosx", None),
            ("GET", "/v1/models", None),
        ] {
            assert_eq!(Place::at(&method.parse().unwrap(), path), expected, "{method} {path}");
        }
    }
}
