"""The official Anthropic client for Python on messages and the count of their tokens."""

import anthropic
from way import ANSWER, ARGUMENTS, PARAMETERS, PIXEL, QUESTION, THOUGHT, TOKENS

ASKED = [{"role": "user", "content": QUESTION}]
TOOLS = [{"name": name, "input_schema": PARAMETERS} for name in ["weather", "climate"]]


def client(way):
    return anthropic.Anthropic(base_url=way.origin, api_key=way.key, max_retries=0)


def tokens(usage):
    """All input, cached or not, and the output."""
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return usage.input_tokens + cached, usage.output_tokens


def whole(way):
    answer = client(way).messages.create(model=way.model("plain"), max_tokens=100, messages=ASKED)
    assert [block.text for block in answer.content] == [ANSWER], answer
    assert (answer.stop_reason, tokens(answer.usage)) == ("end_turn", TOKENS), answer
    way.books(TOKENS)


def streamed(way):
    with client(way).messages.stream(model=way.model("plain"), max_tokens=100, messages=ASKED) as stream:
        assert "".join(stream.text_stream) == ANSWER
        answer = stream.get_final_message()
    assert (answer.stop_reason, answer.usage.output_tokens) == ("end_turn", TOKENS[1]), answer
    way.books(TOKENS)
    events = list(client(way).messages.create(model=way.model("plain"), max_tokens=100, messages=ASKED, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"], kinds
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds
    way.books(TOKENS)


def tools(way):
    asked = dict(model=way.model("twins"), max_tokens=100, tools=TOOLS)
    answer = client(way).messages.create(messages=ASKED, **asked)
    way.books(tokens(answer.usage))
    with client(way).messages.stream(messages=ASKED, **asked) as stream:
        streamed = stream.get_final_message()
    for made in [answer, streamed]:
        calls = [block for block in made.content if block.type == "tool_use"]
        assert made.stop_reason == "tool_use", made
        assert [call.name for call in calls] == ["weather", "climate"], made
        assert all(call.input == ARGUMENTS for call in calls), made
    said = [*ASKED, {"role": "assistant", "content": answer.content}]
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "It rains."}
        for block in answer.content
        if block.type == "tool_use"
    ]
    answer = client(way).messages.create(messages=[*said, {"role": "user", "content": results}], **asked)
    assert answer.content[0].text.startswith("Hello from Apsis!"), answer
    way.books(tokens(answer.usage))


def thinking(way):
    """Thoughts come with a signature, and go back as they came."""
    asked = dict(model=way.model("thinker"), max_tokens=4000, thinking={"type": "enabled", "budget_tokens": 2000})
    answer = client(way).messages.create(messages=ASKED, **asked)
    with client(way).messages.stream(messages=ASKED, **asked) as stream:
        streamed = stream.get_final_message()
    for made in [answer, streamed]:
        thought = "".join(block.thinking for block in made.content if block.type == "thinking")
        assert thought == THOUGHT, made
        assert "".join(block.text for block in made.content if block.type == "text") == ANSWER, made
        assert made.usage.output_tokens == 8, made
    way.books((3, 8), reasoning_tokens=3)
    said = [*ASKED, {"role": "assistant", "content": answer.content}, *ASKED]
    client(way).messages.create(messages=said, **asked)


def cached(way):
    text = {"type": "text", "text": QUESTION, "cache_control": {"type": "ephemeral"}}
    answer = client(way).messages.create(
        model=way.model("cacher"), max_tokens=100, messages=[{"role": "user", "content": [text]}]
    )
    written = 0 if way.kind == "gemini" else 1
    assert (answer.usage.cache_read_input_tokens, answer.usage.cache_creation_input_tokens) == (1, written), answer
    assert tokens(answer.usage) == TOKENS, answer
    way.books(TOKENS, cache_tokens=1, cache_write_tokens=written)


def structured(way):
    format = {"type": "json_schema", "schema": PARAMETERS}
    answer = client(way).messages.create(
        model=way.model("plain"), max_tokens=100, messages=ASKED, output_config={"format": format}
    )
    assert answer.content[0].text.replace(" ", "") == '{"city":"scripted","days":7}', answer
    way.books(tokens(answer.usage))


def limited(way):
    answer = client(way).messages.create(model=way.model("plain"), max_tokens=3, messages=ASKED)
    assert (answer.content[0].text, answer.stop_reason) == ("w0 w1 w2", "max_tokens"), answer
    way.books((3, 3))


def pictures(way):
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    parts = [{"type": "text", "text": QUESTION}, {"type": "image", "source": source}]
    answer = client(way).messages.create(
        model=way.model("plain"), max_tokens=100, messages=[{"role": "user", "content": parts}]
    )
    assert answer.content[0].text == ANSWER, answer
    way.books(tokens(answer.usage))


def refusal(way):
    answer = client(way).messages.create(model=way.model("refuser"), max_tokens=100, messages=ASKED)
    assert answer.stop_reason == "refusal", answer


def counted(way):
    assert client(way).messages.count_tokens(model=way.model("plain"), messages=ASKED).input_tokens > 0


def errors(way):
    def ask(model, stream=False):
        return lambda: list(
            client(way).messages.create(model=model, max_tokens=100, messages=ASKED, stream=stream)
        )

    way.refused(anthropic.BadRequestError, ask(way.model("bad")), 400)
    way.refused(anthropic.InternalServerError, ask(way.failing("broken", "messages")), 500)
    way.refused(anthropic.APIStatusError, ask(way.failing("overloaded", "messages")), 529)
    way.refused(anthropic.RateLimitError, ask(way.failing("busy", "messages"), stream=True), 429)
    other = anthropic.Anthropic(base_url=way.origin, api_key="sk-nonsense", max_retries=0)
    call = lambda: other.messages.create(model=way.model("plain"), max_tokens=100, messages=ASKED)
    way.refused(anthropic.AuthenticationError, call, 401)
    try:
        kinds = [event.type for event in ask(way.model("torn"), stream=True)()]
    except anthropic.APIError:
        pass
    else:
        raise AssertionError(f"{way}: the stream did not fail: {kinds}")


CASES = [whole, streamed, tools, thinking, cached, structured, limited, pictures, refusal, counted, errors]
