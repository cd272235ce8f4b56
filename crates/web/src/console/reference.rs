//! The OpenAPI document as sections for people: what each call takes, gives, and an example with the right address.

use std::sync::LazyLock;

use serde_json::{Map, Value};

/// Members deeper than this are not unfolded.
const DEPTH: usize = 4;

/// Calls of one kind.
pub(crate) struct Section {
    /// The tag of the document.
    pub(crate) tag: String,
    /// The calls.
    pub(crate) calls: Vec<Call>,
}

/// One call.
pub(crate) struct Call {
    /// Its anchor in the page.
    pub(crate) id: String,
    /// In capitals.
    pub(crate) method: String,
    /// With `{names}` for its variable parts.
    pub(crate) path: String,
    /// A sentence.
    pub(crate) summary: String,
    /// The kind of credential: `personal_access_token`, `api_key`, or none.
    pub(crate) credential: Option<String>,
    /// What stands in path, query and headers.
    pub(crate) parameters: Vec<Member>,
    /// What stands in the body.
    pub(crate) body: Vec<Member>,
    /// An example of the body.
    example: Option<String>,
    /// Statuses and what they mean.
    pub(crate) answers: Vec<(String, String)>,
}

/// A member or a parameter.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) is_required: bool,
    pub(crate) description: String,
}

impl Call {
    /// A request to copy, for a gateway at `base`.
    pub(crate) fn curl(&self, base: &str) -> String {
        let mut text = match self.method.as_str() {
            "GET" => format!("curl {base}{}", self.path),
            method => format!("curl -X {method} {base}{}", self.path),
        };
        match self.credential.as_deref() {
            Some("api_key") => text.push_str(" \\\n  -H \"Authorization: Bearer $APSIS_API_KEY\""),
            Some(_) => text.push_str(" \\\n  -H \"Authorization: $APSIS_TOKEN\""),
            None => {}
        }
        if let Some(example) = &self.example {
            text.push_str(&format!(" \\\n  -H 'content-type: application/json' \\\n  -d '{example}'"));
        }
        text
    }
}

struct Document(Value);

