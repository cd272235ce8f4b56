//! The public catalogue: models and their prices.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use gateway::ModelPrice;
use gateway::{Failure, prices};
use serde_json::{Value, json};

use super::{Segment, user::dollars};
use crate::{envelope::Problem, routes::AppState};

fn record(model: &ModelPrice) -> Value {
    let price = &model.price;
    let per_call = price.per_call.get();
    json!({
        "id": model.model,
        "code": code(&model.model),
        "name": model.model,
        "provider": "",
        "model_type": "text",
        "features": [],
        "pricing": {
            "currency": "USD",
            "input": dollars(price.input.0),
            "output": dollars(price.output.0),
            "per_request": (per_call > 0).then(|| dollars(per_call)),
            "per_second": null,
        },
        "max_completion_tokens": model.max_output,
        "api_doc_url": null,
    })
}

/// How a model is named in a path.
fn code(model: &str) -> String {
    model.replace('.', "-")
}

/// All models, with their prices in US dollars for a million tokens.
#[utoipa::path(get, path = "/api/models", tag = "Catalogue", responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn list(State(state): State<AppState>) -> Result<Response, Problem> {
    let models = prices::list(&state.gateway).await?;
    let data: Vec<Value> = models.iter().map(record).collect();
    let body =
        json!({"success": true, "message": "", "page": 0, "page_size": 0, "total": data.len(), "data": data});
    Ok(Json(body).into_response())
}

/// One model, by its id or its code.
#[utoipa::path(get, path = "/api/model/{code}", tag = "Catalogue",
    params(("code" = String, Path, description = "The model's code, or its id")),
    responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Segment(wanted): Segment,
) -> Result<Response, Problem> {
    let models = prices::list(&state.gateway).await?;
    let found = models.iter().find(|model| model.model == wanted || code(&model.model) == wanted);
    let mut data = record(found.ok_or(Failure::NotFound("model"))?);
    if let Some(object) = data.as_object_mut() {
        object.insert("overview".to_owned(), Value::from(""));
    }
    Ok(Json(json!({"success": true, "message": "", "data": data})).into_response())
}
