"""Trying again: growing pauses with jitter, until nothing has got on for too long."""

import asyncio
import random
import time

from .errors import Busy, CairnError

#: Seconds without any progress after which a transfer fails.
PATIENCE = 300
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30


class Patience:
    """Shared by the requests of one transfer: what one of them gets done buys time for all."""

    def __init__(self, seconds=PATIENCE):
        self.seconds = seconds
        self.progress()

    def progress(self):
        self.until = time.monotonic() + self.seconds


async def retried(patience, attempt):
    """Awaits `attempt()` until it answers. What may be tried again: no connection, a lost one, a busy or failing server."""
    import aiohttp

    pause = FIRST_PAUSE
    while True:
        try:
            answer = await attempt()
            patience.progress()
            return answer
        except (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError, Busy) as error:
            if isinstance(error, aiohttp.ClientResponseError) and 400 <= error.status < 500:
                raise
            wait = getattr(error, "pause", None)
            wait = random.uniform(0, pause) if wait is None else wait
            if time.monotonic() + wait > patience.until:
                raise CairnError(f"the Cairn server could not be reached for {patience.seconds} s: {error}") from error
            await asyncio.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)
