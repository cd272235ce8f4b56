"""What a server takes of a database with many keys and records. Prints rows for docs/performance.md."""

import argparse
import asyncio
import os
import random
import statistics
import string
import subprocess
import time
import zlib

import load
from gateway import Gateway, read

parser = argparse.ArgumentParser()
for name in ["binary", "data", "keys", "url"]:
    parser.add_argument(f"--{name}", required=True)
arguments = parser.parse_args()
KEYS = open(arguments.keys).read().split()
STRANGERS = 10_000
CALLERS = 20
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


def run(*words):
    command = [arguments.binary, "--data-dir", arguments.data, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def sql(text):
    return subprocess.run(["psql", arguments.url, "-Atc", text], check=True, capture_output=True, text=True).stdout.strip()


def start(days=100_000):
    """A running server that keeps records for so long, its address, and the seconds until it listened."""
    begun = time.monotonic()
    settings = ["--set", "log.level=off", "--set", "upstream.allow_private=127.0.0.0/8", "--set", "ledger.verify_every=86400s",
                "--set", "usage.keep_records=1000000000", "--set", "usage.keep_bytes=1000000000000",
                "--set", f"usage.keep_days={days}"]
    server = subprocess.Popen([arguments.binary, "serve", "--data-dir", arguments.data, "--listen", "127.0.0.1:0", *settings],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while line := server.stdout.readline():
        found = [word for word in line.split() if word.startswith("http://127.0.0.1:")]
        if found:
            return server, found[0].removeprefix("http://").rstrip(",/"), time.monotonic() - begun
    raise AssertionError("the server did not start")


def form(number):
    """A text with the form of a key, check characters included, that is none."""
    text = "sk-" + "".join(random.Random(number).choices(DIGITS, k=42))
    check, crc = "", zlib.crc32(text.encode())
    for _ in range(6):
        check, crc = DIGITS[crc % 62] + check, crc // 62
    return text + check


def transactions():
    sql("SELECT pg_stat_force_next_flush()")
    return int(sql("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"))


async def present(gateway, key_of):
    """Many requests with keys that are none; transactions of the database meanwhile, and seconds."""
    # What a session of the database has done is counted when it has been idle for a second.
    await asyncio.sleep(2)
    before, begun = transactions(), time.monotonic()

    async def caller(first):
        reader, writer = await gateway.connect()
        for number in range(first, STRANGERS, CALLERS):
            writer.write(gateway.head("GET", "/v1/models", key_of(number), 0))
            answer = await read(reader)
            assert answer.status == 401, answer.status
        writer.close()

    await asyncio.gather(*(caller(first) for first in range(CALLERS)))
    took = time.monotonic() - begun
    await asyncio.sleep(2)
    return transactions() - before, took


async def strangers(gateway):
    await asyncio.sleep(2)
    before, begun = transactions(), time.monotonic()
    await asyncio.sleep(10)
    idle = (transactions() - before) / (time.monotonic() - begun)
    same = form(-1)
    for what, key_of in [("with wrong check characters", lambda number: f"sk-{number:048}"),
                         ("with the form of one, always the same", lambda _: same),
                         ("with the form of one, each another", form)]:
        made, took = await present(gateway, key_of)
        rest = idle * (took + 4)
        print(f"| {STRANGERS} keys that are none, {what}: transactions (beside some {rest:.0f} of the background) | {max(0, made - rest):.0f} in {took:.1f} s |")


def settle():
    """Waits until the proof of the books that a start may begin with is over, so that what is measured has the disk for itself."""
    quiet = 0
    while quiet < 5:
        busy = int(sql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'apsis-%' AND state = 'active'"))
        quiet = 0 if busy else quiet + 1
        time.sleep(1)


async def pages(gateway):
    for path in ["/api/token/?p=1&page_size=100", "/api/token/?p=50000&page_size=100", "/api/token/search?keyword=9999999",
                 "/api/token/search?keyword=nothing", "/api/log/?p=1&page_size=100", "/api/log/?p=100000&page_size=100",
                 "/api/log/?model_name=rare-model", "/api/log/?model_name=grok-4", "/api/log/?token_name=tests",
                 "/api/log/?username=account-7", "/api/log/?username=account-0", "/api/log/stat", "/api/log/stat?username=account-7"]:
        times = []
        for _ in range(5):
            begun = time.monotonic()
            answer = await gateway.call("GET", path, credential=gateway.token)
            times.append((time.monotonic() - begun) * 1000)
        said = "" if answer.status == 200 and answer.json()["success"] else f", {answer.status} {answer.body[:100]}"
        print(f"| `{path}`, ms: median, first{said} | {statistics.median(times):.0f}, {times[0]:.0f} |", flush=True)


def spread_load(address, seconds):
    """Requests with all keys in turn."""
    script = os.path.join(arguments.data, "spread.lua")
    with open(script, "w") as file:
        file.write(f"""local keys, place = {{}}, 0
for line in io.lines("{arguments.keys}") do keys[#keys + 1] = line end
function request()
  place = place % #keys + 1
  return wrk.format("POST", "/v1/chat/completions", {{ ["Authorization"] = "Bearer " .. keys[place],
    ["Content-Type"] = "application/json" }}, '{load.body("small", "false")}')
end
""")
    command = ["wrk", "-t2", "-c64", f"-d{seconds}s", "-s", script, f"http://{address}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in text, text
    return next(line.split()[1] for line in text.splitlines() if line.startswith("Requests/sec"))


def weigh():
    """Bytes of a record: itself, and its part of what its block keeps of it."""
    def of(*tables):
        return sum(int(sql(f"SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('{table}')")) for table in tables)
    records = int(sql("SELECT sum(requests) FROM usage_block"))
    itself, rest = of("usage") / records, of("usage_part", "usage_name", "usage_request") / records
    print(f"| size of a record, bytes: the record itself; its part of sums, lists and indexes of its block | {itself:.0f}; {rest:.0f} |")


def prove():
    begun = time.monotonic()
    said = run("ledger", "verify")
    print(f"| `apsis ledger verify` ({said}), s | {time.monotonic() - begun:.0f} |", flush=True)


def forget():
    """The time that a block takes when everything of the oldest partition is too old, until that is dropped."""
    first, last = sql("SELECT min(block), (min(block) / 256 + 1) * 256 - 1 FROM usage_block").split("|")
    age = int(sql(f"SELECT (SELECT millis FROM clock) - max(newest) FROM usage_block WHERE block <= {last}"))
    server, _, _ = start(age // 86_400_000)
    begun = None
    try:
        while sql(f"SELECT to_regclass('usage_p{int(last) // 256}') IS NULL") == "f":
            if begun is None and sql("SELECT min(block) FROM usage_block") != first:
                begun = time.monotonic()
            time.sleep(0.2)
        took, forgotten = time.monotonic() - begun, int(sql("SELECT min(block) FROM usage_block")) - int(first)
        print(f"| forget {forgotten} blocks and drop their partition, with 250 ms between two: s; ms of a block beside the pause | "
              f"{took:.0f}; {took / forgotten * 1000 - 250:.0f} |", flush=True)
    finally:
        server.terminate()
        server.wait()


async def main():
    records, keys = sql("SELECT sum(requests) FROM usage_block"), sql("SELECT count(*) FROM api_key")
    size = sql("SELECT pg_size_pretty(pg_database_size(current_database()))")
    print(f"| {keys} keys, {records} records, {size} | |\n|---|---|")
    weigh()
    starts = []
    for _ in range(3):
        server, address, took = start()
        starts.append(took)
        server.terminate()
        server.wait()
    print(f"| start until it listens, ms | {', '.join(f'{took * 1000:.0f}' for took in starts)} |")
    server, address, _ = start()
    try:
        await asyncio.sleep(3)
        print(f"| resident memory idle, MiB | {load.resident(server.pid):.1f} |")
        settle()
        gateway = Gateway(address, KEYS[0], run("pat", "create"), server.pid)
        await pages(gateway)
        print(f"| resident memory after these pages, MiB | {load.resident(server.pid):.1f} |")
        await strangers(gateway)
        rate = spread_load(address, 10)
        print(f"| {len(KEYS)} keys in use, 64 connections: requests/s; resident memory, MiB | {rate}; {load.resident(server.pid):.1f} |")
    finally:
        server.terminate()
        server.wait()
    prove()
    forget()
    prove()


asyncio.run(main())
