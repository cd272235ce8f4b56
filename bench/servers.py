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
# Where the database is reached: another server may take its place.
place = {"host": DATABASE}


def sql(text):
    query = ["psql", "-h", place["host"], "-U", "postgres", "-d", "apsis", "-Atc", text]
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
    url = f"postgres:///apsis?host={place['host']}&user=postgres"
    command = [BINARY, *words, "--data-dir", f"{WORK}/admin"]
    done = subprocess.run(command, env={**os.environ, "APSIS_DATABASE_URL": url}, capture_output=True, text=True, input=text)
    assert done.returncode == 0, f"{words}: {done.stdout} {done.stderr}"
    return done.stdout.strip()


def books():
    """Whether the ledger adds up."""
    url = f"postgres:///apsis?host={place['host']}&user=postgres"
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


def program(name):
    """A program of the database's, and whom it runs as."""
    version = sorted(os.listdir("/usr/lib/postgresql"), key=int)[-1]
    owner = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    return [*owner, f"/usr/lib/postgresql/{version}/bin/{name}"]


def control(*words, data=f"{DATABASE}/data"):
    command = [*program("pg_ctl"), "--pgdata", data, "--silent", "--wait", *words]
    subprocess.run(command, check=True, cwd=DATABASE, stdout=subprocess.DEVNULL)


class StandBy:
    """A further server that follows the one that is used, and takes its place; as often as that is wanted."""

    def __init__(self):
        self.count = 0
        self.first = f"{DATABASE}/data"
        self.data = None

    def begin(self):
        """Starts the one that is used anew so that it can be followed, and follows it."""
        self.count += 1
        self.host = f"{DATABASE}/stand-by-{self.count}"
        self.data = f"{self.host}/data"
        for setting in ["wal_level = replica", "max_wal_senders = 4", "full_page_writes = on", "hot_standby = on"]:
            sql(f"ALTER SYSTEM SET {setting}")
        if sql("SHOW wal_level") != "replica":
            control("--mode", "fast", "--log", f"{DATABASE}/server.log", "restart", data=self.first)
        subprocess.run([*program("psql")[:-1], "mkdir", "-m", "700", self.host], check=True)
        copy = [*program("pg_basebackup"), "-h", place["host"], "-D", self.data, "-R", "-c", "fast", "-X", "stream"]
        subprocess.run(copy, check=True, cwd=DATABASE, stdout=subprocess.DEVNULL)
        control("--log", f"{self.host}/server.log", "--options", f"-c unix_socket_directories={self.host}", "start", data=self.data)

    def sql(self, text):
        query = ["psql", "-h", self.host, "-U", "postgres", "-d", "apsis", "-Atc", text]
        return subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip()

    def miss(self):
        """From here on it hears nothing any more."""
        self.sql("ALTER SYSTEM SET primary_conninfo = ''")
        self.sql("SELECT pg_reload_conf()")

    def take_over(self, nodes):
        control("--mode", "immediate", "stop", data=self.first)
        control("promote", data=self.data)
        place["host"] = self.host
        for node in nodes:
            node.wire.socket = f"{self.host}/.s.PGSQL.5432"

    def end_of_first(self):
        """What was followed is not used again."""
        if self.count > 1:
            shutil.rmtree(self.first)
        self.first = self.data

    def end(self):
        if self.data and os.path.exists(f"{self.data}/postmaster.pid"):
            control("--mode", "immediate", "stop", data=self.data)
