"""Several servers on one PostgreSQL, each with a data directory and a wire of its own, and the command line beside them."""

import asyncio
import os
import shutil
import subprocess
import time
import urllib.parse

from wire import Wire

BINARY, WORK = os.environ["BENCH_BINARY"], os.environ["BENCH_WORK"]
# The directory of the server's socket; its process is beside it.
DATABASE = urllib.parse.parse_qs(urllib.parse.urlparse(os.environ["TEST_POSTGRES_URL"]).query)["host"][0]
def sql(text):
    query = ["psql", "-h", DATABASE, "-U", "postgres", "-d", "apsis", "-Atc", text]
    return subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip()


FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


class Node:
    """One server with a data directory and a wire of its own."""

    def __init__(self, number, master):
        self.number = number
        self.data = f"{WORK}/node-{number}"
        self.wire = Wire(f"{DATABASE}/.s.PGSQL.5432")
        self.process = None
        self.master = master
        self.address = None
        self.clock = None

    async def prepare(self):
        await self.wire.start()
        os.makedirs(self.data, mode=0o700)
        shutil.copy(self.master, f"{self.data}/master.key")

    def environment(self):
        url = f"postgres://postgres@127.0.0.1:{self.wire.port}/apsis?sslmode=disable"
        return {**os.environ, "APSIS_DATABASE_URL": url, **(self.clock or {})}

    def move_clock(self, by):
        """What it takes for the time of day; only in a process that was started with a clock of its own."""
        with open(f"{self.data}.clock", "w") as file:
            file.write(by)
        self.clock = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": f"{self.data}.clock", "FAKETIME_NO_CACHE": "1",
                      "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    async def start(self):
        command = [BINARY, "serve", "--data-dir", self.data, "--listen", self.address or "127.0.0.1:0",
                   "--set", "log.level=error", "--set", "upstream.allow_private=127.0.0.0/8", "--set", "ledger.dead_after=5s"]
        self.out = open(f"{self.data}.out", "a+")
        self.err = open(f"{self.data}.err", "a")
        before = self.out.tell()
        self.process = subprocess.Popen(command, env=self.environment(), stdout=self.out, stderr=self.err)
        begun = time.monotonic()
        while True:
            with open(f"{self.data}.out") as out:
                said = out.read()[before:]
            found = next((word for word in said.split() if word.startswith("http://127.0.0.1:")), None)
            if found and "listens" in said:
                self.address = found.removeprefix("http://").rstrip(",")
                return time.monotonic() - begun
            assert self.process.poll() is None, f"a server did not start: {open(f'{self.data}.err').read()[-2000:]}"
            assert time.monotonic() - begun < 60, "a server does not start"
            await asyncio.sleep(0.02)

    def send(self, which):
        self.process.send_signal(which)

    async def ended(self):
        while self.process.poll() is None:
            await asyncio.sleep(0.02)
        return self.process.returncode


def apsis(*words, text=None):
    """The command line, beside the servers."""
    url = f"postgres:///apsis?host={DATABASE}&user=postgres"
    command = [BINARY, *words, "--data-dir", f"{WORK}/admin"]
    done = subprocess.run(command, env={**os.environ, "APSIS_DATABASE_URL": url}, capture_output=True, text=True, input=text)
    assert done.returncode == 0, f"{words}: {done.stdout} {done.stderr}"
    return done.stdout.strip()


def books():
    """Whether the ledger adds up."""
    url = f"postgres:///apsis?host={DATABASE}&user=postgres"
    command = [BINARY, "ledger", "verify", "--data-dir", f"{WORK}/admin"]
    done = subprocess.run(command, env={**os.environ, "APSIS_DATABASE_URL": url}, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr)
    return done.returncode == 0


def postmaster():
    with open(f"{DATABASE}/data/postmaster.pid") as file:
        return int(file.readline())


def signal_database(which):
    """To the server and all its connections: stopped alone it would leave them answering."""
    children = subprocess.run(["pgrep", "-P", str(postmaster())], capture_output=True, text=True).stdout.split()
    for pid in [postmaster(), *map(int, children)]:
        try:
            os.kill(pid, which)
        except ProcessLookupError:
            pass


def control(*words):
    binary = sorted(os.listdir("/usr/lib/postgresql"), key=int)[-1]
    owner = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    command = [*owner, f"/usr/lib/postgresql/{binary}/bin/pg_ctl", "--pgdata", f"{DATABASE}/data", "--silent", "--wait", *words]
    subprocess.run(command, check=True, cwd=DATABASE, stdout=subprocess.DEVNULL)
