"""Runs every client for Python in every way that it is told: `main.py ORIGIN KEY [TOKEN KIND…]`. Without a kind the origin
is the provider itself, and the clients speak to it as to their vendors."""

import importlib
import sys
import time

from kinds import REFUSED
from way import Way

CLIENTS = [
    "openai_chat",
    "openai_responses",
    "openai_vectors",
    "openai_media",
    "openai_files",
    "openai_videos",
    "openai_realtime",
    "anthropic_messages",
    "google_generate",
    "langchain_agents",
]
# What only some upstreams have.
SPEAKS_OPENAI = {None, "openai", "responses", "azure", "compatible", "gateway"}
ONLY = {
    "openai_vectors": SPEAKS_OPENAI,
    "openai_media": SPEAKS_OPENAI,
    "openai_files": SPEAKS_OPENAI,
    "openai_videos": SPEAKS_OPENAI - {"compatible"},
    "openai_realtime": SPEAKS_OPENAI,
}

origin, key, *rest = sys.argv[1:]
token, kinds = (rest[0], rest[1:]) if rest else (None, [None])
failed = 0
for kind in kinds:
    way = Way(origin, key, kind, token)
    for name in (name for name in CLIENTS if kind in ONLY.get(name, kinds)):
        begun = time.monotonic()
        module = importlib.import_module(name)
        for case in module.CASES:
            try:
                case(way)
            except Exception as error:
                failed += 1
                print(f"FAILED {name} {case.__name__} {way}: {type(error).__name__}: {error}")
        print(f"{name} {way}: {len(module.CASES)} cases, {time.monotonic() - begun:.1f} s")
if token:
    # Each provider has refused a credential in its own way, and it is disabled.
    refused = way.channels(REFUSED)
    assert len(refused) == len(kinds), refused
    for channel in refused:
        assert [credential["status"] for credential in channel["credentials"]] == [3], channel
sys.exit(1 if failed else 0)
