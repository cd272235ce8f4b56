//! Each member of a request of Gemini, with a request that says it.

use serde_json::{Value, json};

/// A request whose user says one part.
fn user(part: Value) -> Value {
    json!({"contents": [{"role": "user", "parts": [part]}]})
}

/// The members, each with those of a request that stand in the place of the least request's.
pub(crate) fn probes(schema: &Value) -> Vec<(&'static str, Value)> {
    let config = |name: &str, value: Value| json!({"generationConfig": {name: value}});
    let inline = |mime: &str| user(json!({"inlineData": {"mimeType": mime, "data": "AAAA"}}));
    let tools = json!([{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]);
    let described = json!([{"functionDeclarations": [{"name": "f", "response_json_schema": schema}]}]);
    let choice = |more: Value| json!({"tools": tools, "toolConfig": {"functionCallingConfig": more}});
    let call = json!({"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]});
    let response = |value: Value| json!({"contents": [call, {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": value}}]}]});
    vec![
        ("`systemInstruction`", json!({"systemInstruction": {"parts": [{"text": "S"}]}})),
        ("image, inline", inline("image/png")),
        ("sound (wav, mp3), inline", inline("audio/wav")),
        ("video, inline", inline("video/mp4")),
        ("file, inline", inline("application/pdf")),
        (
            "image, by URL",
            user(json!({"fileData": {"mimeType": "image/png", "fileUri": "https://a.example/b.png"}})),
        ),
        (
            "file, by URL",
            user(json!({"fileData": {"mimeType": "application/pdf", "fileUri": "https://a.example/b.pdf"}})),
        ),
        (
            "file, uploaded",
            user(
                json!({"fileData": {"mimeType": "application/pdf", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/f"}}),
            ),
        ),
        ("`functionCall` and `functionResponse`", response(json!({"output": "r"}))),
        ("`error` in a `functionResponse`", response(json!({"error": "r"}))),
        (
            "`thought` with `thoughtSignature`",
            json!({"contents": [{"role": "model", "parts": [{"text": "t", "thought": true, "thoughtSignature": "AAAA"}, {"text": "a"}]}]}),
        ),
        ("`executableCode`, and parts of built-in tools", user(json!({"executableCode": {"code": "1"}}))),
        ("`tools`: `functionDeclarations`", json!({"tools": tools})),
        ("`response`, `responseJsonSchema` of a function", json!({"tools": described})),
        ("`tools`: built-in", json!({"tools": [{"googleSearch": {}}]})),
        (
            "`functionCallingConfig`: AUTO, ANY, NONE, one name",
            choice(json!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
        ),
        ("`functionCallingConfig`: VALIDATED", choice(json!({"mode": "VALIDATED"}))),
        (
            "`functionCallingConfig`: several names",
            choice(json!({"mode": "ANY", "allowedFunctionNames": ["f", "g"]})),
        ),
        (
            "`responseSchema`, `responseJsonSchema`",
            json!({"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}}),
        ),
        ("`responseMimeType`: JSON without a schema", config("responseMimeType", json!("application/json"))),
        (
            "`thinkingConfig`: `thinkingLevel`, `includeThoughts`",
            config("thinkingConfig", json!({"thinkingLevel": "LOW", "includeThoughts": true})),
        ),
        ("`thinkingConfig`: `thinkingBudget`", config("thinkingConfig", json!({"thinkingBudget": 2000}))),
        ("`maxOutputTokens`", config("maxOutputTokens", json!(5000))),
        ("`temperature` up to 1", config("temperature", json!(0.5))),
        ("`temperature` above 1", config("temperature", json!(1.5))),
        ("`topP`", config("topP", json!(0.5))),
        ("`topK`", config("topK", json!(5))),
        ("`stopSequences`", config("stopSequences", json!(["x"]))),
        ("`seed`", config("seed", json!(1))),
        ("`frequencyPenalty`", config("frequencyPenalty", json!(0.5))),
        ("`presencePenalty`", config("presencePenalty", json!(0.5))),
        ("`candidateCount` above 1", config("candidateCount", json!(2))),
        (
            "`responseLogprobs`, `logprobs`",
            json!({"generationConfig": {"responseLogprobs": true, "logprobs": 2}}),
        ),
        ("`responseModalities` other than TEXT", config("responseModalities", json!(["AUDIO"]))),
        (
            "`safetySettings`, `cachedContent`, `labels` and any other",
            json!({"safetySettings": [{"category": "c"}]}),
        ),
    ]
}
