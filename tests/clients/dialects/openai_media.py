"""The official OpenAI client for Python on what is no text alone: embeddings, moderations, images, sound, videos."""

import base64
import io

import openai
from openai_chat import client
from way import PIXEL, QUESTION


def embeddings(way):
    for format in ["float", "base64"]:
        answer = client(way).embeddings.create(model=way.model("plain"), input=[QUESTION, QUESTION], encoding_format=format)
        assert len(answer.data) == 2 and answer.usage.prompt_tokens == 6, answer
        way.books((6, 0))


def completions(way):
    answer = client(way).completions.create(model=way.model("plain"), prompt=QUESTION)
    assert (answer.choices[0].text, answer.usage.completion_tokens) == ("w0 w1 w2 w3 w4", 5), answer
    way.books((3, 5))
    chunks = list(client(way).completions.create(model=way.model("plain"), prompt=QUESTION, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "w0 w1 w2 w3 w4", chunks
    way.books((3, 5))


def moderations(way):
    answer = client(way).moderations.create(model=way.model("plain"), input=["peace", "violence"])
    assert [result.flagged for result in answer.results] == [False, True], answer
    assert answer.results[1].categories.violence, answer


def images(way):
    made = client(way).images.generate(model=way.model("plain"), prompt=QUESTION, n=2)
    assert [image.b64_json for image in made.data] == [PIXEL, PIXEL], made
    way.books((3, 200))
    picture = ("pixel.png", io.BytesIO(base64.b64decode(PIXEL)), "image/png")
    edited = client(way).images.edit(model=way.model("plain"), image=picture, prompt=QUESTION)
    assert edited.usage.input_tokens_details.image_tokens == 50, edited
    way.books((53, 100))


def speech(way):
    with client(way).audio.speech.with_streaming_response.create(
        model=way.model("plain"), voice="alloy", input=QUESTION
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert answer.read() == b"sound 0;sound 1;sound 2;"


def transcriptions(way):
    sound = ("sound.wav", io.BytesIO(b"RIFF"), "audio/wav")
    heard = client(way).audio.transcriptions.create(model=way.model("plain"), file=sound)
    assert heard.text == "Hello from a recording.", heard
    way.books((heard.usage.input_tokens, heard.usage.output_tokens))
    events = list(client(way).audio.transcriptions.create(model=way.model("plain"), file=sound, stream=True))
    assert events[-1].type == "transcript.text.done" and events[-1].text == heard.text, events
    translated = client(way).audio.translations.create(model=way.model("plain"), file=sound)
    assert translated.text == heard.text, translated


def videos(way):
    job = client(way).videos.create_and_poll(model=way.model("filmer"), prompt=QUESTION, poll_interval_ms=1)
    assert (job.status, job.progress) == ("completed", 100), job
    assert client(way).videos.download_content(job.id).read() == b"moving pictures"
    other = client(way).videos.remix(job.id, prompt="slower")
    assert other.remixed_from_video_id == job.id, other
    assert client(way).videos.delete(job.id).deleted
    failed = client(way).videos.create_and_poll(model=way.model("spoiler"), prompt=QUESTION, poll_interval_ms=1)
    assert failed.status == "failed" and failed.error.code == "scripted", failed
    way.refused(openai.NotFoundError, lambda: client(way).videos.retrieve("video_0"), 404)


CASES = [embeddings, completions, moderations, images, speech, transcriptions, videos]
