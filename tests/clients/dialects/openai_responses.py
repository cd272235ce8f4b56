"""The official OpenAI client for Python on responses."""

import json

import openai
from openai_chat import Place, client
from way import ANSWER, ARGUMENTS, PARAMETERS, QUESTION, THOUGHT, TOKENS

TOOLS = [{"type": "function", "name": name, "parameters": PARAMETERS, "strict": True} for name in ["weather", "climate"]]


def tokens(usage):
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens, usage
    return usage.input_tokens, usage.output_tokens


def whole(way):
    answer = client(way).responses.create(model=way.model("plain"), input=QUESTION, store=False)
    assert (answer.output_text, answer.status) == (ANSWER, "completed"), answer
    assert tokens(answer.usage) == TOKENS, answer
    way.books(TOKENS)


def streamed(way):
    events = list(client(way).responses.create(model=way.model("plain"), input=QUESTION, store=False, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed", kinds
    for earlier, later in zip(
        ["response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done"],
        ["response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done"],
    ):
        assert kinds.index(earlier) < kinds.index(later), kinds
    assert [event.sequence_number for event in events] == list(range(len(events))), events
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == ANSWER, events
    assert events[-1].response.output_text == ANSWER, events[-1]
    assert tokens(events[-1].response.usage) == TOKENS, events[-1]
    way.books(TOKENS)


def tools(way):
    asked = dict(model=way.model("twins"), tools=TOOLS, store=False)
    answer = client(way).responses.create(input=QUESTION, **asked)
    way.books(tokens(answer.usage))
    with client(way).responses.stream(input=QUESTION, **asked) as stream:
        streamed = stream.get_final_response()
    way.books(tokens(streamed.usage))
    for made in [answer, streamed]:
        calls = [item for item in made.output if item.type == "function_call"]
        assert [call.name for call in calls] == ["weather", "climate"], made
        assert all(json.loads(call.arguments) == ARGUMENTS for call in calls), made
    calls = [item for item in answer.output if item.type == "function_call"]
    said = [{"role": "user", "content": QUESTION}, *(call.model_dump(exclude_none=True) for call in calls)]
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "It rains."} for call in calls]
    answer = client(way).responses.create(input=[*said, *results], **asked)
    assert answer.output_text.startswith("Hello from Apsis!"), answer
    way.books(tokens(answer.usage))


def structured(way):
    answer = client(way).responses.parse(model=way.model("plain"), input=QUESTION, text_format=Place, store=False)
    assert answer.output_parsed == Place(**ARGUMENTS), answer
    way.books(tokens(answer.usage))


def thinking(way):
    answer = client(way).responses.create(
        model=way.model("thinker"),
        input=QUESTION,
        reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
        max_output_tokens=4000,
        store=False,
    )
    reasoning = [item for item in answer.output if item.type == "reasoning"]
    assert "".join(part.text for item in reasoning for part in item.summary) == THOUGHT, answer
    assert answer.output_text == ANSWER, answer
    assert answer.usage.output_tokens_details.reasoning_tokens == 3, answer
    way.books((3, 8), reasoning_tokens=3)


def cached(way):
    answer = client(way).responses.create(model=way.model("cacher"), input=QUESTION, store=False)
    details = answer.usage.input_tokens_details
    written = 0 if way.kind == "gemini" else 1
    assert (details.cached_tokens, details.cache_write_tokens) == (1, written), answer
    way.books(TOKENS, cache_tokens=1, cache_write_tokens=written)


def limited(way):
    answer = client(way).responses.create(
        model=way.model("plain"), input=QUESTION, max_output_tokens=3, store=False
    )
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens"), answer
    assert answer.output_text == "w0 w1 w2", answer
    way.books((3, 3))


def errors(way):
    def ask(model, stream=False):
        return lambda: list(client(way).responses.create(model=model, input=QUESTION, store=False, stream=stream))

    way.refused(openai.BadRequestError, ask(way.model("bad")), 400)
    way.refused(openai.InternalServerError, ask(way.failing("overloaded", "responses")), 529)
    way.refused(openai.RateLimitError, ask(way.failing("busy", "responses"), stream=True), 429)
    events = ask(way.model("torn"), stream=True)
    try:
        kinds = [event.type for event in events()]
    except openai.APIError as error:
        assert not isinstance(error, openai.APIStatusError), error
    else:
        assert kinds[-1] in ("error", "response.failed") and "response.completed" not in kinds, kinds


CASES = [whole, streamed, tools, structured, thinking, cached, limited, errors]
