"""Drives wrk in turns against the three ways and prints ratios with their spread, as a table for docs/performance.md."""

import argparse
import socket
import subprocess
import time

import load
from load import body, resident, spread

parser = argparse.ArgumentParser()
for name in ["rounds", "seconds", "key", "work", "direct", "nginx", "apsis", "nginx-pid", "apsis-pid", "binary"]:
    parser.add_argument(f"--{name}", required=True)
arguments = parser.parse_args()
ways = {"direct": arguments.direct, "nginx": arguments.nginx, "apsis": arguments.apsis}
pids = {"nginx": int(arguments.nginx_pid), "apsis": int(arguments.apsis_pid)}


def wrk(way, model, stream, connections):
    return load.wrk(arguments.work, ways[way], arguments.key, body(model, stream), connections, arguments.seconds, pids.get(way))


def rounds(model, stream, connections):
    results = {way: [] for way in ways}
    for _ in range(int(arguments.rounds)):
        for way in ways:
            results[way].append(wrk(way, model, stream, connections))
    return results


def ratio(results, figure):
    return [a[figure] / n[figure] for a, n in zip(results["apsis"], results["nginx"])]


idle = resident(pids["apsis"])
wrk("apsis", "small", "false", 64)
print("| figure | Apsis | wanted |\n|---|---|---|")
small = rounds("small", "false", 64)
for way in ways:
    print(f"| small whole answers, 64 connections, requests/s, {way} | {spread([r['rate'] for r in small[way]], 0)} | |")
print(f"| … throughput ÷ nginx | {spread(ratio(small, 'rate'))} | ≥ 0.55 |")
for way in pids:
    print(f"| … processor time a request, µs, {way} | {spread([r['cpu'] for r in small[way]], 0)} | |")
print(f"| … processor time ÷ nginx | {spread(ratio(small, 'cpu'))} | ≤ 1.8 |")
loaded = resident(pids["apsis"])
slow = rounds("slow", "false", 8)
for share in ["p50", "p99"]:
    added = {way: [r[share] - d[share] for r, d in zip(slow[way], slow["direct"])] for way in pids}
    for way in pids:
        print(f"| added {share}, upstream answers after 20 ms, 8 connections, ms, {way} | {spread(added[way])} | |")
long = rounds("long", "true", 16)
print(f"| streams of 200 chunks, 16 connections, events/s ÷ nginx | {spread(ratio(long, 'rate'))} | ≥ 0.80 |")

before = resident(pids["apsis"])
count, sockets = 1000, []
host, port = ways["apsis"].split(":")
request = body("stall", "true")
for _ in range(count):
    connection = socket.create_connection((host, int(port)))
    connection.sendall(
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {arguments.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(request)}\r\n\r\n{request}".encode()
    )
    sockets.append(connection)
for connection in sockets:
    assert connection.recv(12) == b"HTTP/1.1 200"
print(f"| resident memory idle, MiB | {idle:.1f} | ≤ 25 |\n| … under load, MiB | {loaded:.1f} | |")
print(f"| … of one open stream of {count}, KiB | {(resident(pids['apsis']) - before) * 1024 / count:.1f} | ≤ 40 |")
for connection in sockets:
    connection.close()

starts = []
for index in range(5):
    begun = time.monotonic()
    command = [arguments.binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", f"{arguments.work}/start-{index}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.readline()
    starts.append((time.monotonic() - begun) * 1000)
    process.terminate()
    process.wait()
print(f"| start on an empty database until it listens, ms | {spread(starts, 0)} | ≤ 150 |")
