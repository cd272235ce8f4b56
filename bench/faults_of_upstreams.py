"""An upstream that fails in every way that upstreams fail in."""

import asyncio
import gzip
import json
from collections import namedtuple


# What a model's requests meet; by the model's name.
BEHAVIOURS = {}
OVER = asyncio.Event()

# What came of it must be in `wanted`; each answer must be charged from the one number of units to the other.
Fault = namedtuple("Fault", "name behave wanted units stream url", defaults=[(0, 0), False, None])

ANSWER = json.dumps({
    "id": "x", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "one two three four"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 10, "total_tokens": 13},
})


async def start():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096, limit=1 << 22)
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
            length = next(int(line.split(b":")[1]) for line in head if line.startswith(b"content-length:"))
            model = json.loads(await reader.readexactly(length))["model"]
            if not await BEHAVIOURS[model](writer):
                break
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        pass
    finally:
        writer.close()


def say(writer, body, status=200, kind="application/json", more="", length=None):
    body = body.encode() if isinstance(body, str) else body
    length = len(body) if length is None else length
    writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{more}\r\n".encode() + body)


async def honest(writer):
    say(writer, ANSWER)
    await writer.drain()
    return True


def begin(writer):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")


def event(writer, data):
    text = f"data: {data}\n\n".encode()
    writer.write(b"%x\r\n%s\r\n" % (len(text), text))


def word(writer, text="word "):
    event(writer, json.dumps({"id": "x", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}))


