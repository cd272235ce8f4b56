"""A running gateway as the measurements see it: calls over plain sockets, and what its process takes."""

import asyncio
import json


class Answer:
    def __init__(self, status, headers, body, whole):
        self.status, self.headers, self.body, self.whole = status, headers, body, whole

    def json(self):
        return json.loads(self.body)


class Gateway:
    def __init__(self, address, key, token, pid):
        self.host, port = address.split(":")
        self.port, self.key, self.token, self.pid = int(port), key, token, pid

    async def connect(self):
        return await asyncio.open_connection(self.host, self.port)

    def head(self, method, path, credential, length, more=""):
        return (
            f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {credential}\r\n"
            f"content-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n"
        ).encode()

    async def call(self, method, path, body=None, credential=None):
        """One call on a connection of its own."""
        reader, writer = await self.connect()
        try:
            text = b"" if body is None else json.dumps(body).encode()
            writer.write(self.head(method, path, credential or self.key, len(text), "connection: close\r\n") + text)
            return await read(reader)
        finally:
            writer.close()

    async def manage(self, method, path, body=None):
        answer = await self.call(method, path, body, self.token)
        said = answer.json()
        assert answer.status == 200 and said["success"], f"{method} {path}: {answer.status} {said}"
        return said.get("data")

    async def records(self, model):
        """What each request for a model was charged."""
        found, page = [], 1
        while True:
            some = await self.manage("GET", f"/api/log/self?model_name={model}&p={page}&page_size=100")
            found += some["items"]
            page += 1
            if len(found) >= some["total"] or not some["items"]:
                return found

    async def used(self):
        """Units that the key has used so far."""
        answer = await self.call("GET", "/api/usage/token")
        return answer.json()["data"]["total_used"]

    def resident(self):
        """Resident memory, in MiB."""
        with open(f"/proc/{self.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def descriptors(self):
        import os

        return len(os.listdir(f"/proc/{self.pid}/fd"))


async def read(reader):
    """An answer with its length or in chunks; one that ends with its connection counts as not whole."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    status = int(head[0].split()[1])
    headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
    if "content-length" in headers:
        return Answer(status, headers, await reader.readexactly(int(headers["content-length"])), True)
    if "chunked" not in headers.get("transfer-encoding", ""):
        return Answer(status, headers, await reader.read(), False)
    body = b""
    try:
        while True:
            size = int(await reader.readuntil(b"\r\n"), 16)
            body += (await reader.readexactly(size + 2))[:-2]
            if size == 0:
                return Answer(status, headers, body, True)
    except (asyncio.IncompleteReadError, ConnectionError):
        return Answer(status, headers, body, False)
