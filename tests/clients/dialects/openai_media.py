"""The official OpenAI client for Python on images and speech that are made from a text."""

from openai_chat import client
from way import PIXEL, QUESTION


def images(way):
    made = client(way).images.generate(model=way.model("plain"), prompt=QUESTION, n=2)
    assert [image.b64_json for image in made.data] == [PIXEL, PIXEL], made
    way.books((3, 200))


def speech(way):
    with client(way).audio.speech.with_streaming_response.create(
        model=way.model("plain"), voice="alloy", input=QUESTION
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert answer.read() == b"sound 0;sound 1;sound 2;"
    # Speech is paid for by the character.
    way.books((len(QUESTION), 1), "counted")


def streamed(way):
    events = list(
        client(way).images.generate(model=way.model("plain"), prompt=QUESTION, stream=True, partial_images=1)
    )
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"], events
    way.books((3, 100))


CASES = [images, speech, streamed]
