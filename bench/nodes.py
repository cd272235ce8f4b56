"""Several servers on one PostgreSQL, on a bad day. Prints rows for docs/reliability.md."""

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter

from gateway import Gateway, read
from servers import DATABASE, FAKETIME, WORK, Node, StandBy, apsis, books, control, signal_database, sql

parser = argparse.ArgumentParser()
parser.add_argument("--provider", required=True)
for name in ["rate", "seconds"]:
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--only", default="", help="only rows whose text has this")
arguments = parser.parse_args()

NODES = 3

# What an answer costs, by the call: so much is held, and so much is charged.
PRICE = 8

def question():
    return json.dumps({"model": "small", "stream": False, "messages": [{"role": "user", "content": "one two three"}]}).encode()


async def ask(node, key):
    """What came of one request: a status, or nothing."""
    body = question()
    gateway = Gateway(node.address, key, None, None)
    try:
        reader, writer = await asyncio.wait_for(gateway.connect(), 5)
    except OSError:
        return "unreachable"
    try:
        writer.write(gateway.head("POST", "/v1/chat/completions", key, len(body), "connection: close\r\n") + body)
        answer = await asyncio.wait_for(read(reader), 30)
        return answer.status if answer.whole else "cut"
    except (OSError, EOFError, asyncio.IncompleteReadError, asyncio.TimeoutError):
        return "cut"
    finally:
        writer.close()


class Load:
    """Callers of one key that ask all nodes in turn at a steady pace, and remember what came of it and when."""

    def __init__(self, nodes, key):
        self.nodes, self.key, self.asked, self.over = nodes, key, [], False
        self.task = asyncio.create_task(self.run())

    async def run(self):
        begun, count = time.monotonic(), 0
        while not self.over:
            await asyncio.sleep(max(0, begun + count / arguments.rate - time.monotonic()))
            node = self.nodes[count % len(self.nodes)]
            self.asked.append(asyncio.create_task(self.one(node)))
            count += 1

    async def one(self, node):
        at = time.monotonic()
        return node.number, at, await ask(node, self.key)

    async def stop(self):
        self.over = True
        await self.task
        return await asyncio.gather(*self.asked)


async def used(nodes, key):
    """What a key has used, and what is left, by the node that answers first."""
    for node in nodes:
        if node.process.poll() is None:
            data = (await Gateway(node.address, key, None, None).call("GET", "/api/usage/token")).json()["data"]
            return data["total_used"], data["total_available"]


async def everything_applied(nodes):
    """Every journal is in the database."""
    for node in nodes:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            answer = await Gateway(node.address, "x", None, None).call("GET", "/metrics")
            left = next(line for line in answer.body.decode().splitlines() if line.startswith("apsis_journal_unapplied"))
            if left.split()[1] in ("0", "0.0"):
                break
            await asyncio.sleep(0.1)


def told(counted):
    return ", ".join(f"{what} × {count}" for what, count in sorted(counted.items(), key=lambda one: str(one[0])))


class Table:
    right = True

    def row(self, what, came, wanted, right):
        print(f"| {what} | {came} | {wanted} | {'yes' if right else 'NO'} |", flush=True)
        self.right &= right


async def ready(node):
    answer = await Gateway(node.address, "x", None, None).call("GET", "/health/ready")
    return answer.status == 200


