"""Streams of 200 chunks through Apsis, passed as they are and converted, in turns: what a conversion costs."""

import argparse
import os
import re
import statistics
import subprocess

parser = argparse.ArgumentParser()
for name in ["rounds", "seconds", "key", "work", "apsis", "apsis-pid"]:
    parser.add_argument(f"--{name}", required=True)
arguments = parser.parse_args()
tick = os.sysconf("SC_CLK_TCK")
question = '[{"role":"user","content":"one two three"}]'
chat = ("/v1/chat/completions", '{"model":"%s","stream":true,"messages":' + question + "}")
messages = ("/v1/messages", '{"model":"%s","stream":true,"max_tokens":1000,"messages":' + question + "}")
responses = ("/v1/responses", '{"model":"%s","stream":true,"store":false,"input":"one two three"}')
google = ("/v1beta/models/%s:streamGenerateContent?alt=sse", '{"contents":[{"role":"user","parts":[{"text":"one two three"}]}]}')
# What the caller speaks, and the model of an upstream that speaks the other.
ways = {
    "chat completions, native": (chat, "long"),
    "messages, native": (messages, "long-anthropic"),
    "generateContent, native": (google, "long-gemini"),
    "messages from chat completions": (messages, "long"),
    "responses from chat completions": (responses, "long-compatible"),
    "chat completions from messages": (chat, "long-anthropic"),
    "chat completions from generateContent": (chat, "long-gemini"),
    "generateContent from messages": (google, "long-anthropic"),
}


def cpu():
    """Processor seconds of Apsis."""
    fields = open(f"/proc/{arguments.apsis_pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / tick


def wrk(way):
    (path, body), model = ways[way]
    path, body = (text % model if "%s" in text else text for text in (path, body))
    script = os.path.join(arguments.work, "stream.lua")
    with open(script, "w") as file:
        file.write(f"wrk.method='POST'\nwrk.body='{body}'\nwrk.headers['content-type']='application/json'\n")
        file.write(f"wrk.headers['authorization']='Bearer {arguments.key}'\n")
    url = f"http://{arguments.apsis}{path}"
    before = cpu()
    command = ["wrk", "-t1", "-c16", f"-d{arguments.seconds}s", "-s", script, url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in text, (way, text)
    count = int(re.search(r"(\d+) requests in", text)[1])
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), (cpu() - before) / max(count, 1) * 1e6


def spread(values, digits=0):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


found = {way: [] for way in ways}
for _ in range(int(arguments.rounds)):
    for way in ways:
        found[way].append(wrk(way))
print("\n| streams of 200 chunks, 16 connections | streams/s | processor time of a stream, µs | ÷ chat completions |\n|---|---|---|---|")
native = [used for _, used in found["chat completions, native"]]
for way, figures in found.items():
    rates, used = zip(*figures)
    ratios = [one / other for one, other in zip(used, native)]
    print(f"| {way} | {spread(rates)} | {spread(used)} | {spread(ratios, 2)} |")
