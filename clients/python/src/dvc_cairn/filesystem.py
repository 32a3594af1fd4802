"""dvc's HTTP file system, with the questions and transfers of many files going the native way."""

import io
import logging

from .digest import split_path
from .errors import NotCarried

logger = logging.getLogger("dvc.cairn")
#: Bytes of directory listings kept for this run: dvc reads each several times.
LISTING_BYTES = 256 * 1024 * 1024


def make_file_system(plain):
    """A subclass of `dvc_http.HTTPFileSystem` or `HTTPSFileSystem` that falls back to it everywhere."""

    class CairnFileSystem(plain):
        __doc__ = plain.__doc__

        def _find_api(self, paths):
            """(api, digests) for paths that are objects of one Cairn server's project; None for all others."""
            split = [split_path(path) for path in paths]
            if not split or None in split or len({root for root, _ in split}) != 1:
                return None
            api = self._api_at(split[0][0])
            return (api, [digest for _, digest in split]) if api else None

        def _api_at(self, root):
            known = self.__dict__.setdefault("_apis", {})
            if root not in known:
                known[root] = self._ask_server(root)
            return known[root]

        def _ask_server(self, root):
            from .api import Api, discover

            try:
                session = self._wait(self.fs.set_session())
                said = self._wait(discover(session, root))
            except Exception as error:  # whatever it is, the plain way meets it again and has dvc's own words for it
                logger.debug("no answer from %s: %s", root, error)
                return None
            return Api(session, root, said) if said else None

        def runs_at(self, root):
            """The API of a project that keeps a run cache, and how to wait for its requests; None for any other place."""
            api = self._api_at(root.rstrip("/"))
            return (api, self._wait) if api and "runs" in api.capabilities else None

        def exists(self, path, *args, **kwargs):
            found = None if isinstance(path, str) else self._find_api(path)
            if not found:
                return super().exists(path, *args, **kwargs)
            from .retry import Patience, retried

            api, digests = found
            _, missing = self._wait(retried(Patience(), lambda: api.missing(digests, "pull")))
            return [digest not in missing for digest in digests]

        def open(self, path, mode="r", **kwargs):
            if not path.endswith(".dir") or "w" in mode or not self._find_api([path]):
                return super().open(path, mode, **kwargs)
            listing = self._read_listing(path)
            return io.BytesIO(listing) if "b" in mode else io.TextIOWrapper(io.BytesIO(listing), encoding="utf-8")

        def _read_listing(self, path):
            kept = self.__dict__.setdefault("_listings", {})
            if path not in kept:
                listing = super().cat_file(path)
                if sum(map(len, kept.values())) + len(listing) > LISTING_BYTES:
                    kept.clear()
                kept[path] = listing
            return kept[path]

        def put_many(self, from_paths, to_paths, callback=None, batch_size=None, on_error=None):
            """As `dvc_objects.fs.generic._put`. @raises NotCarried where the plain way has to be gone"""
            from .transfer import push

            api, digests = self._find_api(to_paths) or self._refuse()
            self._transfer(push, api, digests, from_paths, from_paths, to_paths, callback, batch_size, on_error)

        def get_many(self, from_paths, to_paths, callback=None, batch_size=None, on_error=None):
            """As `dvc_objects.fs.generic._get`. @raises NotCarried where the plain way has to be gone"""
            from .transfer import pull

            api, digests = self._find_api(from_paths) or self._refuse()
            self._transfer(pull, api, digests, to_paths, from_paths, to_paths, callback, batch_size, on_error)

        def _refuse(self):
            raise NotCarried

        def _transfer(self, move, api, digests, local_paths, from_paths, to_paths, callback, jobs, on_error):
            failed = []

            def done(index, error):
                if error is not None:
                    failed.append((index, error))
                if callback is not None:
                    callback.relative_update()

            self._wait(move(api, list(zip(digests, local_paths)), jobs, done))
            for index, error in failed:
                if on_error is None:
                    raise error
                on_error(from_paths[index], to_paths[index], error)

        def _wait(self, coroutine):
            from fsspec.asyn import sync

            return sync(self.fs.loop, _awaited, coroutine)

    CairnFileSystem.__name__ = plain.__name__
    CairnFileSystem.__qualname__ = plain.__qualname__
    CairnFileSystem.__module__ = plain.__module__
    return CairnFileSystem


async def _awaited(awaitable):
    return await awaitable
