"""Whether a process takes as much in the last part of a measurement as it took in the first."""

import asyncio
import statistics
import sys
import time

# How much more the last part may take: what an allocator keeps is not the same to the byte. A peak of memory is what large
# bodies take together (`limits.bodies`) and what it takes to give it back; it is seen or is not.
USUAL, SLACK, PEAK = 1.1, 16, 2048


class Steady:
    """Looks at a gateway's memory and descriptors every second, and says them every minute."""

    def __init__(self, gateway, parts):
        self.gateway, self.part = gateway, 0
        self.taken = [[] for _ in range(parts)]
        self.looking = asyncio.create_task(self.look())

    async def look(self):
        begun = told = time.monotonic()
        while True:
            await asyncio.sleep(1)
            taken = self.gateway.resident(), self.gateway.descriptors()
            self.taken[self.part - 1].append(taken)
            if time.monotonic() - told >= 60:
                told = time.monotonic()
                print(f"after {(told - begun) / 60:.0f} min: {taken[0]:.0f} MiB, {taken[1]} descriptors", file=sys.stderr, flush=True)

    def begin(self):
        """The next part begins."""
        self.part += 1

    def each(self, what, of):
        """The memory, or the descriptors, of each part."""
        return [what(taken[of] for taken in part) for part in self.taken]

    def end(self):
        """Ends looking, and says whether the last part took no more than the first."""
        self.looking.cancel()
        flat = all(last <= first * USUAL + SLACK for first, *_, last in (self.each(statistics.median, of) for of in (0, 1)))
        return flat and max(self.each(max, 0)) <= PEAK

    def __str__(self):
        def told(numbers):
            return ", ".join(f"{number:.0f}" for number in numbers)

        return (
            f"In each third of the time: resident memory, MiB, median {told(self.each(statistics.median, 0))}, "
            f"at most {told(self.each(max, 0))}; descriptors, median {told(self.each(statistics.median, 1))}, "
            f"at most {told(self.each(max, 1))}."
        )
