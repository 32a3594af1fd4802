"""The run cache: what stages made of which dependencies, as small files below `runs`."""

import os
import re

NAME = re.compile(r"[0-9a-f]{64}/[0-9a-f]{64}")
#: Entries and bytes of them in one request.
MOST, MOST_BYTES = 1000, 4 * 1024 * 1024


def move_runs(from_odb, to_odb):
    """As `StageCache.transfer`: pairs of key and value. None where neither side is a Cairn server that keeps a run cache."""
    for odb, move, local in ((to_odb, _push, from_odb), (from_odb, _pull, to_odb)):
        found = getattr(odb.fs, "runs_at", lambda root: None)(odb.path)
        if found:
            from .retry import Patience, retried

            api, wait = found
            patience = Patience()
            moved = move(lambda ask: wait(retried(patience, ask)), api, os.path.join(local.path, "runs"))
            return [tuple(name.split("/")) for name in moved]
    return None


def _push(ask, api, folder):
    there = set(ask(api.list_runs))
    moved, batch, filled = [], [], 0

    def flush():
        if batch:
            entries = list(batch)
            ask(lambda: api.send_runs(entries))

    for name in _list(folder):
        if name in there:
            continue
        with open(_file(folder, name), encoding="utf-8", newline="") as file:
            entry = file.read()
        if len(batch) == MOST or filled + len(entry) > MOST_BYTES:
            flush()
            batch, filled = [], 0
        batch.append((name, entry))
        moved.append(name)
        filled += len(entry)
    flush()
    return moved


def _pull(ask, api, folder):
    here = set(_list(folder))
    wanted = [name for name in ask(api.list_runs) if NAME.fullmatch(name) and name not in here]
    moved = []
    while wanted:
        asked = wanted[:MOST]
        entries = ask(lambda: api.fetch_runs(asked))
        came = [name for name in asked if name in entries]
        for name in came:
            _write(_file(folder, name), entries[name])
        moved += came
        wanted = [name for name in wanted if name not in entries] if came else wanted[MOST:]
    return moved


def _list(folder):
    for shard in _names(folder):
        for key in _names(os.path.join(folder, shard)):
            for value in _names(os.path.join(folder, shard, key)):
                if key.startswith(shard) and NAME.fullmatch(f"{key}/{value}"):
                    yield f"{key}/{value}"


def _names(folder):
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _file(folder, name):
    return os.path.join(folder, name[:2], *name.split("/"))


def _write(path, entry):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    draft = f"{path}.cairn-{os.getpid()}.tmp"
    with open(draft, "w", encoding="utf-8", newline="") as file:
        file.write(entry)
    os.replace(draft, path)
