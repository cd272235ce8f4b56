"""Many large forms at once: what they take of Apsis' memory. Each upload stops before its last byte until all are there, so
that all of them are in Apsis at one moment; then they come to their end one after the other."""

import argparse
import os
import socket
import statistics
import time

parser = argparse.ArgumentParser()
for name in ["key", "apsis", "apsis-pid"]:
    parser.add_argument(f"--{name}", required=True)
parser.add_argument("--uploads", type=int, default=40)
parser.add_argument("--size", type=int, default=25, help="MiB")
arguments = parser.parse_args()
host, port = arguments.apsis.rsplit(":", 1)
chunk = os.urandom(1 << 20)


def memory(name):
    """A line of the process's status, in MiB."""
    for line in open(f"/proc/{arguments.apsis_pid}/status"):
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise AssertionError(name)


def begin():
    """An upload but for its last byte."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="s.mp3"\r\n\r\n'
    tail = b'\r\n--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nsmall\r\n--x--\r\n'
    length = len(head) + arguments.size * len(chunk) + len(tail)
    connection = socket.create_connection((host, int(port)))
    connection.sendall(
        f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {arguments.key}\r\n"
        f"content-type: multipart/form-data; boundary=x\r\ncontent-length: {length}\r\n\r\n".encode()
    )
    connection.sendall(head)
    for _ in range(arguments.size):
        connection.sendall(chunk)
    connection.sendall(tail[:-1])
    return connection, tail[-1:]


def end(connection, last):
    begun = time.monotonic()
    connection.sendall(last)
    answer = b""
    while b"\r\n\r\n" not in answer or b"recording" not in answer:
        got = connection.recv(65536)
        assert got, answer
        answer += got
    assert answer.startswith(b"HTTP/1.1 200"), answer
    connection.close()
    return time.monotonic() - begun


idle = memory("VmRSS")
uploads = [begin() for _ in range(arguments.uploads)]
held = memory("VmRSS")
times = [end(*upload) for upload in uploads]
peak = memory("VmHWM")
print(
    f"\n{arguments.uploads} uploads of {arguments.size} MiB: resident {idle:.1f} MiB before, {held:.1f} with all of them, "
    f"{peak:.1f} at most; {(peak - idle) / arguments.uploads:.2f} for each; "
    f"{statistics.median(times) * 1000:.0f} ms from the last byte to the answer"
)
