"""The kinds of upstreams through which every client goes, and what an installation needs for them:
`kinds.py FOLDER` writes a catalogue of every act's model there and prints a line for each channel."""

import json
import pathlib
import sys

# The way's name, the kind of its channel, and the base URL behind the provider's origin.
KINDS = {
    "openai": ("openai", "/v1"),
    "responses": ("openai", "/v1"),
    "compatible": ("compatible", "/v1"),
    "azure": ("azure", "/openai/v1"),
    "anthropic": ("anthropic", "/v1"),
    "gemini": ("gemini", "/v1beta"),
}
# What is known of the models of a way, where that decides how they are asked.
ENDPOINTS = {"responses": ["openai-response"]}
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
    return f'[[model]]\nid = "{name}"\nprovider = "Apsis"\nmax_output = 4000\n{endpoints}{price}'


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    (folder / "catalogue.toml").write_text("\n".join(model(way, name) for way in KINDS for names in channels(way) for name in names))
    for way, (kind, base) in KINDS.items():
        for names in channels(way):
            print(way, kind, base, ",".join(f"{ours}={theirs}" for ours, theirs in names.items()))
