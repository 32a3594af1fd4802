"""The requests of the native protocol that push and pull need."""

from urllib.parse import urlsplit, urlunsplit

from .digest import pack_digests, unpack_digests
from .errors import Busy, CairnError

DIGESTS = "application/vnd.cairn.digests"
PACK = "application/vnd.cairn.pack"


async def discover(session, url):
    """What the server says of itself at the remote's URL; None when it is no Cairn server that this package understands."""
    async with session.get(f"{url}/.well-known/cairn", headers={"accept": "application/json"}) as answer:
        if answer.status != 200:
            return None
        try:
            said = await answer.json(content_type=None)
        except ValueError:
            return None
    sane = isinstance(said, dict) and said.get("server") == "cairn" and said.get("api") == 1
    if not sane or not str(said.get("base", "")).startswith("/") or str(said["base"]).startswith("//"):
        return None
    return said


class Api:
    """One project of one server. `session` is dvc's own, with its credentials, certificates and proxies; it stays open."""

    def __init__(self, session, url, said):
        parts = urlsplit(url)
        self.session = session
        self.base = urlunsplit((parts.scheme, parts.netloc, said["base"], "", ""))
        self.limits = said["limits"]
        self.capabilities = said.get("capabilities") or []

    async def missing(self, digests, intent):
        """(session, set of those the project lacks)."""
        lacking, opened = set(), None
        for at in range(0, max(len(digests), 1), self.limits["digests"]):
            params = {"intent": intent, **({"session": opened} if opened else {})}
            headers = {"content-type": DIGESTS, "accept": DIGESTS}
            body = pack_digests(digests[at : at + self.limits["digests"]])
            async with self.session.post(self.base + "/objects/missing", params=params, headers=headers, data=body) as answer:
                await accept(answer)
                opened = answer.headers.get("cairn-session")
                lacking.update(unpack_digests(await answer.read()))
        return opened, lacking

    async def send_pack(self, body, session):
        """`body` is an async iterable. The members that were refused, as digest → reason."""
        headers = {"content-type": PACK}
        async with self.session.post(self.base + "/packs", params={"session": session}, headers=headers, data=body) as answer:
            await accept(answer)
            said = await answer.json()
        return {refusal["digest"]: refusal["message"] for refusal in said["refused"]}

    async def send_object(self, digest, body, session):
        headers = {"content-type": "application/octet-stream"}
        params = {"session": session}
        async with self.session.put(f"{self.base}/objects/{digest}", params=params, headers=headers, data=body) as answer:
            await accept(answer)

    def fetch(self, digests):
        """A request whose answer is a pack of these objects, those too large for one left out."""
        headers = {"content-type": DIGESTS, "accept": PACK}
        return self.session.post(self.base + "/objects/fetch", headers=headers, data=pack_digests(digests))

    async def list_runs(self):
        names, after = [], None
        while True:
            async with self.session.get(self.base + "/runs", params={"after": after} if after else {}) as answer:
                await accept(answer)
                page = await answer.json()
            names += page["runs"]
            after = page["next"]
            if after is None:
                return names

    async def send_runs(self, entries):
        """`entries` are pairs of name and text."""
        body = {"runs": [{"name": name, "entry": entry} for name, entry in entries]}
        async with self.session.post(self.base + "/runs", json=body) as answer:
            await accept(answer)

    async def fetch_runs(self, names):
        """Some of those that are there, at least one, as name → text."""
        async with self.session.post(self.base + "/runs/fetch", json={"runs": names}) as answer:
            await accept(answer)
            return {run["name"]: run["entry"] for run in (await answer.json())["runs"]}

    def get_object(self, digest, start=0):
        headers = {"range": f"bytes={start}-"} if start else {}
        return self.session.get(f"{self.base}/objects/{digest}", headers={**headers, "accept-encoding": "identity"})


async def accept(answer):
    """Returns for a 2xx. @raises Busy, FileNotFoundError for an unknown object, CairnError with the server's words."""
    if answer.status < 300:
        return
    try:
        said = await answer.json(content_type=None)
        why = f"{said['message']}" + (f" ({said['hint']})" if said.get("hint") else "")
        code = said.get("code")
    except (ValueError, KeyError, TypeError):
        why, code = answer.reason or f"status {answer.status}", None
    if answer.status in (429, 503):
        pause = answer.headers.get("retry-after", "")
        raise Busy(why, float(pause) if pause.isdigit() else None)
    if answer.status >= 500 and code is None:
        raise Busy(why)
    if code in ("OBJECT_UNKNOWN", "OBJECT_DAMAGED"):
        raise FileNotFoundError(2, why)
    raise CairnError(f"{answer.status}: {why}")
