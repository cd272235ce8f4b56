use super::*;

fn asked(format: Format, body: &str) -> Asked {
    let members = Members::read(body).unwrap();
    let object = body.find('{').unwrap();
    Asked::read(format, &members, Text { whole: body, object })
}

#[test]
fn what_the_caller_runs_itself_costs_nothing() {
    for (format, body) in [
        (
            Format::Chat,
            r#"{"tools":[{"type":"function","function":{"name":"web_search"}}],"service_tier":"auto"}"#,
        ),
        (
            Format::Responses,
            r#"{"tools":[{"type":"function","name":"f"},{"type":"mcp"}],"service_tier":null}"#,
        ),
        (
            Format::Messages,
            r#"{"tools":[{"name":"f"},{"type":"bash_20250124","name":"bash"}],"speed":"standard"}"#,
        ),
        (Format::Google, r#"{"tools":[{"functionDeclarations":[]},{"code_execution":{}}]}"#),
        (Format::Plain, r#"{"tools":[{"type":"web_search"}],"speed":1.5}"#),
    ] {
        assert_eq!(asked(format, body), Asked::default(), "{body}");
    }
}

#[test]
fn what_a_provider_runs_is_bounded() {
    for (format, body, tool, calls) in [
        (Format::Responses, r#"{"max_tool_calls":3,"tools":[{"type":"web_search"}]}"#, Tool::WebSearch, 3),
        (Format::Responses, r#"{"tools":[{"type":"file_search"}]}"#, Tool::FileSearch, 10),
        (Format::Messages, r#"{"tools":[{"type":"web_search_20250305","max_uses":2}]}"#, Tool::WebSearch, 2),
        (Format::Chat, r#"{"web_search_options":{}}"#, Tool::WebSearch, 1),
        (Format::Chat, r#"{"search_parameters":{"mode":"on"}}"#, Tool::WebSearch, 20),
        (Format::Chat, r#"{"plugins":[{"id":"web"}]}"#, Tool::WebSearch, 10),
        (Format::Chat, r#"{"tools":[{"googleSearch":{}}]}"#, Tool::WebSearch, 10),
        (Format::Google, r#"{"tools":[{"googleSearch":{}}]}"#, Tool::Grounding, 1),
        (Format::Google, r#"{"tools":{"google_maps":{}}}"#, Tool::Maps, 1),
        (Format::Messages, r#"{"tools":[{"type":"crystal_ball"}]}"#, Tool::Other, 10),
    ] {
        let asked = asked(format, body);
        assert_eq!(asked.tools.of(tool), calls, "{body}");
        assert!(
            asked.unpriced(|_| true, |_| true).is_none() && asked.unpriced(|_| false, |_| true).is_some()
        );
    }
}

#[test]
fn a_limit_is_written_where_there_is_none() {
    let written = |format, body: &str| {
        let limits = asked(format, body).limits;
        limits.into_iter().rev().fold(body.to_owned(), |mut body, ((from, to), text)| {
            body.replace_range(from..to, &text);
            body
        })
    };
    for (format, body, expected) in [
        (
            Format::Messages,
            r#"{"tools":[{"type":"web_search_1","name":"w"},{"type":"web_fetch_1","max_uses":null}]}"#,
            r#"{"tools":[{"max_uses":10,"type":"web_search_1","name":"w"},{"type":"web_fetch_1","max_uses":10}]}"#,
        ),
        (
            Format::Responses,
            r#" {"tools":[{"type":"web_search"}]}"#,
            r#" {"max_tool_calls":10,"tools":[{"type":"web_search"}]}"#,
        ),
        (
            Format::Responses,
            r#"{"tools":[{"type":"web_search"}],"max_tool_calls":null}"#,
            r#"{"tools":[{"type":"web_search"}],"max_tool_calls":10}"#,
        ),
        (Format::Responses, r#"{"tools":[{"type":"custom"}]}"#, r#"{"tools":[{"type":"custom"}]}"#),
    ] {
        assert_eq!(written(format, body), expected);
    }
}

#[test]
fn terms_are_read_and_those_that_nobody_knows_named() {
    for (format, body, terms) in [
        (Format::Chat, r#"{"service_tier":"priority"}"#, Terms::NONE.with(Term::Priority)),
        (Format::Google, r#"{"serviceTier":"SERVICE_TIER_FLEX"}"#, Terms::NONE.with(Term::Flex)),
        (
            Format::Messages,
            r#"{"speed":"fast","inference_geo":"us"}"#,
            Terms::NONE.with(Term::Fast).with(Term::Us),
        ),
    ] {
        let asked = asked(format, body);
        assert_eq!((asked.terms, &asked.unknown), (terms, &None), "{body}");
        assert!(asked.unpriced(|_| true, |_| false).is_some(), "{body}");
    }
    for (format, body, param, what) in [
        (Format::Chat, r#"{"service_tier":"gold"}"#, "service_tier", "gold"),
        (Format::Completions, r#"{"service_tier":5}"#, "service_tier", "no text"),
        (Format::Messages, r#"{"inference_geo":"moon"}"#, "inference_geo", "moon"),
        (Format::Messages, r#"{"speed":"warp"}"#, "speed", "warp"),
    ] {
        let unknown = Unpriced { param, what: what.to_owned() };
        assert_eq!(asked(format, body).unpriced(|_| true, |_| true), Some(&unknown), "{body}");
    }
}
