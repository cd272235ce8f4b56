//! What holds for every request and every stream.

#![expect(clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod arbitrary;

use arbitrary::{arbitrary, dialect};
use bytes::Bytes;
use model::usage::Tokens;
use proptest::prelude::*;
use serde_json::{Value, json};
use wire::{
    convert::{self, Caller, Converter, Target},
    dialect::Dialect,
    openai::usage::Reported,
    tap::Tap,
};

fn target(dialect: Dialect) -> Target<'static> {
    Target { dialect, model: "m", stream: false, default_output_limit: 4096, affordable_output: None }
}

fn caller(dialect: Dialect, sse: bool) -> Caller {
    Caller { dialect, model: "m".to_owned(), now: 1, include_usage: true, input_tokens: 1, sse }
}

/// A conversation that every dialect can carry whole, in the words of chat completions.
fn conversation() -> impl Strategy<Value = Value> {
    let text = "[ -~é]{1,12}";
    let user = prop::collection::vec(
        prop_oneof![
            text.prop_map(|text| json!({"type": "text", "text": text})),
            Just(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})),
        ],
        2..4,
    )
    .prop_map(|parts| vec![json!({"role": "user", "content": parts})]);
    let plain = text.prop_map(|text| vec![json!({"role": "user", "content": text})]);
    let answer = text.prop_map(|text| vec![json!({"role": "assistant", "content": text})]);
    let tools = (prop::collection::vec((text, "[a-z]{1,6}"), 1..4), prop::option::of(text)).prop_map(|(calls, said)| {
        let call = |(index, (argument, name)): (usize, &(String, String))| {
            let arguments = json!({"a": argument}).to_string();
            json!({"id": format!("c{index}"), "type": "function", "function": {"name": name, "arguments": arguments}})
        };
        let made: Vec<Value> = calls.iter().enumerate().map(call).collect();
        let mut message = json!({"role": "assistant", "tool_calls": made});
        if let Some(said) = said {
            message = json!({"role": "assistant", "content": said, "tool_calls": message["tool_calls"]});
        }
        let result = |(index, _)| json!({"role": "tool", "tool_call_id": format!("c{index}"), "content": "done"});
        std::iter::once(message).chain(calls.iter().enumerate().map(result)).collect::<Vec<Value>>()
    });
    let turn = prop_oneof![user, plain, answer, tools];
    (prop::option::of(text), prop::collection::vec(turn, 1..5), 1_u64..9_000, prop::option::of(0_u32..4))
        .prop_map(|(system, turns, limit, quarters)| {
            let system = system.map(|text| json!({"role": "system", "content": text}));
            let mut messages: Vec<Value> = system.into_iter().collect();
            for message in turns.into_iter().flatten() {
                // Answers in a row are one turn in responses.
                let doubled = messages
                    .last()
                    .is_some_and(|last| last["role"] == "assistant" && message["role"] == "assistant");
                messages.extend((!doubled).then_some(message));
            }
            let mut body = json!({"model": "m", "messages": messages, "max_completion_tokens": limit});
            if let Some(quarters) = quarters {
                body["temperature"] = json!(f64::from(quarters) / 4.0);
            }
            body
        })
}

proptest! {
    #[test]
    fn there_and_back_keeps_what_both_can_say(body in conversation(), through in dialect()) {
        let there = convert::request(body.to_string().as_bytes(), Dialect::Chat, target(through)).unwrap();
        prop_assert_eq!(&there.dropped, &Vec::<String>::new());
        let back = convert::request(&there.body, through, target(Dialect::Chat)).unwrap();
        prop_assert_eq!(&back.dropped, &Vec::<String>::new());
        let mut back: Value = serde_json::from_slice(&back.body).unwrap();
        // What one dialect must be told and another takes for granted.
        let members = back.as_object_mut().unwrap();
        members.shift_remove("store");
        prop_assert_eq!(back, body);
    }

    #[test]
    fn no_request_panics(mut body in arbitrary(), from in dialect(), to in dialect()) {
        drop(convert::request(body.to_string().as_bytes(), from, target(to)));
        body = json!({"messages": body, "contents": body, "input": body, "tools": body, "tool_choice": body});
        drop(convert::request(body.to_string().as_bytes(), from, target(to)));
    }

    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..64), from in dialect(), to in dialect()) {
        drop(convert::request(&body, from, target(to)));
        drop(convert::answer(&body, from, &caller(to, true)));
    }

    #[test]
    fn no_answer_panics(body in arbitrary(), from in dialect(), to in dialect()) {
        let read = wire::whole::answer(from, body.to_string().as_bytes());
        if let Reported::Good(tokens) = read.reported {
            prop_assert!(tokens.reasoning <= tokens.output);
        }
        drop(convert::answer(body.to_string().as_bytes(), from, &caller(to, true)));
        let body = json!({"choices": body, "content": body, "candidates": body, "output": body, "usage": body});
        drop(convert::answer(body.to_string().as_bytes(), from, &caller(to, true)));
    }

    #[test]
    fn a_stream_of_anything_ends_once(
        chunks in prop::collection::vec(arbitrary(), 0..8), from in dialect(), to in dialect(), sse: bool, stop: bool,
    ) {
        let mut converter = Converter::new(from, caller(to, sse));
        let mut out = Vec::new();
        for chunk in chunks {
            for data in [chunk.clone(), json!({"choices": [chunk], "candidates": [chunk], "type": "content_block_start", "content_block": chunk})] {
                out.extend(converter.event(format!("data: {data}\n\n").as_bytes()));
            }
        }
        out.extend(if stop { converter.stop(Tokens::default()) } else { converter.end() });
        prop_assert!(converter.is_over());
        prop_assert_eq!(converter.end(), Bytes::new());
        prop_assert_eq!(converter.stop(Tokens::default()), Bytes::new());
        prop_assert_eq!(converter.fail("late", "late"), Bytes::new());
        let text = String::from_utf8(out).unwrap();
        if to == Dialect::Google && !sse {
            prop_assert!(serde_json::from_str::<Vec<Value>>(&text).is_ok(), "{}", text);
        }
        let ends = |mark: &str| text.matches(mark).count();
        prop_assert!(ends("data: [DONE]") + ends("event: message_stop") + ends("event: response.completed") + ends("event: response.incomplete") <= 1);
    }

    #[test]
    fn a_native_stream_of_anything_passes_and_stops_once(
        chunks in prop::collection::vec(arbitrary(), 0..8), dialect in dialect(), sse: bool,
    ) {
        let sse = sse || dialect != Dialect::Google;
        let mut tap = Tap::new(dialect, "m", true, sse);
        for chunk in chunks {
            let framed = json!({
                "type": "response.output_item.added", "sequence_number": u64::MAX, "output_index": 0, "item": chunk,
                "candidates": [chunk], "usage": chunk, "usageMetadata": chunk,
            });
            for data in [chunk, framed] {
                let event = if sse { format!("data: {data}\n\n") } else { format!(",{data}") };
                let pass = tap.event(Bytes::from(event.clone()));
                prop_assert!(pass.error || pass.bytes.is_some_and(|bytes| bytes == event));
            }
        }
        let first = tap.stop(Tokens::default());
        prop_assert_eq!(tap.stop(Tokens::default()), Bytes::new());
        prop_assert!(std::str::from_utf8(&first).is_ok());
    }
}
