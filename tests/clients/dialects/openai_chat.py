"""The official OpenAI client for Python on chat completions."""

import json

import openai
from pydantic import BaseModel

from way import ANSWER, ARGUMENTS, PARAMETERS, PIXEL, QUESTION, THOUGHT, TOKENS

ASKED = [{"role": "user", "content": QUESTION}]
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": PARAMETERS, "strict": True}}
    for name in ["weather", "climate"]
]


class Place(BaseModel):
    city: str
    days: int


def client(way):
    return openai.OpenAI(base_url=way.origin + "/v1", api_key=way.key, max_retries=0)


def tokens(usage):
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
    return usage.prompt_tokens, usage.completion_tokens


def whole(way):
    answer = client(way).chat.completions.create(model=way.model("plain"), messages=ASKED)
    [choice] = answer.choices
    assert (choice.message.content, choice.finish_reason) == (ANSWER, "stop"), answer
    assert tokens(answer.usage) == TOKENS, answer
    way.books(TOKENS)


def streamed(way):
    asked = {"include_usage": True}
    stream = client(way).chat.completions.create(
        model=way.model("plain"), messages=ASKED, stream=True, stream_options=asked
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER, chunks
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert reasons[-1] == "stop" and not any(reasons[:-1]), chunks
    assert tokens(chunks[-1].usage) == TOKENS, chunks
    way.books(TOKENS)
    stream = client(way).chat.completions.create(model=way.model("plain"), messages=ASKED, stream=True)
    assert all(chunk.usage is None and chunk.choices for chunk in stream)
    way.books(TOKENS)


def tools(way):
    """An agent's loop: two calls at once, whole and streamed, and an answer to their results."""
    asked = dict(model=way.model("twins"), tools=TOOLS)
    answer = client(way).chat.completions.create(messages=ASKED, **asked)
    way.books(tokens(answer.usage))
    with client(way).chat.completions.stream(messages=ASKED, stream_options={"include_usage": True}, **asked) as stream:
        streamed = stream.get_final_completion()
    way.books(tokens(streamed.usage))
    assert tokens(streamed.usage) == tokens(answer.usage), (streamed, answer)
    for made in [answer, streamed]:
        choice = made.choices[0]
        calls = choice.message.tool_calls
        assert choice.finish_reason == "tool_calls", made
        assert [call.function.name for call in calls] == ["weather", "climate"], made
        assert all(json.loads(call.function.arguments) == ARGUMENTS for call in calls), made
        assert len({call.id for call in calls}) == 2, made
    message = answer.choices[0].message.model_dump(exclude_none=True)
    results = [{"role": "tool", "tool_call_id": call.id, "content": "It rains."} for call in answer.choices[0].message.tool_calls]
    answer = client(way).chat.completions.create(messages=[*ASKED, message, *results], **asked)
    assert answer.choices[0].message.content.startswith("Hello from Apsis!"), answer
    way.books(tokens(answer.usage))


def must_call(way):
    choice = {"type": "function", "function": {"name": "climate"}}
    answer = client(way).chat.completions.create(
        model=way.model("plain"), messages=ASKED, tools=TOOLS, tool_choice=choice
    )
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == ["climate"], answer


def structured(way):
    answer = client(way).chat.completions.parse(model=way.model("plain"), messages=ASKED, response_format=Place)
    assert answer.choices[0].message.parsed == Place(**ARGUMENTS), answer
    way.books(tokens(answer.usage))


def thinking(way):
    answer = client(way).chat.completions.create(
        model=way.model("thinker"), messages=ASKED, reasoning_effort="low", max_completion_tokens=4000
    )
    assert answer.choices[0].message.content == ANSWER, answer
    # The words of thoughts are not of this dialect; where they come by themselves they are passed on.
    thought = THOUGHT if way.kind not in ("responses", "gemini") else None
    assert getattr(answer.choices[0].message, "reasoning_content", None) == thought, answer
    assert answer.usage.completion_tokens_details.reasoning_tokens == 3, answer
    assert tokens(answer.usage) == (3, 8), answer
    way.books((3, 8), reasoning_tokens=3)


def cached(way):
    answer = client(way).chat.completions.create(model=way.model("cacher"), messages=ASKED)
    details = answer.usage.prompt_tokens_details
    # Google reports no writes.
    written = 0 if way.kind == "gemini" else 1
    assert (details.cached_tokens, details.cache_write_tokens) == (1, written), answer
    assert tokens(answer.usage) == TOKENS, answer
    way.books(TOKENS, cache_tokens=1, cache_write_tokens=written)


def limited(way):
    answer = client(way).chat.completions.create(
        model=way.model("plain"), messages=ASKED, max_completion_tokens=3
    )
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("w0 w1 w2", "length"), answer
    way.books((3, 3))


def pictures(way):
    parts = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PIXEL}}]
    answer = client(way).chat.completions.create(
        model=way.model("plain"), messages=[{"role": "user", "content": parts}]
    )
    assert answer.choices[0].message.content == ANSWER, answer
    way.books(tokens(answer.usage))


def refusal(way):
    answer = client(way).chat.completions.create(model=way.model("refuser"), messages=ASKED)
    choice = answer.choices[0]
    assert choice.message.refusal or choice.finish_reason == "content_filter", answer
    way.books(tokens(answer.usage))


def errors(way):
    def ask(model, **more):
        return lambda: list(client(way).chat.completions.create(model=model, messages=ASKED, stream=True, **more))

    refused = way.refused(openai.BadRequestError, ask(way.model("bad")), 400)
    assert "one thing is wrong" in str(refused), refused
    way.refused(openai.InternalServerError, ask(way.failing("broken", "chat")), 500)
    way.refused(openai.InternalServerError, ask(way.failing("overloaded", "chat")), 529)
    way.refused(openai.RateLimitError, ask(way.failing("busy", "chat")), 429)
    # After the first byte an error is an event, and no answer pretends to be whole.
    try:
        ask(way.model("torn"))()
    except openai.APIError as error:
        assert not isinstance(error, openai.APIStatusError), error
    else:
        raise AssertionError(f"{way}: the stream did not fail")


CASES = [whole, streamed, tools, must_call, structured, thinking, cached, limited, pictures, refusal, errors]
