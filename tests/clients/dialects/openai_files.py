"""The official OpenAI client for Python on what is sent as a form or kept by the provider: edits of images, recordings, videos."""

import base64
import io

import openai
from openai_chat import client
from way import PIXEL, QUESTION


def edits(way):
    picture = ("pixel.png", io.BytesIO(base64.b64decode(PIXEL)), "image/png")
    edited = client(way).images.edit(model=way.model("plain"), image=picture, prompt=QUESTION)
    assert edited.usage.input_tokens_details.image_tokens == 50, edited
    way.books((53, 100))


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


CASES = [edits, transcriptions, videos]
