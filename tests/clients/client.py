"""The official OpenAI client for Python against a running gateway: whole, streamed, errors as its exceptions."""

import sys

import openai

base, key = sys.argv[1], sys.argv[2]
client = openai.OpenAI(base_url=base + "/v1", api_key=key, max_retries=0)
question = [{"role": "user", "content": "Hello"}]

whole = client.chat.completions.create(model="apsis-demo", messages=question)
assert whole.choices[0].message.content.startswith("Hello from Apsis!"), whole
assert whole.usage.completion_tokens == 27, whole.usage

chunks = list(client.chat.completions.create(model="apsis-demo", messages=question, stream=True))
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
assert text == whole.choices[0].message.content, text
assert chunks[-1].choices[0].finish_reason == "stop"

asked = {"include_usage": True}
chunks = list(client.chat.completions.create(model="apsis-demo", messages=question, stream=True, stream_options=asked))
assert chunks[-1].usage.completion_tokens == 27, chunks[-1]

vector = client.embeddings.create(model="apsis-demo-embedding", input="Hello", encoding_format="float")
assert len(vector.data[0].embedding) == 3, vector
assert "apsis-demo" in [model.id for model in client.models.list()]
assert client.models.retrieve("apsis-demo").id == "apsis-demo"


def refused(kind, code, call):
    try:
        call()
    except kind as error:
        assert error.code == code, error
        assert error.request_id and error.request_id in str(error), error
    else:
        raise AssertionError(f"{code} was not refused")


def chat(api_key, model):
    other = openai.OpenAI(base_url=base + "/v1", api_key=api_key, max_retries=2)
    return lambda: other.chat.completions.create(model=model, messages=question)


refused(openai.AuthenticationError, "invalid_api_key", chat("sk-nonsense", "apsis-demo"))
refused(openai.InternalServerError, "model_not_found", chat(key, "nobody"))
refused(openai.BadRequestError, "model_required", chat(key, ""))
refused(openai.NotFoundError, "model_not_found", lambda: client.models.retrieve("nobody"))
print("openai for Python", openai.__version__)