async def exhaust(table, nodes, what, disturb, lasts=0):
    """A key that affords some answers, asked for more while something happens: exactly so many succeed."""
    quota = arguments.rate * (lasts + 6)
    key = apsis("key", "create", "--quota", str(quota * PRICE))
    load = Load(nodes, key)
    happened = asyncio.create_task(disturb(nodes))
    left = quota * PRICE
    until = time.monotonic() + 60 + lasts
    while left > 0 and time.monotonic() < until:
        await asyncio.sleep(0.5)
        if happened.done():
            left = int(sql("SELECT granted - used FROM pool JOIN api_key ON api_key.pool = pool.id ORDER BY api_key.id DESC LIMIT 1"))
    await asyncio.sleep(1)
    answers = await load.stop()
    await everything_applied(nodes)
    counted = Counter(status for _, _, status in answers)
    spent, left = await used(nodes, key)
    seen, unsure = counted[200], counted["cut"]
    # Refused although a later request of the same node was served: the quota was elsewhere for so long.
    false = 0.0
    for number in range(NODES):
        served = [at for node, at, status in answers if node == number and status == 200]
        refused = [at for node, at, status in answers if node == number and status == 403]
        if served and refused:
            first = None
            for at in refused:
                if at < served[-1]:
                    first = at if first is None else first
                    later = next(one for one in served if one > at)
                    false = max(false, later - at)
    exact = seen * PRICE <= spent <= (seen + unsure) * PRICE and spent == quota * PRICE and left == 0
    table.row(what, f"{told(counted)}; charged {spent // PRICE}, left {left // PRICE}; a false refusal was followed by an answer within {false:.1f} s",
              f"{quota} answered and charged", exact and books())
    return left


async def nothing(_):
    pass


async def killed(nodes):
    await asyncio.sleep(1)
    for _ in range(3):
        nodes[0].send(signal.SIGKILL)
        await nodes[0].ended()
        await asyncio.sleep(0.5)
        await nodes[0].start()
        await asyncio.sleep(1)


async def frozen(nodes):
    await asyncio.sleep(1)
    nodes[0].send(signal.SIGSTOP)
    await asyncio.sleep(arguments.seconds)
    nodes[0].send(signal.SIGCONT)
    await asyncio.sleep(2)


def cut(way, lasts):
    async def disturb(nodes):
        await asyncio.sleep(1)
        nodes[0].wire.cut(way)
        await asyncio.sleep(lasts)
        nodes[0].wire.mend()
        await asyncio.sleep(3)

    return disturb


async def late(nodes):
    nodes[0].wire.late = 2
    await asyncio.sleep(arguments.seconds)
    nodes[0].wire.late = 0
    await asyncio.sleep(2)


async def torn(nodes):
    """What one server has sent may be done, and the answer does not come."""
    until = time.monotonic() + arguments.seconds
    while time.monotonic() < until:
        await asyncio.sleep(0.3)
        nodes[0].wire.tear()
    await asyncio.sleep(2)


async def clock_moved(nodes):
    nodes[0].move_clock("+0")
    await again(nodes[0])
    for by in ["+1h", "-1h", "+3d", "+0"]:
        nodes[0].move_clock(by)
        await asyncio.sleep(arguments.seconds / 4)
    nodes[0].clock = None
    await again(nodes[0])


async def again(node):
    node.send(signal.SIGTERM)
    await node.ended()
    await node.start()


def failed_over(dies):
    """A stand-by takes over that missed what came last; a server may die with the database, and comes back. A key that was made in
    what is lost, and used, is no key any more."""
    async def disturb(nodes):
        stand_by.begin()
        await asyncio.sleep(4)
        stand_by.miss()
        key = apsis("key", "create", "--quota", str(1_000 * PRICE))
        answers = [await ask(node, key) for node in nodes]
        assert answers == [200] * NODES, f"a new key: {answers}"
        await asyncio.sleep(3)
        if dies:
            nodes[0].send(signal.SIGKILL)
            await nodes[0].ended()
        stand_by.take_over(nodes)
        if dies:
            await asyncio.sleep(2)
            await nodes[0].start()
        until = time.monotonic() + 15
        while any([await ask(node, key) != 401 for node in nodes]):
            assert time.monotonic() < until, "a key that is lost is still taken"
            await asyncio.sleep(0.2)
        await asyncio.sleep(4)
        stand_by.end_of_first()

    return disturb


stand_by = StandBy()


async def all_at_once(table, nodes):
    """Three thousand callers at the same moment of a key that affords a thousand answers."""
    key = apsis("key", "create", "--quota", str(1_000 * PRICE))
    begun = time.monotonic()
    answers = Counter(await asyncio.gather(*(ask(nodes[number % NODES], key) for number in range(3_000))))
    took = time.monotonic() - begun
    # Who was refused although units were elsewhere asks again.
    while answers[200] < 1_000 and time.monotonic() < begun + 60:
        answers[await ask(nodes[0], key)] += 1
    await everything_applied(nodes)
    spent, left = await used(nodes, key)
    table.row("3,000 ask at once for 1,000 answers", f"{told(answers)} in {took:.1f} s; charged {spent // PRICE}, left {left // PRICE}",
              "1,000 answered and charged", answers[200] == 1_000 and spent == 1_000 * PRICE and left == 0 and books())