def finish(writer):
    event(writer, json.dumps({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
    event(writer, json.dumps({"id": "x", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 10}}))
    event(writer, "[DONE]")
    writer.write(b"0\r\n\r\n")


async def until_over(writer):
    """A word every half second until all is over."""
    begin(writer)
    while not OVER.is_set():
        word(writer)
        await writer.drain()
        await asyncio.sleep(0.5)
    finish(writer)
    await writer.drain()


async def flood(writer):
    """Words as fast as they are taken, without end."""
    begin(writer)
    while not OVER.is_set():
        word(writer, "word " * 100)
        await writer.drain()


async def some_words(writer):
    """Ten words, a hundredth of a second apart."""
    begin(writer)
    for _ in range(10):
        word(writer)
        await writer.drain()
        await asyncio.sleep(0.01)
    finish(writer)
    await writer.drain()
    return True


BEHAVIOURS["honest"] = honest
BEHAVIOURS["streams"] = until_over


def status(number, more=""):
    async def behave(writer):
        say(writer, json.dumps({"error": {"message": "no", "type": "x", "code": "y"}}), number, more=more)
        await writer.drain()
        return True

    return behave


def body(text, kind="application/json", more="", length=None):
    async def behave(writer):
        say(writer, text, 200, kind, more, length)
        await writer.drain()
        if length is not None:
            await asyncio.sleep(0.01)
        return length is None

    return behave


def raw(text):
    async def behave(writer):
        writer.write(text)
        await writer.drain()

    return behave


async def nothing(_):
    return False


def reset(before):
    """Breaks the connection off behind `before`, which may be None."""
    async def behave(writer):
        if before is not None:
            writer.write(before)
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.transport.abort()

    return behave


def silent(before):
    """Says `before`, and then nothing more."""
    async def behave(writer):
        writer.write(before)
        await writer.drain()
        await asyncio.sleep(10)

    return behave


async def endless(writer):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()


async def drip(writer):
    """A byte of the answer at a time."""
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(ANSWER)}\r\n\r\n".encode())
    for letter in ANSWER.encode():
        writer.write(bytes([letter]))
        await writer.drain()
        await asyncio.sleep(0.001)
    return True


def broken_stream(end):
    async def behave(writer):
        begin(writer)
        for _ in range(3):
            word(writer)
            await writer.drain()
            await asyncio.sleep(0.005)
        return await end(writer)

    return behave


async def cut(writer):
    writer.transport.abort()


async def stop_early(writer):
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def stall(_):
    await asyncio.sleep(10)


async def fail(writer):
    event(writer, json.dumps({"error": {"message": "overloaded", "type": "server_error"}}))
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def garbage(writer):
    event(writer, "{not json")
    finish(writer)
    await writer.drain()
    return True


def lie(usage):
    text = ANSWER.replace('{"prompt_tokens": 3, "completion_tokens": 10, "total_tokens": 13}', usage)
    assert usage in text
    return body(text)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n"
IN_STREAM = {"an error in the stream"}
# An answer that reports nothing true is charged by what it says: four words and what was asked.
SAID = (1, 60)

FAULTS = [
    Fault("refuses connections", nothing, {502}, url="http://127.0.0.1:9/v1"),
    Fault("closes without an answer", nothing, {502}),
    Fault("resets without an answer", reset(None), {502}),
    Fault("resets in the head", reset(b"HTTP/1.1 200 O"), {502}),
    Fault("resets behind the head", reset(HEAD), {502}),
    Fault("resets in the body", reset(HEAD + ANSWER.encode()[:100]), {502}),
    Fault("ends before its length", body(ANSWER, length=len(ANSWER) + 100), {502}),
    Fault("speaks no HTTP", raw(b"220 mail.example.com ESMTP\r\n"), {502}),
    Fault("has a head without end", raw(b"HTTP/1.1 200 OK\r\n" + b"x-more: and more\r\n" * 20_000), {502}),
    Fault("says nothing", silent(b""), {504}),
    Fault("says a head and nothing more", silent(HEAD), {502, 504}),
    Fault("says half a body and nothing more", silent(HEAD + ANSWER.encode()[:100]), {502, 504}),
    *(Fault(f"says {number}", status(number), {number}) for number in [400, 404, 413, 422]),
    *(Fault(f"says {number}", status(number), {number}) for number in [401, 403, 408, 409]),
    Fault("says 429", status(429), {429}),
    Fault("says 429, retry after 1 s", status(429, "retry-after: 1\r\n"), {429}),
    Fault("says 429, retry after an absurd time", status(429, "retry-after: 99999999999999999999\r\n"), {429}),
    *(Fault(f"says {number}", status(number), {number}) for number in [500, 502, 503, 504, 529]),
    Fault("redirects", status(302, "location: http://169.254.169.254/\r\n"), {502}),
    Fault("answers nothing", body(""), {502}),
    Fault("answers HTML", body("<html>busy</html>", "text/html"), {502}),
    Fault("answers half a JSON text", body(ANSWER[:100]), {502}),
    Fault("answers what it calls gzip", body(gzip.compress(b"0" * 10_000_000), more="content-encoding: gzip\r\n"), {502}),
    Fault("answers without end", endless, {502}),
    Fault("answers a byte at a time", drip, {"whole"}, (13, 13)),
    Fault("reports no usage", lie("null"), {"whole"}, SAID),
    Fault("reports negative usage", lie('{"prompt_tokens": -1, "completion_tokens": -1}'), {"whole"}, SAID),
    Fault("reports 2^63 tokens", lie('{"prompt_tokens": 9223372036854775808, "completion_tokens": 1}'), {"whole"}, SAID),
    Fault("reports a text as usage", lie('"many"'), {"whole"}, SAID),
    Fault("reports NaN", lie('{"prompt_tokens": NaN, "completion_tokens": 1}'), {"whole"}, SAID),
    Fault("resets a stream before its first event", reset(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"),
          {502} | IN_STREAM, stream=True),
    Fault("resets a stream", broken_stream(cut), IN_STREAM, SAID, True),
    Fault("ends a stream without its end", broken_stream(stop_early), IN_STREAM, SAID, True),
    Fault("says nothing more in a stream", broken_stream(stall), IN_STREAM, SAID, True),
    Fault("reports an error in a stream", broken_stream(fail), IN_STREAM, SAID, True),
    Fault("says garbage in a stream", broken_stream(garbage), {"whole"}, (13, 13), True),
]
