"""An outage and its end, and edits under open streams, at a steady pace. Prints rows for docs/performance.md."""

import argparse
import asyncio
import json
import time

parser = argparse.ArgumentParser()
for name in ["gateway", "key", "token"]:
    parser.add_argument(f"--{name}", required=True)
for name in ["seconds", "rate", "streams"]:
    parser.add_argument(f"--{name}", type=int, required=True)
arguments = parser.parse_args()
host, port = arguments.gateway.split(":")
CHANNELS = ["a", "b", "c"]


class Upstream:
    """Providers that say what they are told to, and remember when each was asked."""

    def __init__(self):
        self.status = 200
        self.asked = []
        self.ended = asyncio.Event()

    async def start(self):
        asked = []
        self.asked.append(asked)
        server = await asyncio.start_server(lambda *ends: self.serve(asked, *ends), "127.0.0.1", 0, backlog=1024)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    def attempts(self):
        return sum(map(len, self.asked))

    async def serve(self, asked, reader, writer):
        try:
            while True:
                _, body = await read(reader)
                asked.append(time.monotonic())
                if json.loads(body).get("stream"):
                    return await self.stream(writer)
                answer = {"error": {"message": "down"}} if self.status != 200 else {
                    "choices": [{"index": 0, "message": {"role": "assistant", "content": "up"}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 3, "completion_tokens": 10},
                }
                text = json.dumps(answer)
                head = f"HTTP/1.1 {self.status} X\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
                writer.write((head + text).encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def stream(self, writer):
        """A word every half second until the edits are over."""
        def event(data):
            text = f"data: {data}\n\n".encode()
            writer.write(b"%x\r\n%s\r\n" % (len(text), text))

        def chunk(delta, reason=None, **more):
            return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more})

        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        while not self.ended.is_set():
            event(chunk({"content": "word "}))
            await writer.drain()
            await asyncio.sleep(0.5)
        event(chunk({}, "stop"))
        event(json.dumps({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 10}}))
        event("[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def read(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = head.lower().split("\r\n")
    length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
    return lines[0], await reader.readexactly(length)


async def call(method, path, body, credential):
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        text = "" if body is None else json.dumps(body)
        writer.write(
            f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {credential}\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode()
        )
        first, answer = await read(reader)
        return int(first.split()[1]), answer
    finally:
        writer.close()


async def manage(method, path, body=None):
    status, answer = await call(method, path, body, arguments.token)
    answer = json.loads(answer)
    assert status == 200 and answer["success"], f"{method} {path}: {status} {answer}"
    return answer.get("data")


def question(model, stream=False):
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "one two three"}]}


async def ask(model):
    status, _ = await call("POST", "/v1/chat/completions", question(model), arguments.key)
    return status, time.monotonic()


async def make(model, upstream):
    """Three channels of one model, and its price."""
    made = []
    for name in CHANNELS:
        body = {"name": f"{model} {name}", "base_url": await upstream.start(), "key": "sk-bench", "models": [model]}
        made.append((await manage("POST", "/api/channel/", body))["id"])
    price = {"model": model, "input": 1_000_000, "output": 1_000_000, "max_output": 1000}
    await manage("PUT", "/api/price", price)
    while (await call("GET", f"/v1/models/{model}", None, arguments.key))[0] != 200:
        await asyncio.sleep(0.05)
    return made


async def paced(model, until):
    """Asks at the pace that was asked for, until `until()` says that it is enough. Returns statuses with their times."""
    begun, asking = time.monotonic(), []
    while not until(begun, asking):
        await asyncio.sleep(max(0, begun + len(asking) / arguments.rate - time.monotonic()))
        asking.append(asyncio.create_task(ask(model)))
    late = time.monotonic() - begun - len(asking) / arguments.rate
    assert late < 1, f"this machine cannot keep the pace: {late:.1f} s late"
    return await asyncio.gather(*asking)


def row(what, figure, wanted, right):
    print(f"| {what} | {figure} | {wanted} |", flush=True)
    return right


