"""Faults of upstreams and callers beside an honest load. Prints rows for docs/reliability.md."""

import argparse
import asyncio
import json
import time
from collections import Counter

import faults_of_callers
import faults_of_upstreams
from gateway import Gateway, read
from steady import Steady

parser = argparse.ArgumentParser()
for name in ["gateway", "key", "token"]:
    parser.add_argument(f"--{name}", required=True)
for name in ["pid", "seconds", "rate", "streams", "stalled"]:
    parser.add_argument(f"--{name}", type=int, required=True)
arguments = parser.parse_args()
gateway = Gateway(arguments.gateway, arguments.key, arguments.token, arguments.pid)

# Faults come slower than the load: each waits for its limit at worst.
FAULT_RATE = 40
# What an honest answer costs: three tokens in, ten out, at one unit each.
PRICE = 13
CALLERS = 40
# Everything happens as often in each third of the time, so that what the thirds take can be compared.
ROUNDS = 3


async def make(model, base_url):
    # The price first: who knows the channel knows it.
    price = {"model": model, "input": 1_000_000, "output": 1_000_000, "max_output": 100_000}
    await gateway.manage("PUT", "/api/price", price)
    channel = {"name": model, "base_url": base_url, "key": "sk-bench", "models": [model]}
    await gateway.manage("POST", "/api/channel/", channel)
    while (await gateway.call("GET", f"/v1/models/{model}")).status != 200:
        await asyncio.sleep(0.05)


def question(model, stream=False):
    return json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "one two three"}]}).encode()


class Honest:
    """Requests at a steady pace on kept connections, as honest callers make them."""

    def __init__(self):
        self.asked = self.failed = self.whole = 0
        self.failures = Counter()
        self.over = False

    async def caller(self, begun, number):
        reader = writer = None
        body = question("honest")
        turn = number
        while not self.over:
            await asyncio.sleep(max(0, begun + turn / arguments.rate - time.monotonic()))
            turn += CALLERS
            self.asked += 1
            try:
                if writer is None:
                    reader, writer = await gateway.connect()
                writer.write(gateway.head("POST", "/v1/chat/completions", gateway.key, len(body)) + body)
                answer = await read(reader)
                good = answer.status == 200 and b'"content"' in answer.body
                self.whole += good
                self.failed += not good
                if not good:
                    self.failures[answer.status] += 1
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                self.failed += 1
                self.failures[type(error).__name__] += 1
                writer = None

    def start(self):
        begun = time.monotonic()
        self.tasks = [asyncio.create_task(self.caller(begun, number)) for number in range(CALLERS)]

    async def stop(self):
        self.over = True
        await asyncio.gather(*self.tasks)


class Streams:
    """Open streams that go on while everything else happens."""

    async def start(self, count):
        self.open = await asyncio.gather(*(self.begin() for _ in range(count)))

    async def begin(self):
        reader, writer = await gateway.connect()
        body = question("streams", stream=True)
        writer.write(gateway.head("POST", "/v1/chat/completions", gateway.key, len(body), "connection: close\r\n") + body)
        return asyncio.create_task(read(reader)), writer

    async def end(self):
        broken = 0
        for reading, writer in self.open:
            answer = await reading
            broken += not (answer.whole and b"data: [DONE]" in answer.body)
            writer.close()
        return broken


async def paced(act):
    """Acts at the pace of faults for the seconds that were asked for, and counts what came of it."""
    begun, acting = time.monotonic(), []
    while time.monotonic() - begun < arguments.seconds / ROUNDS:
        await asyncio.sleep(max(0, begun + len(acting) / FAULT_RATE - time.monotonic()))
        acting.append(asyncio.create_task(act()))
    return Counter(await asyncio.gather(*acting))


async def settled(model, least):
    """The charges of a model that cost something, once as many are in the books as must be."""
    until = time.monotonic() + 10
    while True:
        charges = [record["charge"]["units"] for record in await gateway.records(model)]
        charges = [units for units in charges if units > 0]
        if len(charges) >= least or time.monotonic() > until:
            return charges
        await asyncio.sleep(0.2)


def told(counted):
    return ", ".join(f"{what} × {count}" for what, count in sorted(counted.items(), key=lambda one: str(one[0])))


class Table:
    def __init__(self, honest):
        self.honest, self.right, self.rows = honest, True, {}

    async def add(self, fault, run):
        asked, failed = self.honest.asked, self.honest.failed
        counted, odd, wrong = await run()
        asked, failed = self.honest.asked - asked, self.honest.failed - failed
        before = self.rows.setdefault(fault, (Counter(), 0, 0, 0, 0))
        self.rows[fault] = tuple(one + more for one, more in zip(before, (counted, odd, wrong, failed, asked)))
        self.right &= odd == 0 and wrong == 0 and failed == 0 and counted.total() > 0

    def print(self):
        print("| fault | times | came of it | not as wanted | charged wrongly | of the honest load failed |\n|---|---|---|---|---|---|")
        for fault, (counted, odd, wrong, failed, asked) in self.rows.items():
            print(f"| {fault} | {counted.total()} | {told(counted)} | {odd} | {wrong} | {failed} of {asked} |")


