"""Google's official client for Python on generateContent, whole and streamed, and the count of its tokens."""

import functools

from google import genai
from google.genai import errors as raised
from google.genai import types
from openai_chat import Place
from way import ANSWER, ARGUMENTS, PARAMETERS, QUESTION, THOUGHT, TOKENS

FUNCTIONS = [types.FunctionDeclaration(name=name, parameters_json_schema=PARAMETERS) for name in ["weather", "climate"]]
TOOLS = [types.Tool(function_declarations=FUNCTIONS)]


@functools.cache
def client(way):
    return genai.Client(api_key=way.key, http_options=types.HttpOptions(base_url=way.origin, api_version="v1beta"))


def tokens(usage):
    output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    assert usage.total_token_count == usage.prompt_token_count + output, usage
    return usage.prompt_token_count, output


def whole(way):
    # The default of this client is the version without "beta".
    plain = genai.Client(api_key=way.key, http_options=types.HttpOptions(base_url=way.origin))
    for each in [client(way), plain]:
        answer = each.models.generate_content(model=way.model("plain"), contents=QUESTION)
        assert answer.text == ANSWER, answer
        assert answer.candidates[0].finish_reason == types.FinishReason.STOP, answer
        assert tokens(answer.usage_metadata) == TOKENS, answer
        way.books(TOKENS)


def streamed(way):
    chunks = list(client(way).models.generate_content_stream(model=way.model("plain"), contents=QUESTION))
    assert "".join(chunk.text or "" for chunk in chunks) == ANSWER, chunks
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP, chunks
    assert tokens(chunks[-1].usage_metadata) == TOKENS, chunks
    way.books(TOKENS)


def tools(way):
    model, config = way.model("twins"), types.GenerateContentConfig(tools=TOOLS)
    answer = client(way).models.generate_content(model=model, contents=QUESTION, config=config)
    way.books(tokens(answer.usage_metadata))
    streamed = []
    for chunk in client(way).models.generate_content_stream(model=model, contents=QUESTION, config=config):
        streamed.extend(chunk.function_calls or [])
    for calls in [answer.function_calls, streamed]:
        assert [call.name for call in calls] == ["weather", "climate"], calls
        assert all(call.args == ARGUMENTS for call in calls), calls
    results = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "It rains."}))
        for call in answer.function_calls
    ]
    said = [
        types.Content(role="user", parts=[types.Part(text=QUESTION)]),
        answer.candidates[0].content,
        types.Content(role="user", parts=results),
    ]
    answer = client(way).models.generate_content(model=model, contents=said, config=config)
    assert answer.text.startswith("Hello from Apsis!"), answer
    way.books(tokens(answer.usage_metadata))


def agent(way):
    """The client's own loop: it calls a function of the program until there are no more calls."""
    asked = []

    def weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "It rains."

    config = types.GenerateContentConfig(tools=[weather])
    answer = client(way).models.generate_content(model=way.model("caller"), contents=QUESTION, config=config)
    assert asked == ["scripted"] and answer.text.startswith("Hello from Apsis!"), (asked, answer)


def structured(way):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Place)
    answer = client(way).models.generate_content(model=way.model("plain"), contents=QUESTION, config=config)
    assert answer.parsed == Place(**ARGUMENTS), answer
    way.books(tokens(answer.usage_metadata))


def thinking(way):
    shown = types.ThinkingConfig(include_thoughts=True, thinking_budget=2000)
    config = types.GenerateContentConfig(thinking_config=shown, max_output_tokens=4000)
    answer = client(way).models.generate_content(model=way.model("thinker"), contents=QUESTION, config=config)
    parts = answer.candidates[0].content.parts
    assert "".join(part.text for part in parts if part.thought) == THOUGHT, answer
    assert answer.text == ANSWER and answer.usage_metadata.thoughts_token_count == 3, answer
    way.books((3, 8), reasoning_tokens=3)


def limited(way):
    config = types.GenerateContentConfig(max_output_tokens=3)
    answer = client(way).models.generate_content(model=way.model("plain"), contents=QUESTION, config=config)
    assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS, answer
    assert answer.text == "w0 w1 w2", answer
    way.books((3, 3))


def refusal(way):
    answer = client(way).models.generate_content(model=way.model("refuser"), contents=QUESTION)
    assert answer.candidates[0].finish_reason == types.FinishReason.SAFETY, answer


def counted(way):
    assert client(way).models.count_tokens(model=way.model("plain"), contents=QUESTION).total_tokens > 0


def errors(way):
    def ask(model):
        return lambda: list(client(way).models.generate_content_stream(model=model, contents=QUESTION))

    refused = way.refused(raised.ClientError, ask(way.model("bad")), 400)
    assert refused.status == "INVALID_ARGUMENT" and "one thing is wrong" in refused.message, refused
    way.refused(raised.ServerError, ask(way.failing("broken", "google")), 500)
    refused = way.refused(raised.ClientError, ask(way.failing("busy", "google")), 429)
    assert refused.status == "RESOURCE_EXHAUSTED", refused
    try:
        ask(way.model("torn"))()
    except raised.APIError:
        pass
    else:
        raise AssertionError(f"{way}: the stream did not fail")


CASES = [whole, streamed, tools, agent, structured, thinking, limited, refusal, counted, errors]
