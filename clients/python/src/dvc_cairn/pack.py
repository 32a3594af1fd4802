"""Packs: many small objects in one stream. docs/protocol.md of Cairn has the format."""

import os
import struct

from .digest import kind_of, md5_of, named
from .errors import Busy, CairnError

MAGIC = b"CAIRNPK1"
END_MAGIC = b"CAIRNEND"
RECORD = struct.Struct("<BBHI16s")
_INDEX = struct.Struct("<B3xIQ16s")
_TRAILER = struct.Struct("<I8sI")
_OBJECT, _ABSENT, _END = 1, 2, 3
MAX_MEMBER = 4 * 1024 * 1024


async def write_pack(members):
    """Yields a pack's bytes. `members` are pairs of digest and path; each file is read whole, so they must be small."""
    offset = len(MAGIC)
    index = []
    piece = bytearray(MAGIC)
    for digest, path in members:
        with open(path, "rb") as file:
            payload = file.read()
        md5 = bytes.fromhex(md5_of(digest))
        offset += RECORD.size
        index.append(_INDEX.pack(kind_of(digest), len(payload), offset, md5))
        offset += len(payload)
        piece += RECORD.pack(_OBJECT, kind_of(digest), 0, len(payload), md5)
        piece += payload
        if len(piece) >= 256 * 1024:
            yield bytes(piece)
            piece = bytearray()
    piece += RECORD.pack(_END, 0, 0, len(index), os.urandom(16))
    piece += b"".join(index) + _TRAILER.pack(len(index), END_MAGIC, 0)
    yield bytes(piece)


async def read_pack(stream):
    """Yields (digest, payload) of an `aiohttp.StreamReader`; the payload is None for an object that the server lacks."""
    import asyncio

    try:
        if await stream.readexactly(len(MAGIC)) != MAGIC:
            raise CairnError("the answer is not a pack")
        while True:
            tag, kind, _, length, md5 = RECORD.unpack(await stream.readexactly(RECORD.size))
            if tag == _END:
                return
            if tag == _ABSENT and length == 0:
                yield named(md5, kind), None
            elif tag == _OBJECT and length <= MAX_MEMBER:
                yield named(md5, kind), await stream.readexactly(length)
            else:
                raise CairnError("the answer is a broken pack")
    except asyncio.IncompleteReadError as error:
        raise Busy("the answer ended early") from error
