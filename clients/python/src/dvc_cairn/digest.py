"""The names of objects: as paths of a remote, as text, and packed in 17 bytes."""

import hashlib
import re

PACKED = 17
_TREE, _LEGACY = 1, 2
_PATH = re.compile(r"(.+?)/(files/md5/)?([0-9a-f]{2})/([0-9a-f]{30})(\.dir)?$")


def split_path(path):
    """(the remote's URL, `<md5>[.dir]` or `legacy-<md5>[.dir]`) of an object's path; None for any other path."""
    match = _PATH.fullmatch(path)
    if not match:
        return None
    return match[1], ("" if match[2] else "legacy-") + match[3] + match[4] + (match[5] or "")


def is_legacy(digest):
    return digest.startswith("legacy-")


def md5_of(digest):
    return digest[7:39] if is_legacy(digest) else digest[:32]


def kind_of(digest):
    return (_TREE if digest.endswith(".dir") else 0) | (_LEGACY if is_legacy(digest) else 0)


def pack_digests(digests):
    return b"".join(bytes.fromhex(md5_of(digest)) + bytes((kind_of(digest),)) for digest in digests)


def unpack_digests(packed):
    return [named(packed[at : at + 16], packed[at + 16]) for at in range(0, len(packed), PACKED)]


def named(md5, kind):
    return ("legacy-" if kind & _LEGACY else "") + md5.hex() + (".dir" if kind & _TREE else "")


def agrees(digest, payload):
    """Whether these bytes are the object. A legacy digest may be that of the text with LF line ends."""
    wanted = md5_of(digest)
    if hashlib.md5(payload).hexdigest() == wanted:
        return True
    return is_legacy(digest) and hashlib.md5(payload.replace(b"\r\n", b"\n")).hexdigest() == wanted