impl Document {
    /// A schema itself, when what stands there is a reference.
    fn follow<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let pointer = reference.and_then(|reference| reference.strip_prefix('#'));
        pointer.and_then(|pointer| self.0.pointer(pointer)).unwrap_or(schema)
    }

    fn kind(&self, schema: &Value) -> String {
        let schema = self.follow(schema);
        match schema.get("type") {
            Some(Value::String(kind)) if kind == "array" => {
                let items = schema.get("items").map(|items| self.kind(items));
                format!("[{}]", items.unwrap_or_default())
            }
            Some(Value::String(kind)) => kind.clone(),
            Some(Value::Array(kinds)) => {
                let kinds: Vec<_> = kinds.iter().filter_map(Value::as_str).collect();
                kinds.join(" | ")
            }
            _ => {
                let of =
                    ["oneOf", "anyOf", "allOf"].into_iter().find_map(|word| schema.get(word)?.as_array());
                let kinds: Vec<_> = of
                    .into_iter()
                    .flatten()
                    .map(|one| self.kind(one))
                    .filter(|kind| !kind.is_empty())
                    .collect();
                kinds.join(" | ")
            }
        }
    }

    fn members(&self, schema: &Value) -> Vec<Member> {
        let schema = self.follow(schema);
        let required = |name: &str| {
            let list = schema.get("required").and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|one| one == name))
        };
        let properties = schema.get("properties").and_then(Value::as_object);
        let member = |(name, schema): (&String, &Value)| Member {
            name: name.clone(),
            kind: self.kind(schema),
            is_required: required(name),
            description: text(schema, "description")
                .or_else(|| text(self.follow(schema), "description"))
                .unwrap_or_default(),
        };
        properties.into_iter().flatten().map(member).collect()
    }

    /// A value that fits: what the document gives as an example, else one of the right type.
    fn example(&self, schema: &Value, depth: usize) -> Value {
        let schema = self.follow(schema);
        if let Some(example) = schema.get("example").or_else(|| schema.get("default")) {
            return example.clone();
        }
        let kind = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
            Some(kind) => kind.as_str(),
            None => None,
        };
        match kind {
            Some("object") if depth < DEPTH => {
                let properties = schema.get("properties").and_then(Value::as_object);
                let members = properties
                    .into_iter()
                    .flatten()
                    .map(|(name, one)| (name.clone(), self.example(one, depth + 1)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            Some("array") if depth < DEPTH => Value::Array(
                schema.get("items").map(|items| self.example(items, depth + 1)).into_iter().collect(),
            ),
            Some("integer" | "number") => Value::from(1),
            Some("boolean") => Value::Bool(true),
            Some("string") => Value::from("…"),
            _ => Value::Null,
        }
    }

    fn call(&self, path: &str, method: &str, operation: &Value) -> Call {
        let list = |name: &str| operation.get(name).and_then(Value::as_array).into_iter().flatten();
        let parameter = |one: &Value| Member {
            name: text(one, "name").unwrap_or_default(),
            kind: one.get("schema").map(|schema| self.kind(schema)).unwrap_or_default(),
            is_required: one.get("required").is_some_and(|required| required == true),
            description: text(one, "description").unwrap_or_default(),
        };
        let body = operation.pointer("/requestBody/content/application~1json/schema");
        let answers = operation.get("responses").and_then(Value::as_object);
        let model =
            MODEL_EXAMPLES.iter().find(|(door, _)| *door == path).map(|(_, example)| (*example).to_owned());
        let generated = || body.map(|schema| self.example(schema, 0)).filter(Value::is_object);
        Call {
            id: format!("{method}-{}", path.replace(['/', '{', '}', ':'], "-").trim_matches('-')),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(operation, "summary")
                .or_else(|| text(operation, "description"))
                .unwrap_or_default(),
            credential: list("security")
                .next()
                .and_then(Value::as_object)
                .and_then(|one| one.keys().next())
                .cloned(),
            parameters: list("parameters").map(parameter).collect(),
            body: body.map(|schema| self.members(schema)).unwrap_or_default(),
            example: model.or_else(|| generated().map(|value| value.to_string())),
            answers: answers
                .into_iter()
                .flatten()
                .map(|(status, answer)| (status.clone(), text(answer, "description").unwrap_or_default()))
                .collect(),
        }
    }

    fn sections(&self) -> Vec<Section> {
        let mut sections: Vec<Section> = Vec::new();
        let paths = self.0.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            for method in ["get", "post", "put", "delete"] {
                let Some(operation) = item.get(method) else { continue };
                let tag = operation.pointer("/tags/0").and_then(Value::as_str).unwrap_or("Other");
                let call = self.call(path, method, operation);
                match sections.iter_mut().find(|section| section.tag == tag) {
                    Some(section) => section.calls.push(call),
                    None => sections.push(Section { tag: tag.to_owned(), calls: vec![call] }),
                }
            }
        }
        // What most readers are here for comes first, and what is for operators last.
        let order = ["Models", "API keys", "Usage", "Account", "Catalogue", "Operators"];
        let place =
            |section: &Section| order.iter().position(|tag| *tag == section.tag).unwrap_or(order.len());
        sections.sort_by_key(place);
        sections
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    Some(value.get(name)?.as_str()?.to_owned())
}

/// Bodies of the model API are the vendors' own, so their examples are written here.
const MODEL_EXAMPLES: [(&str, &str); 13] = [
    ("/v1/moderations", r#"{"input":"Hello"}"#),
    ("/v1/rerank", r#"{"model":"MODEL","query":"moons","documents":["Europa","Paris"]}"#),
    ("/v1beta/models/{model}:countTokens", r#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}"#),
    ("/v1beta/models/{model}:embedContent", r#"{"content":{"parts":[{"text":"Hello"}]}}"#),
    (
        "/v1beta/models/{model}:batchEmbedContents",
        r#"{"requests":[{"model":"models/MODEL","content":{"parts":[{"text":"Hello"}]}}]}"#,
    ),
    ("/v1/chat/completions", r#"{"model":"gpt-5-mini","messages":[{"role":"user","content":"Hello"}]}"#),
    ("/v1/responses", r#"{"model":"gpt-5-mini","input":"Hello"}"#),
    (
        "/v1/messages",
        r#"{"model":"claude-sonnet-4-5","max_tokens":200,"messages":[{"role":"user","content":"Hello"}]}"#,
    ),
    (
        "/v1beta/models/{model}:generateContent",
        r#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}"#,
    ),
    (
        "/v1beta/models/{model}:streamGenerateContent",
        r#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}"#,
    ),
    ("/v1/completions", r#"{"model":"gpt-5-mini","prompt":"Once upon a time"}"#),
    ("/v1/embeddings", r#"{"model":"text-embedding-3-small","input":["Hello"]}"#),
    (
        "/v1/messages/count_tokens",
        r#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hello"}]}"#,
    ),
];

/// The sections of the document that the gateway serves.
pub(crate) static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| {
    let document = serde_json::to_value(crate::routes::document()).unwrap_or_default();
    Document(document).sections()
});
