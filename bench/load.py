"""Load by wrk, and what processes take of the processor and of memory for it."""

import os
import re
import statistics
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [pid, *map(int, found)]


def processor(pid):
    """Processor seconds of a process and its workers."""
    total = 0
    for one in children(pid):
        try:
            fields = open(f"/proc/{one}/stat").read().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def settled(pid):
    """Processor seconds of a process once it has done what it had put off: Apsis brings records into its database later."""
    used = processor(pid)
    for _ in range(60):
        time.sleep(0.5)
        before, used = used, processor(pid)
        if used - before <= 0.02:
            break
    return used


def resident(pid):
    """Resident memory, in MiB."""
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) / 1024


def body(model, stream):
    return '{"model":"%s","stream":%s,"messages":[{"role":"user","content":"one two three"}]}' % (model, stream)


def wrk(work, address, key, question, connections, seconds, pid=None):
    """What came of so many connections that ask one question again and again: requests a second, processor time of `pid` for a
    request in microseconds, and percentiles in milliseconds."""
    script = os.path.join(work, "request.lua")
    with open(script, "w") as file:
        file.write(f"wrk.method='POST'\nwrk.body='{question}'\nwrk.headers['content-type']='application/json'\n")
        file.write(f"wrk.headers['authorization']='Bearer {key}'\n")
    url = f"http://{address}/v1/chat/completions"
    before = processor(pid) if pid else 0
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script, url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = settled(pid) - before if pid else 0
    assert "Non-2xx" not in text, text
    requests = int(re.search(r"(\d+) requests in", text)[1])
    unit = {"us": 0.001, "ms": 1, "s": 1000}

    def percentile(share):
        number, word = re.search(share + r"%\s+([\d.]+)(us|ms|s)", text).groups()
        return float(number) * unit[word]

    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), "cpu": used / max(requests, 1) * 1e6,
            "p50": percentile("50"), "p99": percentile("99")}


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
