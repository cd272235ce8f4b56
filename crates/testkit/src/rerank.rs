//! Reranking, in the shape that Jina and Cohere share: the shortest document first.

use http::Response;
use serde_json::{Value, json};

use crate::{
    body::{Body, whole},
    member::set,
    provider::Exchange,
    said::count_members,
};

pub(crate) fn answer(exchange: &Exchange) -> Response<Body> {
    let Exchange { request, script, model, .. } = exchange;
    let documents = request.get("documents").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |document: &Value| document.get("text").unwrap_or(document).as_str().map_or(0, str::len);
    let mut order: Vec<(usize, &Value)> = documents.iter().enumerate().collect();
    order.sort_by_key(|(_, document)| text(document));
    let top = request.get("top_n").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let returns = request.get("return_documents") == Some(&Value::Bool(true));
    let result = |(index, document): (usize, &Value)| {
        let mut result = json!({"index": index, "relevance_score": 1.0 / (1 + text(document)) as f64});
        if returns {
            set(
                &mut result,
                "document",
                if document.is_string() { json!({"text": document}) } else { document.clone() },
            );
        }
        result
    };
    let results: Vec<Value> =
        order.into_iter().take(usize::try_from(top).unwrap_or(usize::MAX)).map(result).collect();
    // The query is read once for each document.
    let query = count_members(request, &["query"]) * documents.len() as u64;
    let tokens = query + count_members(request, &["documents"]);
    let usage = json!({"total_tokens": tokens, "prompt_tokens": tokens});
    let meta = json!({"billed_units": {"search_units": 1}, "tokens": {"input_tokens": tokens}});
    let answer = json!({"id": "rerank-1", "model": model, "results": results, "usage": usage, "meta": meta});
    whole(script, answer.to_string())
}
