"""The official OpenAI client for Python on realtime: events over a websocket, and the usage of each response."""

import asyncio
import base64

import openai
import websockets

from openai_chat import client
from way import ANSWER, QUESTION, TOKENS


def conversed(way):
    with client(way).realtime.connect(model=way.model("plain")) as connection:
        assert connection.recv().type == "session.created"
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        assert connection.recv().type == "session.updated"
        for turn in range(2):
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}
            connection.conversation.item.create(item=item)
            assert connection.recv().type == "conversation.item.added"
            connection.response.create()
            events = []
            while not events or events[-1].type != "response.done":
                events.append(connection.recv())
            assert events[0].type == "response.created", events
            assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == ANSWER
            usage = events[-1].response.usage
            # Each response is paid for all that was said before it.
            assert (usage.input_tokens, usage.output_tokens) == (TOKENS[0] * (turn + 1) + TOKENS[1] * turn, TOKENS[1]), usage
        connection.send({"type": "nothing"})
        assert connection.recv().type == "error"
    # 3 and 3 + 5 + 3 words in, five out each time.
    way.books((14, 10))


def spoken(way):
    with client(way).realtime.connect(model=way.model("plain")) as connection:
        connection.recv()
        connection.session.update(session={
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {"input": {"turn_detection": {"type": "server_vad"}}},
        })
        connection.recv()
        # A second of silence, after which the upstream answers by itself.
        connection.input_audio_buffer.append(audio=base64.b64encode(bytes(48000)).decode())
        events = []
        while not events or events[-1].type != "response.done":
            events.append(connection.recv())
        sound = [event for event in events if event.type == "response.output_audio.delta"]
        assert len(sound) == 5 and len(base64.b64decode(sound[0].delta)) == 48000, len(sound)
        usage = events[-1].response.usage
        assert (usage.input_token_details.audio_tokens, usage.output_token_details.audio_tokens) == (10, 100), usage
    way.books((10, 105))


def refused(way):
    if not way.kind:
        return
    try:
        with client(way).realtime.connect(model="nobody"):
            raise AssertionError("nobody answered")
    except websockets.exceptions.InvalidStatus as error:
        assert (error.response.status_code, b"model_not_found" in error.response.body) == (503, True), error.response


async def awaited(way):
    async with openai.AsyncOpenAI(base_url=way.origin + "/v1", api_key=way.key).realtime.connect(
        model=way.model("plain")
    ) as connection:
        await connection.response.create()
        async for event in connection:
            if event.type == "response.done":
                break


def asynchronous(way):
    asyncio.run(awaited(way))


CASES = [conversed, spoken, asynchronous, refused]
