"""A way to the scriptable provider: straight, as its vendor's own clients go, or through Apsis and a channel of one kind."""

import json
import urllib.request

QUESTION = "one two three"
ANSWER = "w0 w1 w2 w3 w4"
THOUGHT = "t0 t1 t2"
# Input and output of the question and its answer, in the provider's tokens: words.
TOKENS = (3, 5)

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
ARGUMENTS = {"city": "scripted", "days": 7}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Way:
    def __init__(self, origin, key, kind=None, token=None):
        self.origin, self.key, self.kind, self.token = origin, key, kind, token
        self.checked = 0

    def __str__(self):
        return f"through {self.kind}" if self.kind else "straight"

    def model(self, act):
        """The model that plays this act."""
        return f"{act}-{self.kind}" if self.kind else act

    def failing(self, act, client):
        """The model that fails so. Each client has its own, because an upstream that fails rests for a while."""
        return f"{act}-{client}-{self.kind}" if self.kind else act

    def books(self, tokens, counted_by="reported", **other):
        """Sees to it that the books say the same of the last request as its client was told, and who said so."""
        self.checked += 1
        if not self.kind:
            return
        record = self.last()
        found = (record["prompt_tokens"], record["completion_tokens"])
        assert found == tuple(tokens), (str(self), "the books", found, "the client", tokens, record)
        assert record["charge"]["counted_by"] == counted_by, (str(self), counted_by, record)
        assert record["charge"]["not_charged"] == 0 and record["quota"] > 0, (str(self), record)
        facts = json.loads(record["other"])
        assert all(facts[name] == value for name, value in other.items()), (str(self), other, facts)

    def get(self, path):
        """What the management API answers."""
        request = urllib.request.Request(self.origin + path, headers={"Authorization": self.token})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["data"]

    def last(self):
        """The newest record of this account."""
        return self.get("/api/log/self?page_size=1")["items"][0]

    def channels(self, beginning):
        """The channels whose names begin so."""
        found = self.get("/api/channel/")
        return [channel for channel in found if channel["name"].startswith(beginning)]

    def refused(self, kind, call, status):
        """Calls what must be refused, and returns the client's own error."""
        try:
            call()
        except kind as error:
            found = getattr(error, "status_code", None) or getattr(error, "code", None)
            assert found == status, (str(self), status, error)
            return error
        raise AssertionError(f"{self}: nothing was refused with {status}")
