"""The official OpenAI client for Python on what is sent as a form: edits of images, and recordings."""

import base64
import io

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


CASES = [edits, transcriptions]