async def slow(nodes):
    for node in nodes:
        node.wire.delay = 0.5
    await asyncio.sleep(arguments.seconds)
    for node in nodes:
        node.wire.delay = 0
    await asyncio.sleep(2)


async def database_stopped(_):
    await asyncio.sleep(1)
    signal_database(signal.SIGSTOP)
    await asyncio.sleep(arguments.seconds)
    signal_database(signal.SIGCONT)
    await asyncio.sleep(4)


async def database_restarted(_):
    await asyncio.sleep(1)
    control("--mode", "immediate", "stop")
    await asyncio.sleep(2)
    control("--log", f"{DATABASE}/server.log", "start")
    await asyncio.sleep(4)


async def lost_disk(table, nodes):
    """A node whose disk is gone is another node; what it had leased is in suspense until somebody resolves it."""
    key = apsis("key", "create", "--quota", str(100_000 * PRICE))
    load = Load(nodes, key)
    await asyncio.sleep(3)
    nodes[0].send(signal.SIGKILL)
    await nodes[0].ended()
    shutil.rmtree(f"{nodes[0].data}/journal")
    await nodes[0].start()
    suspense = 0
    until = time.monotonic() + 30
    while suspense == 0 and time.monotonic() < until:
        await asyncio.sleep(0.5)
        suspense = int(sql("SELECT suspense FROM pool JOIN api_key ON api_key.pool = pool.id ORDER BY api_key.id DESC LIMIT 1"))
    answers = await load.stop()
    await everything_applied(nodes)
    counted = Counter(status for _, _, status in answers)
    spent, _ = await used(nodes, key)
    lost = counted[200] * PRICE - spent
    table.row("a server's disk is lost: what it had leased stands in suspense", f"{told(counted)}; {suspense} units in suspense, {lost} answered but not in the books",
              "answered = charged + a part of what is in suspense", 0 <= lost <= suspense and suspense > 0 and books())


async def away(table, nodes):
    """The database is away for a minute; keys in use are served from what is leased."""
    key = apsis("key", "create", "--quota", str(10_000_000 * PRICE))
    load = Load(nodes, key)
    await asyncio.sleep(5)
    begun = time.monotonic()
    signal_database(signal.SIGSTOP)
    await asyncio.sleep(60)
    signal_database(signal.SIGCONT)
    back = time.monotonic()
    before = int(sql("SELECT xact_commit FROM pg_stat_database WHERE datname = 'apsis'"))
    await asyncio.sleep(10)
    after = int(sql("SELECT xact_commit FROM pg_stat_database WHERE datname = 'apsis'"))
    usual = after
    await asyncio.sleep(10)
    usual = int(sql("SELECT xact_commit FROM pg_stat_database WHERE datname = 'apsis'")) - usual
    answers = await load.stop()
    await everything_applied(nodes)
    # Where leases do not last, what is asked in the last seconds may be answered after the return.
    lasted = all(status == 200 for _, at, status in answers if begun <= at <= back - 15)
    during = [(node, at, status) for node, at, status in answers if begun <= at <= (back if lasted else back - 15)]
    spent, _ = await used(nodes, key)
    total = Counter(status for _, _, status in answers)
    # While its lease lasts a server answers everything; then it says 503 until the database is back.
    last = {node: max((at for one, at, status in during if one == node and status == 200), default=begun) for node in range(NODES)}
    lasting = Counter(status for node, at, status in during if at <= last[node])
    then = Counter(status for node, at, status in during if at > last[node])
    share = lasting[200] / max(1, sum(lasting.values()))
    exact = spent == total[200] * PRICE
    table.row("the database is away for 60 s", f"for {min(last.values()) - begun:.0f} s, as long as leases last, {told(lasting)}; then {told(then)}; "
              f"all that was answered is charged: {'yes' if exact else 'NO'}; transactions in the 10 s after its return and in the next: {after - before}, {usual}",
              "≥ 0.999 as long as leases last, then 503; at most twice the load",
              share >= 0.999 and set(then) <= {503} and after - before <= 2 * usual and exact and books())


