//! The list of models that a key may call, in the shape of each vendor.

use serde_json::{Value, json};

use crate::error::Dialect;

/// One model.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    /// Its name.
    pub id: &'a str,
    /// Who makes it, where somebody said.
    pub owner: Option<&'a str>,
    /// The endpoints where it may be asked, by the names of catalogues.
    pub endpoints: &'a [&'a str],
    /// Whether it answers in text.
    pub talks: bool,
    /// The largest input and output in tokens, where they are known.
    pub largest: (Option<u64>, u64),
}

/// One model as a vendor's clients read it.
#[must_use]
pub fn one(model: Model<'_>, dialect: Dialect) -> Value {
    let Model { id, owner, endpoints, talks, largest: (input, output) } = model;
    match dialect {
        Dialect::OpenAi => json!({
            "id": id, "object": "model", "created": 0, "owned_by": owner.unwrap_or("apsis"),
            "supported_endpoint_types": endpoints,
        }),
        Dialect::Anthropic => json!({
            "type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z",
        }),
        Dialect::Google => {
            let methods: &[&str] = match talks {
                true => &["generateContent", "streamGenerateContent", "countTokens"],
                false => &["embedContent"],
            };
            let mut model = json!({
                "name": format!("models/{id}"), "baseModelId": id, "version": "", "displayName": id,
                "outputTokenLimit": output, "supportedGenerationMethods": methods,
            });
            if let (Some(members), Some(input)) = (model.as_object_mut(), input) {
                members.insert("inputTokenLimit".to_owned(), input.into());
            }
            model
        }
    }
}

/// The list. It is whole: nobody has so many models that it would need pages.
#[must_use]
pub fn list(models: Vec<Value>, dialect: Dialect) -> Value {
    match dialect {
        Dialect::OpenAi => json!({"object": "list", "data": models}),
        Dialect::Anthropic => {
            let id = |model: Option<&Value>| model.and_then(|model| model.get("id")).cloned();
            let (first, last) = (id(models.first()), id(models.last()));
            json!({"data": models, "has_more": false, "first_id": first, "last_id": last})
        }
        Dialect::Google => json!({"models": models}),
    }
}
