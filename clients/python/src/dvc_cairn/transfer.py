"""Push and pull of many objects: what is small goes in packs, what is large by itself, a bounded number at once."""

import asyncio
import hashlib
import os

from .api import accept
from .digest import agrees, is_legacy, md5_of
from .errors import Busy, CairnError
from .pack import read_pack, write_pack
from .retry import Patience, retried

SMALL = 1024 * 1024
PIECE = 1024 * 1024
#: Objects in one question for a pack.
BATCH = 10_000


async def push(api, objects, jobs, done):
    """`objects` are pairs of digest and path. `done(index, error or None)` is called once for each."""
    patience = Patience()
    places = {}
    for index, (digest, _) in enumerate(objects):
        places.setdefault(digest, []).append(index)

    def settle(digest, error=None):
        for index in places.pop(digest, ()):
            done(index, error)

    paths = dict(objects)
    session, lacking = await retried(patience, lambda: api.missing(list(paths), "push"))
    packs, singles = plan([(digest, path) for digest, path in paths.items() if digest in lacking], api.limits)
    for digest in [digest for digest in paths if digest not in lacking]:
        settle(digest)

    async def send_pack(members):
        try:
            refused = await retried(patience, lambda: api.send_pack(write_pack(members), session))
        except Exception as error:  # the whole pack stays behind, and each member is told why
            return [settle(digest, error) for digest, _ in members]
        for digest, _ in members:
            settle(digest, CairnError(refused[digest]) if digest in refused else None)

    async def send_single(member):
        digest, path = member
        try:
            await retried(patience, lambda: api.send_object(digest, read_file(path, patience), session))
            settle(digest)
        except Exception as error:
            settle(digest, error)

    work = [(send_single, single) for single in singles] + [(send_pack, members) for members in packs]
    await bounded(work, min(jobs or api.limits["parallel"], api.limits["parallel"]))


def plan(objects, limits):
    """(packs, singles). Pure but for the sizes."""
    packs, singles, filled = [], [], 0
    for digest, path in objects:
        size = os.stat(path).st_size
        if size >= SMALL or digest.endswith(".dir"):
            singles.append((digest, path))
            continue
        full = filled + size > limits["packBytes"] // 2 or (packs and len(packs[-1]) >= limits["packMembers"])
        if not packs or full:
            packs.append([])
            filled = 0
        packs[-1].append((digest, path))
        filled += size + 56
    return packs, singles


async def read_file(path, patience):
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            patience.progress()
            yield piece


async def pull(api, objects, jobs, done):
    """`objects` are pairs of digest and path to write, which appears whole or not at all. `done` as in `push`."""
    patience = Patience()
    places = {}
    for index, (digest, path) in enumerate(objects):
        places.setdefault(digest, []).append((index, path))
    most = min(jobs or api.limits["parallel"], api.limits["parallel"])

    async def take(digest, payload):
        for index, path in places.pop(digest, ()):
            error = None
            if payload is None:
                error = FileNotFoundError(2, f"{digest} is not on the remote")
            else:
                error = write_whole(path, payload)
            patience.progress()
            done(index, error)

    async def fetch_batch(batch):
        async def attempt():
            rest = [digest for digest in batch if digest in places]
            if not rest:
                return
            async with api.fetch(rest) as answer:
                await accept(answer)
                async for digest, payload in read_pack(answer.content):
                    if payload is None or agrees(digest, payload):
                        await take(digest, payload)

        try:
            await retried(patience, attempt)
        except Exception as error:
            for digest in batch:
                for index, _ in places.pop(digest, ()):
                    done(index, error)

    async def fetch_single(digest):
        error = None
        for index, path in places.pop(digest):
            try:
                await download(api, digest, path, patience)
            except Exception as failure:
                error = failure
            done(index, error)

    digests = list(places)
    share = max(1, min(BATCH, -(-len(digests) // most)))
    await bounded([(fetch_batch, digests[at : at + share]) for at in range(0, len(digests), share)], most)
    # What no pack carries: large objects, and those whose bytes came damaged.
    await bounded([(fetch_single, digest) for digest in list(places)], most)


async def download(api, digest, path, patience):
    """One object, verified; a broken connection goes on where it broke."""
    draft = f"{path}.cairn-{os.getpid()}.tmp"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    md5 = hashlib.md5()
    try:
        with open(draft, "wb") as file:

            async def attempt():
                start = file.tell()
                async with api.get_object(digest, start) as answer:
                    await accept(answer)
                    if start and answer.status != 206:
                        raise CairnError("the server cannot go on in the middle of an object")
                    async for piece in answer.content.iter_chunked(PIECE):
                        md5.update(piece)
                        file.write(piece)
                        patience.progress()

            await retried(patience, attempt)
        # A large legacy object may be named by the md5 of its text with LF line ends: dvc's own `verify` tells.
        if md5.hexdigest() != md5_of(digest) and not is_legacy(digest):
            raise CairnError(f"the bytes received for {digest} do not hash to it")
        os.replace(draft, path)
    finally:
        if os.path.exists(draft):
            os.unlink(draft)


def write_whole(path, payload):
    """The error, where there was one."""
    draft = f"{path}.cairn-{os.getpid()}.tmp"
    try:
        try:
            file = open(draft, "wb")
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            file = open(draft, "wb")
        with file:
            file.write(payload)
        os.replace(draft, path)
        return None
    except OSError as error:
        return error


async def bounded(work, most):
    """Runs `await do(what)` for each pair, at most `most` at once."""
    waiting = list(reversed(work))

    async def run():
        while waiting:
            do, what = waiting.pop()
            await do(what)

    await asyncio.gather(*(run() for _ in range(min(most, len(work)))))
