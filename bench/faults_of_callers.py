"""Callers that misbehave in every way that callers misbehave in."""

import asyncio
import json
import socket
from collections import namedtuple

from faults_of_upstreams import honest, some_words
from gateway import read

# What came of it must be in `wanted`; a request costs at most so many units.
Fault = namedtuple("Fault", "name act wanted most upstream", defaults=[13, honest])

PATH = "/v1/chat/completions"
CLOSED = "closed"


def question(model, stream=False, **more):
    messages = [{"role": "user", "content": "one two three"}]
    return json.dumps({"model": model, "stream": stream, "messages": messages, **more}).encode()


def fault(act):
    """Calls `act` with an open connection, and says that it was closed where that is what came of it."""
    async def run(gateway, model):
        reader, writer = await gateway.connect()
        try:
            return await asyncio.wait_for(act(gateway, model, reader, writer), 30)
        except (ConnectionError, asyncio.IncompleteReadError):
            return CLOSED
        finally:
            writer.close()

    return run


def said(make):
    """Sends what `make` makes, and reads the status."""
    @fault
    async def act(gateway, model, reader, writer):
        writer.write(make(gateway, model))
        return (await read(reader)).status

    return act


def with_body(body):
    return said(lambda gateway, model: gateway.head("POST", PATH, gateway.key, len(body)) + body)


@fault
async def leaves_at_once(gateway, model, _, writer):
    body = question(model)
    writer.write(gateway.head("POST", PATH, gateway.key, len(body)) + body)
    await writer.drain()
    return "left"


@fault
async def leaves_a_stream(gateway, model, reader, writer):
    body = question(model, True)
    writer.write(gateway.head("POST", PATH, gateway.key, len(body)) + body)
    await reader.readuntil(b"word")
    writer.transport.abort()
    return "left"


@fault
async def leaves_in_its_body(gateway, model, _, writer):
    body = question(model)
    writer.write(gateway.head("POST", PATH, gateway.key, len(body)) + body[:20])
    await writer.drain()
    return "left"


@fault
async def half_a_head(gateway, _, reader, writer):
    writer.write(gateway.head("POST", PATH, gateway.key, 10)[:40])
    return (await read(reader)).status


@fault
async def half_a_body(gateway, model, reader, writer):
    body = question(model)
    writer.write(gateway.head("POST", PATH, gateway.key, len(body)) + body[:20])
    return (await read(reader)).status


@fault
async def endless_body(gateway, _, reader, writer):
    head = gateway.head("POST", PATH, gateway.key, 0).replace(b"content-length: 0", b"transfer-encoding: chunked")
    writer.write(head)
    answer = asyncio.create_task(read(reader))
    try:
        while not answer.done():
            writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)
    except ConnectionError:
        pass
    return (await answer).status


@fault
async def many_at_once(gateway, model, reader, writer):
    """Twenty requests before the first answer is read."""
    body = question(model)
    writer.write((gateway.head("POST", PATH, gateway.key, len(body)) + body) * 20)
    return await several(reader, 20)


async def several(reader, count):
    statuses = {(await read(reader)).status for _ in range(count)}
    return statuses.pop() if len(statuses) == 1 else str(statuses)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


SETTINGS = frame(4, 0, 0)


def literal(name, value):
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def fields():
    return b"".join(literal(*one) for one in [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", PATH.encode()), (b":authority", b"x"),
    ])


async def drained(reader):
    """Reads until the other side has had enough."""
    try:
        while await reader.read(1 << 16):
            pass
    except ConnectionError:
        pass
    return CLOSED


async def flood(reader, writer, frames):
    """Sends frames until the other side has had enough, or all are sent and answered for a while."""
    writer.write(PREFACE + SETTINGS)
    closed = asyncio.create_task(drained(reader))
    try:
        for some in frames:
            writer.write(some)
            await writer.drain()
            await asyncio.sleep(0)
            if closed.done():
                break
    except ConnectionError:
        pass
    done, _ = await asyncio.wait([closed], timeout=3)
    return CLOSED if done else "kept"


@fault
async def resets(_, __, reader, writer):
    """Begins requests and takes them back at once."""
    frames = (
        b"".join(frame(1, 4, 2 * n + 1, fields()) + frame(3, 0, 2 * n + 1, (8).to_bytes(4, "big")) for n in range(k, k + 100))
        for k in range(0, 2_000, 100)
    )
    return await flood(reader, writer, frames)


@fault
async def continuations(_, __, reader, writer):
    """A head that never ends."""
    more = frame(9, 0, 1, literal(b"x-more", b"y" * 100) * 100)
    frames = [frame(1, 0, 1, fields()), *([more] * 500)]
    return await flood(reader, writer, frames)


@fault
async def pings(_, __, reader, writer):
    return await flood(reader, writer, [frame(6, 0, 0, b"12345678") * 1_000] * 10)


@fault
async def settings(_, __, reader, writer):
    return await flood(reader, writer, [frame(4, 0, 0, b"\x00\x03\x00\x00\x00\x64") * 1_000] * 10)


@fault
async def no_frames(_, __, reader, writer):
    writer.write(PREFACE + b"\xff" * 1_000)
    return await drained(reader)


async def stall(gateway, body):
    """Asks for a stream and reads nothing of it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (gateway.host, gateway.port))
    await loop.sock_sendall(connection, gateway.head("POST", PATH, gateway.key, len(body)) + body)
    return connection


@fault
async def large_head(gateway, model, reader, writer):
    body = question(model)
    more = "".join(f"x-{number}: {'y' * 100}\r\n" for number in range(5_000))
    writer.write(gateway.head("POST", PATH, gateway.key, len(body), more) + body)
    return (await read(reader)).status


NESTED = b'{"model":"m","messages":' + b"[" * 100_000
TWICE = b'{"model":"m","model":"n","messages":[]}'

FAULTS = [
    Fault("leaves before the answer", leaves_at_once, {"left"}),
    Fault("leaves in a stream", leaves_a_stream, {"left"}, 60, some_words),
    Fault("leaves in its own body", leaves_in_its_body, {"left"}),
    Fault("sends half a head", half_a_head, {408, CLOSED}),
    Fault("sends half a body", half_a_body, {408}),
    # Who does not listen while it sends may meet the closed connection before the answer.
    # Many of them at once find no more room.
    Fault("sends a body without end", endless_body, {413, 503, CLOSED}),
    Fault("announces 33 MiB", said(lambda gateway, _: gateway.head("POST", PATH, gateway.key, 33 << 20)), {413}),
    Fault("sends a head of half a MiB", large_head, {400, 431, CLOSED}),
    Fault("sends no JSON", with_body(b"{not json"), {400}),
    Fault("sends JSON nested 100,000 deep", with_body(NESTED), {400}),
    Fault("sends a member twice", with_body(TWICE), {400}),
    Fault("sends no HTTP", said(lambda *_: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500), {400, CLOSED}),
    Fault("has a key that never was",
          said(lambda gateway, model: gateway.head("POST", PATH, "sk-" + "x" * 48, 0)), {401}),
    Fault("sends twenty requests at once", many_at_once, {200}),
    Fault("begins and resets 2,000 requests of HTTP/2", resets, {CLOSED}),
    Fault("sends a head of HTTP/2 without end", continuations, {CLOSED}),
    Fault("sends 10,000 pings", pings, {CLOSED, "kept"}),
    Fault("sends 10,000 settings", settings, {CLOSED, "kept"}),
    Fault("sends what is no HTTP/2", no_frames, {CLOSED}),
]
