"""The same program on SQLite and on PostgreSQL, in turns: small whole answers, whose path asks neither database anything."""

import argparse
import os
import subprocess
import time
import urllib.parse
import urllib.request

import load
from load import spread

parser = argparse.ArgumentParser()
for name in ["work", "url", "binary"]:
    parser.add_argument(f"--{name}", required=True)
for name in ["rounds", "seconds"]:
    parser.add_argument(f"--{name}", type=int, required=True)
arguments = parser.parse_args()
DATABASE = urllib.parse.parse_qs(urllib.parse.urlparse(os.environ["TEST_POSTGRES_URL"]).query)["host"][0]


class Engine:
    """A server on one of the databases."""

    def __init__(self, name, environment):
        self.name, self.data = name, os.path.join(arguments.work, name)
        self.environment = {**os.environ, **environment}
        settings = ["--listen", "127.0.0.1:0", "--set", "log.level=warn", "--set", "upstream.allow_private=127.0.0.0/8"]
        self.process = subprocess.Popen([arguments.binary, "serve", "--data-dir", self.data, *settings], env=self.environment,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = None
        while self.address is None:
            line = self.process.stdout.readline()
            assert line, f"{name}: the server did not start"
            found = [word for word in line.split() if word.startswith("http://127.0.0.1:")]
            self.address = found[0].removeprefix("http://").rstrip(",/") if found else None
        self.run("channel", "add", "--name", "up", "--base-url", arguments.url, "--models", "small")
        self.run("price", "set", "small", "--input", "1", "--output", "1", "--max-output", "1000")
        self.key = self.run("key", "create", "--quota", "1000000000000")
        self.run("account", "set-balance", "root", "1000000000000")
        self.await_model()

    def run(self, *words):
        command = [arguments.binary, "--data-dir", self.data, *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout.strip()

    def await_model(self):
        """The running server notices what was made beside it within a second."""
        request = urllib.request.Request(f"http://{self.address}/v1/models/small", headers={"authorization": f"Bearer {self.key}"})
        while True:
            try:
                urllib.request.urlopen(request).close()
                return
            except urllib.error.HTTPError:
                time.sleep(0.05)

    def ask(self, seconds):
        return load.wrk(arguments.work, self.address, self.key, load.body("small", "false"), 64, seconds, self.process.pid)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        return self.run("ledger", "verify")


subprocess.run(["psql", "-q", "-h", DATABASE, "-U", "postgres", "-c", "CREATE DATABASE engines"], check=True)
engines = [
    Engine("sqlite", {}),
    Engine("postgres", {"APSIS_DATABASE_URL": f"postgres:///engines?host={DATABASE}&user=postgres"}),
]
try:
    for engine in engines:
        engine.ask(1)
    results = {engine.name: [] for engine in engines}
    for number in range(arguments.rounds):
        # Who is first changes, so that what else the machine does meets both.
        for engine in engines if number % 2 == 0 else reversed(engines):
            results[engine.name].append(engine.ask(arguments.seconds))
    print("\n| small whole answers, 64 connections | SQLite | PostgreSQL | PostgreSQL ÷ SQLite |\n|---|---|---|---|")
    for what, figure, digits in [("requests/s", "rate", 0), ("processor time of a request in the gateway, µs", "cpu", 1),
                                 ("median, ms", "p50", 2), ("99 in 100, ms", "p99", 2)]:
        columns = [[result[figure] for result in results[engine.name]] for engine in engines]
        ratios = [theirs / ours for ours, theirs in zip(*columns)]
        print(f"| {what} | {spread(columns[0], digits)} | {spread(columns[1], digits)} | {spread(ratios)} |")
finally:
    said = [engine.stop() for engine in engines]
print("\n" + "\n".join(said))