async def outage(status):
    model, upstream = f"down-{status}", Upstream()
    await make(model, upstream)
    upstream.status = status
    for_seconds = lambda begun, _: time.monotonic() - begun >= arguments.seconds
    answers = await paced(model, for_seconds)
    attempts = upstream.attempts()
    assert all(got >= 400 for got, _ in answers), "an upstream that is down has answered"
    share = attempts / len(answers)
    what = f"three upstreams that say {status}, {arguments.rate} requests/s for {arguments.seconds} s: attempts for a request"
    right = row(what, f"{share:.3f} ({attempts} for {len(answers)})", "≤ 1.10", share <= 1.10)

    back = time.monotonic()
    upstream.status = 200
    ahead = lambda _, asking: any(one.done() and one.result()[0] == 200 for one in asking)
    answers = await paced(model, ahead)
    recovered = min(at for got, at in answers if got == 200) - back
    # A breaker is open twice as long each time: what one waited last says when it probes next, a second at least.
    before = [[at for at in asked if at <= back] for asked in upstream.asked]
    interval = max(min(2 * (asked[-1] - asked[-2]) for asked in before), 1)
    answers = await paced(model, lambda _, asking: len(asking) >= arguments.rate)
    served = sum(got == 200 for got, _ in answers)
    what = f"… they return: until the first answer, s; share of answers in the next second"
    figure = f"{recovered:.2f} (probed every {interval:.1f} s by then); {served / len(answers):.2f}"
    return row(what, figure, "≤ one probe interval; 1", recovered <= interval + 0.5 and served == len(answers)) and right


async def listen(model):
    reader, writer = await asyncio.open_connection(host, int(port))
    text = json.dumps(question(model, stream=True))
    writer.write(
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {arguments.key}\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0], head
    return writer, asyncio.create_task(reader.read())


async def edits():
    model, upstream = "edited", Upstream()
    channels = await make(model, upstream)
    first = await manage("GET", f"/api/price?model={model}")
    version = first["items"][0]["id"]
    open_streams = await asyncio.gather(*(listen(model) for _ in range(arguments.streams)))
    while upstream.attempts() < arguments.streams:
        await asyncio.sleep(0.05)

    begun, count = time.monotonic(), 0
    while time.monotonic() - begun < arguments.seconds:
        count += 1
        rate = (2 + count % 7) * 1_000_000
        price = {"model": model, "input": rate, "output": rate, "max_output": 1000, "confirm": True}
        await manage("PUT", "/api/price", price)
        await manage("PUT", "/api/group", {"name": "default", "ratio_millionths": rate})
        for channel in channels:
            change = {"id": channel, "priority": count, "weight": 1 + count % 9, "status": 1 + count % 2}
            await manage("PUT", "/api/channel/", change)
        await asyncio.sleep(max(0, begun + count - time.monotonic()))
    await manage("PUT", "/api/group", {"name": "default", "ratio_millionths": 1_000_000})
    upstream.ended.set()
    broken = 0
    for writer, reading in open_streams:
        text = await reading
        broken += not (b"data: [DONE]" in text and text.rstrip().endswith(b"0"))
        writer.close()

    charges = []
    page = 1
    while True:
        found = await manage("GET", f"/api/log/self?model_name={model}&p={page}&page_size=100")
        charges += [record["charge"] for record in found["items"]]
        page += 1
        if len(charges) >= found["total"]:
            break
    # Three words in and ten out, at one unit each.
    wrong = sum((charge["units"], charge["price_version"]) != (13, version) for charge in charges)
    what = f"{arguments.streams} open streams, {count} rounds of edits of price, ratio and channels: broken; charged another price"
    right = broken == 0 and wrong == 0 and len(charges) == arguments.streams
    return row(what, f"{broken}; {wrong} of {len(charges)}", "0; 0", right)


async def main():
    print("| figure | Apsis | wanted |\n|---|---|---|")
    return all([await outage(408), await outage(503), await edits()])


raise SystemExit(0 if asyncio.run(main()) else 1)
