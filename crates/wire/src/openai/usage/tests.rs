use super::*;

#[test]
fn splits_parts_from_their_whole() {
    let good = read(
        br#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":0},
                "completion_tokens_details":{"reasoning_tokens":20}}"#,
    );
    let tokens = Tokens { input: 40, cached_input: 60, output: 50, reasoning: 20, ..Tokens::default() };
    assert_eq!(good, Reported::Good(tokens));
}

#[test]
fn reads_parts_that_have_a_price_of_their_own() {
    for (usage, parts) in [
        (
            r#"{"prompt_tokens":100,"completion_tokens":50,
                    "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":30,"image_tokens":7,"text_tokens":63},
                    "completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":40,"image_tokens":1}}"#,
            Some([0, 30, 7, 40, 1]),
        ),
        // More sound than the cache has left.
        (
            r#"{"prompt_tokens":100,"completion_tokens":0,
                    "prompt_tokens_details":{"cached_tokens":90,"audio_tokens":30,"image_tokens":7}}"#,
            Some([0, 10, 0, 0, 0]),
        ),
        (
            r#"{"prompt_tokens":100,"completion_tokens":0,"cache_creation_input_tokens":90,
                    "cache_creation":{"ephemeral_5m_input_tokens":50,"ephemeral_1h_input_tokens":40}}"#,
            Some([40, 0, 0, 0, 0]),
        ),
        (
            r#"{"prompt_tokens":1,"completion_tokens":0,"cache_creation":{"ephemeral_1h_input_tokens":1}}"#,
            None,
        ),
        (
            r#"{"prompt_tokens":1,"completion_tokens":9,
                    "completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":5}}"#,
            None,
        ),
    ] {
        let expected = parts.map(|[cache_write_1h, input_audio, input_image, output_audio, output_image]| {
            Parts { cache_write_1h, input_audio, input_image, output_audio, output_image, ..Parts::default() }
        });
        let found = match read(usage.as_bytes()) {
            Reported::Good(tokens) => Some(tokens.parts),
            Reported::Absurd => None,
            Reported::Absent => panic!("{usage}"),
        };
        assert_eq!(found, expected, "{usage}");
    }
}

#[test]
fn understands_providers_that_say_it_otherwise() {
    for (usage, (input, cached_input, cache_write, output, reasoning)) in [
        // Parts of the prompt beside it, and once more inside.
        (
            r#"{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"cache_creation_input_tokens":30,
                    "cache_read_input_tokens":60,"prompt_tokens_details":{"cached_tokens":60}}"#,
            (10, 60, 30, 5, 0),
        ),
        // On top of the prompt.
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":105,"cache_creation_input_tokens":30,
                    "cache_read_input_tokens":60}"#,
            (10, 60, 30, 5, 0),
        ),
        // Without a total they are parts.
        (r#"{"prompt_tokens":40,"completion_tokens":5,"cache_creation_input_tokens":30}"#, (10, 0, 30, 5, 0)),
        (
            r#"{"prompt_tokens":40,"completion_tokens":5,"prompt_tokens_details":{"cached_creation_tokens":30}}"#,
            (10, 0, 30, 5, 0),
        ),
        // As OpenAI's own reference has it.
        (
            r#"{"prompt_tokens":40,"completion_tokens":5,"total_tokens":45,
                    "prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":30}}"#,
            (6, 4, 30, 5, 0),
        ),
        (
            r#"{"prompt_tokens":40,"completion_tokens":5,"total_tokens":45,"prompt_cache_hit_tokens":25,
                    "prompt_cache_miss_tokens":15}"#,
            (15, 25, 0, 5, 0),
        ),
        // Reasoning beside the output.
        (
            r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":113,
                    "completion_tokens_details":{"reasoning_tokens":100}}"#,
            (9, 0, 0, 104, 100),
        ),
        (
            r#"{"prompt_tokens":9,"completion_tokens":400,"total_tokens":509,
                    "completion_tokens_details":{"reasoning_tokens":100}}"#,
            (9, 0, 0, 500, 100),
        ),
        // Reasoning that is only in the sum, beside a cache that is inside the prompt.
        (
            r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":113,"prompt_tokens_details":{"cached_tokens":5}}"#,
            (4, 5, 0, 104, 100),
        ),
        // Both at once.
        (
            r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":143,"cache_creation_input_tokens":30,
                    "completion_tokens_details":{"reasoning_tokens":100}}"#,
            (9, 0, 30, 104, 100),
        ),
        // A total that fits nothing changes nothing.
        (
            r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":99,
                    "completion_tokens_details":{"reasoning_tokens":1}}"#,
            (9, 0, 0, 4, 1),
        ),
    ] {
        let parts = Parts::default();
        let tokens = Tokens { input, cached_input, cache_write, output, reasoning, parts };
        assert_eq!(read(usage.as_bytes()), Reported::Good(tokens), "{usage}");
    }
}

#[test]
fn what_is_reported_is_read_back() {
    let used =
        Tokens { input: 5, cached_input: 2, cache_write: 1, output: 4, reasoning: 3, ..Tokens::default() };
    assert_eq!(read(report(used).to_string().as_bytes()), Reported::Good(used));
}

#[test]
fn seconds_and_images_are_read() {
    let parts = |usage: &str| match read(usage.as_bytes()) {
        Reported::Good(tokens) => Some((tokens.input, tokens.output, tokens.parts)),
        _ => None,
    };
    let images = r#"{"input_tokens":9,"input_tokens_details":{"text_tokens":4,"image_tokens":5},"output_tokens":7,"total_tokens":16}"#;
    assert_eq!(parts(images), Some((9, 7, Parts { input_image: 5, ..Parts::default() })));
    for (seconds, expected) in
        [("2", Some(2)), ("2.0", Some(2)), ("2.01", Some(3)), ("-1", None), ("1e9", None)]
    {
        let usage = format!(r#"{{"type":"duration","seconds":{seconds}}}"#);
        assert_eq!(parts(&usage).map(|(_, _, parts)| parts.seconds), expected, "{seconds}");
    }
}

#[test]
fn does_not_believe_what_cannot_be() {
    for usage in [
        r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
        r#"{"prompt_tokens":9223372036854775808,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1.5,"completion_tokens":1}"#,
        r#"{"prompt_tokens":"12","completion_tokens":1}"#,
        r#"{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}"#,
        r#"{"prompt_tokens":1,"completion_tokens":1,"completion_tokens_details":{"reasoning_tokens":2}}"#,
        r#"{"prompt_tokens":NaN}"#,
        "[]",
        "{}",
        "7",
    ] {
        assert_eq!(read(usage.as_bytes()), Reported::Absurd, "{usage}");
    }
    assert_eq!(read(b"null"), Reported::Absent);
}

#[test]
fn keeps_the_larger_of_two_reports() {
    let good = |output| Reported::Good(Tokens { output, ..Tokens::default() });
    for (first, second, expected) in [
        (Reported::Absent, Reported::Absurd, Reported::Absurd),
        (Reported::Absurd, good(3), good(3)),
        (good(3), Reported::Absurd, good(3)),
        (good(3), good(5), good(5)),
        (good(5), good(3), good(5)),
    ] {
        let mut merged = first;
        merged.merge(second);
        assert_eq!(merged, expected);
    }
}
