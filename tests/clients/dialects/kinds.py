"""The kinds of upstreams through which every client goes. `kinds.py BASE TOKEN ORIGIN SECRET` makes the prices and channels
that they need at BASE, towards the provider at ORIGIN, and prints their names."""

import json
import pathlib
import sys
import urllib.request

# The way's name, the kind of its channel, and the base URL behind the provider's origin.
KINDS = {
    "openai": ("openai", "/v1"),
    "responses": ("openai", "/v1"),
    "compatible": ("compatible", "/v1"),
    "azure": ("azure", "/openai/v1"),
    "anthropic": ("anthropic", "/v1"),
    "gemini": ("gemini", "/v1beta"),
    "gateway": ("gateway", "/gateway"),
}
# What is known of the models of a way, where that decides how they are asked.
ENDPOINTS = {"responses": ["openai-response"]}
# What the name of a channel begins with whose credential is refused.
REFUSED = "refused "
FAILING = ["broken", "overloaded", "busy"]
CLIENTS = ["chat", "responses", "messages", "google", "node-chat", "node-messages", "node-google"]
ACTS = json.loads((pathlib.Path(__file__).parent / "cast.json").read_text())


def channels(way):
    """The models of each channel of a way, ours with theirs. Upstreams that fail have channels of their own, so that no other
    rests for them, and each client has its own of those."""
    healthy = {f"{act}-{way}": act for act in ACTS if act not in [*FAILING, "torn"]}
    failing = [{f"{act}-{client}-{way}": act for act in FAILING} for client in CLIENTS]
    return [healthy, {f"torn-{way}": "torn"}, *failing]


def model(way, name):
    endpoints = f"endpoints = {json.dumps(ENDPOINTS[way])}\n" if way in ENDPOINTS else ""
    price = "[[model.price]]\ninput = 2\ncached_input = 1\ncache_write = 4\noutput = 6\n"
    if name.startswith(("filmer", "spoiler")):
        price = "[[model.price]]\nper_second = 0.01\n"
    return f'[[model]]\nid = "{name}"\nprovider = "Apsis"\nmax_output = 4000\n{endpoints}{price}'


def call(path, body):
    """Calls the management API as the operator."""
    request = urllib.request.Request(
        base + path,
        headers={"Authorization": token, "Content-Type": "application/json"},
        data=json.dumps(body).encode(),
    )
    with urllib.request.urlopen(request) as answer:
        told = json.load(answer)
    assert told["success"], (path, body, told)
    return told["data"]


if __name__ == "__main__":
    base, token, origin, secret = sys.argv[1:]
    call("/api/price/import", {"file": "\n".join(model(way, name) for way in KINDS for names in channels(way) for name in names)})
    for way, (kind, path) in KINDS.items():
        channel = {"kind": kind, "base_url": origin + path}
        for names in channels(way):
            call("/api/channel/", {**channel, "name": way, "models": list(names), "model_mapping": names, "key": secret})
        # It comes first until its provider has refused its credential.
        wrong = {"name": f"{REFUSED}{way}", "models": [f"plain-{way}"], "model_mapping": {f"plain-{way}": "plain"}}
        call("/api/channel/", {**channel, **wrong, "key": "sk-nobody", "priority": 9})
    print(*KINDS)
