//! Messages as clouds want them that host Anthropic's models: the path names the model, and the body names the version.

use bytes::Bytes;
use serde_json::Value;

use crate::json::Walk;

/// How a cloud wants the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosted {
    /// The value of `anthropic_version`.
    pub version: &'static str,
    /// Whether the body says that a stream is wanted; elsewhere the path alone says it.
    pub stream: bool,
    /// Whether the body names the betas that a header names at the vendor.
    pub betas: bool,
}

impl Hosted {
    /// A request of Anthropic's own as this cloud wants it; `named` says whether the path names the model, and `betas` is the
    /// vendor's header. Every other member stays as it is. `None` when the body is no JSON object.
    #[must_use]
    pub fn body(&self, body: &[u8], named: bool, betas: Option<&str>) -> Option<Bytes> {
        let mut out = Vec::with_capacity(body.len() + 64);
        let mut member = |name: &[u8], value: &[u8]| {
            let before: &[u8] = if out.is_empty() { b"{" } else { b"," };
            let name = Value::from(String::from_utf8_lossy(name)).to_string();
            for part in [before, name.as_bytes(), b":", value] {
                out.extend_from_slice(part);
            }
        };
        member(b"anthropic_version", Value::from(self.version).to_string().as_bytes());
        let mut betas = betas.filter(|_| self.betas);
        let mut walk = Walk::new(body);
        let read = walk.object(|name, walk| {
            let value = walk.value()?;
            match name {
                b"anthropic_version" => {}
                b"model" if named => {}
                b"stream" if !self.stream => {}
                name => {
                    if name == b"anthropic_beta" {
                        betas = None;
                    }
                    member(name, value);
                }
            }
            Ok(())
        });
        read.ok()?;
        if let Some(betas) = betas {
            let betas: Value =
                betas.split(',').map(str::trim).filter(|beta| !beta.is_empty()).map(Value::from).collect();
            member(b"anthropic_beta", betas.to_string().as_bytes());
        }
        out.push(b'}');
        Some(out.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERTEX: Hosted = Hosted { version: "v", stream: true, betas: false };
    const BEDROCK: Hosted = Hosted { version: "b", stream: false, betas: true };

    fn body(cloud: Hosted, body: &str, named: bool, betas: Option<&str>) -> Option<String> {
        cloud.body(body.as_bytes(), named, betas).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn only_what_the_cloud_wants_otherwise_changes() {
        let asked = r#" {"model" : "m", "stream":true,"max_tokens": 1e1,"é\"x":[ 1, {"model":2}],"anthropic_version":"x"}"#;
        for (cloud, named, betas, expected) in [
            (
                VERTEX,
                true,
                Some("a"),
                r#"{"anthropic_version":"v","stream":true,"max_tokens":1e1,"é\"x":[ 1, {"model":2}]}"#,
            ),
            (
                VERTEX,
                false,
                None,
                r#"{"anthropic_version":"v","model":"m","stream":true,"max_tokens":1e1,"é\"x":[ 1, {"model":2}]}"#,
            ),
            (
                BEDROCK,
                true,
                Some("a, b"),
                r#"{"anthropic_version":"b","max_tokens":1e1,"é\"x":[ 1, {"model":2}],"anthropic_beta":["a","b"]}"#,
            ),
        ] {
            assert_eq!(body(cloud, asked, named, betas).as_deref(), Some(expected));
        }
        let own = r#"{"anthropic_beta":["own"]}"#;
        let expected = r#"{"anthropic_version":"b","anthropic_beta":["own"]}"#;
        assert_eq!(body(BEDROCK, own, true, Some("a")).as_deref(), Some(expected));
        assert_eq!(body(BEDROCK, "[]", true, None), None);
        assert_eq!(body(BEDROCK, r#"{"a":"#, true, None), None);
    }
}
