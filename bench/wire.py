"""A wire to the database that can be cut, one way or both, and made slow."""

import asyncio
import random


class Wire:
    def __init__(self, socket):
        self.socket = socket
        self.delay = 0
        # What the database says comes up to so many seconds late.
        self.late = 0
        self.ends = set()
        self.silent = set()
        self.open = asyncio.Event()
        self.open.set()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    def cut(self, way):
        """Nothing passes `up` to the database, `down` from it, or `both` ways; connections stay, as a network keeps them."""
        self.silent = {"up", "down"} if way == "both" else {way}
        self.open.clear()

    def tear(self):
        """Every connection ends, with whatever is on its way."""
        for end in list(self.ends):
            end.transport.abort()

    def mend(self):
        self.silent = set()
        self.open.set()

    async def serve(self, reader, writer):
        try:
            up, down = await asyncio.open_unix_connection(self.socket)
        except OSError:
            writer.close()
            return
        ends = {writer, down}
        self.ends |= ends
        try:
            await asyncio.gather(self.carry("up", reader, down), self.carry("down", up, writer))
        except asyncio.CancelledError:
            pass
        finally:
            self.ends -= ends

    async def carry(self, way, reader, writer):
        try:
            while some := await reader.read(1 << 16):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self.late and way == "down":
                    await asyncio.sleep(random.random() * self.late)
                while way in self.silent:
                    await self.open.wait()
                writer.write(some)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
