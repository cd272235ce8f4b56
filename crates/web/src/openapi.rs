//! The head of the OpenAPI document; its paths come from the handlers.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        Ref, RefOr,
        schema::{AnyOfBuilder, Schema},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Apsis",
        description = "An AI-model API gateway: API keys with quotas, and model requests counted exactly.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Credentials)
)]
pub(crate) struct Document;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = ApiKeyValue::with_description(
            "Authorization",
            "A personal access token, raw or after one `Bearer `",
        );
        components
            .add_security_scheme("personal_access_token", SecurityScheme::ApiKey(ApiKey::Header(token)));
        let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key")).build();
        components.add_security_scheme("api_key", SecurityScheme::Http(key));
    }
}

/// Says for every call with the management envelope that a 200 may also be a failure that the caller can mend.
pub(crate) fn with_failures(document: &mut utoipa::openapi::OpenApi) {
    let enveloped =
        |path: &str| path.starts_with("/api/") && !["/api/usage/token", "/api/models"].contains(&path);
    for (path, item) in &mut document.paths.paths {
        if !enveloped(path) {
            continue;
        }
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let Some(RefOr::T(response)) = operation.responses.responses.get_mut("200") else { continue };
            for content in response.content.values_mut() {
                let RefOr::T(content) = content else { continue };
                let Some(success) = content.schema.take() else { continue };
                let either = AnyOfBuilder::new().item(success).item(Ref::from_schema_name("Failed"));
                content.schema = Some(RefOr::T(Schema::AnyOf(either.build())));
            }
        }
    }
}