async def of_upstream(number, fault, url):
    """One fault of an upstream, met by many requests."""
    model = f"fault-{number}"
    await make(model, fault.url or url)
    faults_of_upstreams.BEHAVIOURS[model] = fault.behave
    body = question(model, fault.stream)

    async def ask():
        reader, writer = await gateway.connect()
        try:
            writer.write(gateway.head("POST", "/v1/chat/completions", gateway.key, len(body), "connection: close\r\n") + body)
            answer = await read(reader)
            if answer.status != 200:
                return answer.status
            if b'"error"' in answer.body:
                return "an error in the stream"
            return "whole" if answer.whole else "cut"
        finally:
            writer.close()

    counted = await paced(ask)
    # A channel that fails is not asked for a while.
    odd = sum(count for what, count in counted.items() if what not in fault.wanted | {503})
    odd += not set(counted) & fault.wanted
    answered = sum(count for what, count in counted.items() if what in ("whole", "cut", "an error in the stream"))
    least, most = fault.units
    charges = await settled(model, answered)
    wrong = sum(not least <= units <= most for units in charges)
    wrong += abs(len(charges) - answered) if most > 0 else len(charges)
    return counted, odd, wrong


async def of_caller(number, fault):
    """One fault of callers, at an upstream that is honest."""
    model = f"caller-{number}"
    await make(model, arguments.upstream)
    faults_of_upstreams.BEHAVIOURS[model] = fault.upstream
    counted = await paced(lambda: fault.act(gateway, model))
    odd = sum(count for what, count in counted.items() if what not in fault.wanted)
    charges = await settled(model, 0)
    wrong = sum(not 0 < units <= fault.most for units in charges)
    return counted, odd, wrong


async def stalled():
    """Callers that read nothing of an answer that does not end: what they keep in memory."""
    await make("stalled", arguments.upstream)
    faults_of_upstreams.BEHAVIOURS["stalled"] = faults_of_upstreams.flood
    begun, before = gateway.resident(), []
    for _ in range(arguments.stalled // 100):
        before += await asyncio.gather(*(faults_of_callers.stall(gateway, question("stalled", True)) for _ in range(100)))
    most = gateway.resident()
    for _ in range(10):
        await asyncio.sleep(0.5)
        most = max(most, gateway.resident())
    for one in before:
        one.close()
    until = time.monotonic() + 10
    while gateway.descriptors() > 200 and time.monotonic() < until:
        await asyncio.sleep(0.1)
    print(f"\n{len(before)} callers that read nothing of an endless answer: {most:.0f} MiB resident at most, {begun:.0f} before")
    return most <= 256


async def main():
    url = arguments.upstream = await faults_of_upstreams.start()
    await make("honest", url)
    await make("streams", url)
    streams = Streams()
    await streams.start(arguments.streams)
    honest = Honest()
    honest.start()
    table = Table(honest)
    steady = Steady(gateway, ROUNDS)
    for _ in range(ROUNDS):
        steady.begin()
        for number, fault in enumerate(faults_of_upstreams.FAULTS):
            await table.add(fault.name, lambda: of_upstream(f"{steady.part}-{number}", fault, url))
        for number, fault in enumerate(faults_of_callers.FAULTS):
            await table.add(fault.name, lambda: of_caller(f"{steady.part}-{number}", fault))
    table.print()
    flat = steady.end()

    await honest.stop()
    faults_of_upstreams.OVER.set()
    broken = await streams.end()
    faults_of_upstreams.OVER.clear()
    charges = await settled("streams", arguments.streams)
    wrong = sum(units != PRICE for units in charges) + abs(len(charges) - arguments.streams)
    sums = await gateway.manage("GET", "/api/log/self/stat?model_name=honest")
    lost = abs(sums["quota"] - PRICE * honest.whole)
    print(f"\nThe honest load: {honest.asked} requests, {honest.failed} failed {told(honest.failures)}; charged otherwise than answered: {lost} units. "
          f"{arguments.streams} open streams: {broken} broken, {wrong} charged wrongly. "
          f"{steady}")
    small = await stalled() if arguments.stalled else True
    return table.right and flat and small and not (honest.failed or lost or broken or wrong)


raise SystemExit(0 if asyncio.run(main()) else 1)