async def rolling(table, nodes):
    """Each server is restarted in turn while callers ask those that are ready, as behind any balancer, and streams are open."""
    key = apsis("key", "create", "--quota", str(10_000_000 * PRICE))
    failed, answered, streams = Counter(), 0, []
    over = False

    async def caller(number):
        nonlocal answered
        turn = number
        while not over:
            for attempt in range(len(nodes)):
                status = await ask(nodes[(turn + attempt) % len(nodes)], key)
                # Who cannot connect, or is told that this one stops, asks the next.
                if status not in ("unreachable", 503):
                    break
            turn += 1
            if status == 200:
                answered += 1
            else:
                failed[status] += 1
            await asyncio.sleep(0.02)

    async def stream(node):
        gateway = Gateway(node.address, key, None, None)
        body = question().replace(b'"small"', b'"minute"').replace(b"false", b"true")
        reader, writer = await gateway.connect()
        writer.write(gateway.head("POST", "/v1/chat/completions", key, len(body), "connection: close\r\n") + body)
        answer = await read(reader)
        writer.close()
        return answer.whole and b"[DONE]" in answer.body

    callers = [asyncio.create_task(caller(number)) for number in range(20)]
    took = []
    for node in nodes:
        streams += [asyncio.create_task(stream(node)) for _ in range(20)]
        await asyncio.sleep(1)
        begun = time.monotonic()
        node.send(signal.SIGTERM)
        code = await node.ended()
        took.append(time.monotonic() - begun)
        failed["exit"] += code != 0
        await node.start()
    over = True
    await asyncio.gather(*callers)
    whole = sum(await asyncio.gather(*streams))
    failed = +failed
    await everything_applied(nodes)
    table.row("three servers are restarted in turn", f"{answered} answered, failed: {told(failed) or 0}; {whole} of {len(streams)} streams whole; "
              f"a restart took at most {max(took):.1f} s", "none failed, none cut", not failed and whole == len(streams) and books())


async def steady(table, nodes):
    """Transactions for a request at two thousand requests a second of each server."""
    key = apsis("key", "create", "--quota", str(100_000_000 * PRICE))
    script = f"{WORK}/small.lua"
    with open(script, "w") as file:
        file.write(f"wrk.method='POST'\nwrk.body='{question().decode()}'\nwrk.headers['content-type']='application/json'\n"
                   f"wrk.headers['authorization']='Bearer {key}'\n"
                   # Sixteen connections, each of which waits for so many milliseconds: some two thousand a second.
                   "function delay() return 7 end\n")
    await asyncio.gather(*(ask(node, key) for node in nodes))

    def commits():
        return int(sql("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'apsis'"))

    for warm in (True, False):
        await asyncio.sleep(1.5)
        before, begun = commits(), time.monotonic()
        loads = [subprocess.Popen(["wrk", "-t1", "-c16", f"-d{2 if warm else arguments.seconds}s", "-s", script, f"http://{node.address}/v1/chat/completions"],
                                  stdout=subprocess.PIPE, text=True) for node in nodes]
        while any(load.poll() is None for load in loads):
            await asyncio.sleep(0.1)
        said = [load.stdout.read() for load in loads]
        await asyncio.sleep(1.2)
        each = (commits() - before) / (time.monotonic() - begun) / NODES
    requests = sum(int(text.split(" requests in")[0].split()[-1]) for text in said)
    bad = sum("Non-2xx" in text for text in said)
    rate = requests / arguments.seconds / NODES
    share = each / rate
    await everything_applied(nodes)
    table.row(f"three servers at {rate:.0f} requests/s each: transactions of a server a second; for a request",
              f"{each:.1f}; {share:.4f}", "≤ 0.005 for a request at 2,000 requests/s", share <= 0.005 * 2_000 / rate and not bad and books())


