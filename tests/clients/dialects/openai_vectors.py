"""The official OpenAI client for Python on what is neither chat nor sound nor pictures: embeddings, completions,
moderations; and reranking, which no vendor's client for Python asks in this shape."""

import json
import urllib.request

from openai_chat import client
from way import ANSWER, QUESTION, TOKENS


def embeddings(way):
    for format in ["float", "base64"]:
        answer = client(way).embeddings.create(model=way.model("plain"), input=[QUESTION, QUESTION], encoding_format=format)
        assert len(answer.data) == 2 and answer.usage.prompt_tokens == 6, answer
        way.books((6, 0))


def completions(way):
    answer = client(way).completions.create(model=way.model("plain"), prompt=QUESTION)
    assert (answer.choices[0].text, answer.usage.completion_tokens) == (ANSWER, 5), answer
    way.books(TOKENS)
    chunks = list(client(way).completions.create(model=way.model("plain"), prompt=QUESTION, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == ANSWER, chunks
    way.books(TOKENS)


def moderations(way):
    answer = client(way).moderations.create(model=way.model("plain"), input=["peace", "violence"])
    assert [result.flagged for result in answer.results] == [False, True], answer
    assert answer.results[1].categories.violence, answer


def reranking(way):
    asked = {"model": way.model("plain"), "query": QUESTION, "documents": ["much longer", "short"], "top_n": 1}
    request = urllib.request.Request(
        way.origin + "/v1/rerank",
        headers={"Authorization": "Bearer " + way.key, "Content-Type": "application/json"},
        data=json.dumps(asked).encode(),
    )
    with urllib.request.urlopen(request) as answer:
        found = json.load(answer)
    assert [result["index"] for result in found["results"]] == [1], found
    way.books((found["usage"]["total_tokens"], 0))


CASES = [embeddings, completions, moderations, reranking]
