"""How long after its caller has left an upstream sees its connection closed. Prints a row for docs/performance.md."""

import argparse
import socket
import statistics
import subprocess
import time
import urllib.error
import urllib.request

ROUNDS = 200

parser = argparse.ArgumentParser()
for name in ["key", "work", "apsis", "binary"]:
    parser.add_argument(f"--{name}", required=True)
arguments = parser.parse_args()

upstream = socket.create_server(("127.0.0.1", 0))
url = f"http://127.0.0.1:{upstream.getsockname()[1]}/v1"
apsis = [arguments.binary, "--data-dir", f"{arguments.work}/data"]
quiet = {"check": True, "stdout": subprocess.DEVNULL}
subprocess.run([*apsis, "channel", "add", "--name", "leave", "--base-url", url, "--models", "leave"], **quiet)
subprocess.run([*apsis, "price", "set", "leave", "--input", "1", "--output", "1", "--max-output", "1000"], **quiet)


def is_known():
    request = urllib.request.Request(f"http://{arguments.apsis}/v1/models/leave")
    request.add_header("authorization", f"Bearer {arguments.key}")
    try:
        return urllib.request.urlopen(request).status == 200
    except urllib.error.HTTPError:
        return False


# The running server notices what was made beside it within a second.
while not is_known():
    time.sleep(0.05)

host, port = arguments.apsis.split(":")
body = '{"model":"leave","stream":true,"messages":[]}'
head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {arguments.key}\r\n"
event = 'data: {"choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}\n\n'
times = []
for _ in range(ROUNDS):
    caller = socket.create_connection((host, int(port)))
    caller.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
    connection, _ = upstream.accept()
    while not connection.recv(65536).endswith(b"}"):
        pass
    connection.sendall(f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{event}".encode())
    heard = b""
    while b"word" not in heard:
        heard += caller.recv(65536)
    connection.setblocking(False)
    try:
        raise SystemExit(f"the upstream heard {connection.recv(1)!r} before the caller had left")
    except BlockingIOError:
        connection.setblocking(True)
    left = time.monotonic()
    caller.close()
    try:
        assert connection.recv(1) == b""
    except ConnectionResetError:
        pass
    times.append((time.monotonic() - left) * 1000)
    connection.close()
times.sort()
print(f"| a caller leaves until the upstream sees it, {ROUNDS} times, ms: median, p99, most "
      f"| {statistics.median(times):.2f}, {times[ROUNDS * 99 // 100]:.2f}, {times[-1]:.2f} | ≤ 100 |")