def rows(nodes, table):
    """What happens, and how it is shown."""
    seconds = arguments.seconds

    def exhausted(what, disturb, lasts):
        return what, lambda: exhaust(table, nodes, what, disturb, lasts)

    yield exhausted("nothing", nothing, 0)
    yield "all at once", lambda: all_at_once(table, nodes)
    yield exhausted("a server is killed (-9) and started again, three times", killed, 8)
    yield exhausted(f"a server is frozen for {seconds} s", frozen, seconds + 4)
    if os.path.exists(FAKETIME):
        yield exhausted("a server's clock is moved an hour on, an hour back and three days on", clock_moved, seconds + 8)
    for lasts in sorted({seconds, 60 if seconds >= 5 else seconds}):
        yield exhausted(f"a server cannot reach the database for {lasts} s", cut("both", lasts), lasts + 4)
        yield exhausted(f"… nothing it sends arrives for {lasts} s", cut("up", lasts), lasts + 4)
        yield exhausted(f"… it hears nothing for {lasts} s", cut("down", lasts), lasts + 4)
    yield exhausted(f"… it hears everything up to 2 s late for {seconds} s", late, seconds + 4)
    yield exhausted(f"… its connections break every 0.3 s for {seconds} s, and answers are lost", torn, seconds + 4)
    yield exhausted(f"the database takes half a second longer for {seconds} s", slow, seconds + 4)
    yield exhausted(f"the database stands still for {seconds} s", database_stopped, seconds + 4)
    yield exhausted("the database dies and is started again", database_restarted, 8)
    yield "a server's disk is lost", lambda: lost_disk(table, nodes)
    yield "three servers at a steady pace", lambda: steady(table, nodes)
    yield "three servers are restarted in turn", lambda: rolling(table, nodes)
    yield "the database is away for 60 s", lambda: away(table, nodes)
    yield exhausted("a stand-by takes over that missed the last 3 s", failed_over(False), 30)
    yield exhausted("… one takes over, and a server dies with the database and is started again 2 s later", failed_over(True), 30)


async def main():
    sql_admin = ["psql", "-h", DATABASE, "-U", "postgres", "-qc", "CREATE DATABASE apsis"]
    subprocess.run(sql_admin, check=True)
    # A thousandth of a second passes between a word and the next: a stream of some three seconds.
    scripts = f"{WORK}/scripts.json"
    with open(scripts, "w") as file:
        json.dump({"minute": {"words": 100, "chunk_ms": 30}}, file)
    provider = subprocess.Popen([arguments.provider, scripts], stdout=subprocess.PIPE, text=True)
    url = provider.stdout.readline().strip()
    os.makedirs(f"{WORK}/admin", mode=0o700)
    nodes = []
    try:
        first = Node(0, None)
        await first.wire.start()
        os.makedirs(first.data, mode=0o700)
        await first.start()
        shutil.copy(f"{first.data}/master.key", f"{WORK}/admin/master.key")
        nodes.append(first)
        for number in range(1, NODES):
            node = Node(number, f"{first.data}/master.key")
            await node.prepare()
            await node.start()
            nodes.append(node)
        apsis("channel", "add", "--name", "up", "--base-url", url, "--models", "small,minute")
        for model in ["small", "minute"]:
            apsis("price", "set", model, "--input", "0", "--output", "0", "--per-call", str(PRICE), "--max-output", "1000")
        apsis("account", "set-balance", "root", "1000000000000")
        key = apsis("key", "create", "--quota", "1000000")
        for node in nodes:
            until = time.monotonic() + 20
            while (status := await ask(node, key)) != 200:
                assert time.monotonic() < until, f"no answer: {status}"
                await asyncio.sleep(0.1)
        print("| what happens | what came of it | wanted | so it is |\n|---|---|---|---|")
        table = Table()
        for what, row in rows(nodes, table):
            if arguments.only in what:
                await row()
        return table.right
    finally:
        for node in nodes:
            if node.process.poll() is None:
                node.send(signal.SIGCONT)
                node.send(signal.SIGKILL)
                node.process.wait()
        stand_by.end()
        provider.kill()


raise SystemExit(0 if asyncio.run(main()) else 1)
