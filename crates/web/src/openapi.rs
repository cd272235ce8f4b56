//! The head of the OpenAPI document; its paths come from the handlers.

use gateway::door::Door;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, HttpMethod, Ref, RefOr, Required, ResponseBuilder,
        path::{OperationBuilder, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{AnyOfBuilder, Schema},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::model_api::jobs::OPERATIONS;

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

/// Adds the doors of the model API, which are matched before every other route.
pub(crate) fn with_doors(document: &mut utoipa::openapi::OpenApi) {
    let any = || ContentBuilder::new().schema(Some(Schema::default())).build();
    for door in Door::ALL {
        if door == Door::Realtime {
            with_realtime(document);
            continue;
        }
        let body =
            RequestBodyBuilder::new().content("application/json", any()).required(Some(Required::True));
        let answer =
            ResponseBuilder::new().description("The model's answer").content("application/json", any());
        let operation = OperationBuilder::new()
            .tag("Models")
            .summary(Some(door.summary()))
            .operation_id(Some(door.path().trim_start_matches("/v1/").replace('/', "_")))
            .request_body(Some(body.build()))
            .response("200", answer)
            .security(SecurityRequirement::new("api_key", Vec::<String>::new()));
        document.paths.add_path_operation(door.path(), vec![HttpMethod::Post], operation.build());
    }
    for (method, path, summary) in OPERATIONS {
        let answer =
            ResponseBuilder::new().description("What is known of it").content("application/json", any());
        let mut operation = OperationBuilder::new()
            .tag("Models")
            .summary(Some(summary))
            .response("200", answer)
            .security(SecurityRequirement::new("api_key", Vec::<String>::new()));
        if path.contains("{id}") {
            let id = ParameterBuilder::new()
                .name("id")
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(Schema::default()));
            operation = operation.parameter(id);
        }
        document.paths.add_path_operation(path, vec![method], operation.build());
    }
}

/// Adds the door that is a websocket.
fn with_realtime(document: &mut utoipa::openapi::OpenApi) {
    let model = ParameterBuilder::new()
        .name("model")
        .parameter_in(ParameterIn::Query)
        .description(Some("The model of a conversation"))
        .schema(Some(Schema::default()));
    let intent = ParameterBuilder::new()
        .name("intent")
        .parameter_in(ParameterIn::Query)
        .description(Some("`transcription`, without a model, where what is heard is only written down"))
        .schema(Some(Schema::default()));
    let operation = OperationBuilder::new()
        .tag("Models")
        .summary(Some(Door::Realtime.summary()))
        .operation_id(Some("realtime"))
        .parameter(model)
        .parameter(intent)
        .response("101", ResponseBuilder::new().description("A websocket follows"))
        .security(SecurityRequirement::new("api_key", Vec::<String>::new()));
    let path = Door::Realtime.path();
    document.paths.add_path_operation(path, vec![HttpMethod::Get], operation.build());
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
