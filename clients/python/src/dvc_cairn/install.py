"""Puts the package's file systems in the place of dvc_http's, and its bulk transfers before those of dvc_objects."""

import logging

logger = logging.getLogger("dvc.cairn")


def install(dvc_http):
    """`dvc_http` is the freshly loaded module. When dvc's parts are not as this package knows them, all stays as it was."""
    from dvc_objects.fs import generic

    put, get = getattr(generic, "_put", None), getattr(generic, "_get", None)
    if put is None or get is None:
        logger.debug("dvc_objects has changed: http remotes are used file by file")
        return

    from .filesystem import make_file_system

    dvc_http.HTTPFileSystem = make_file_system(dvc_http.HTTPFileSystem)
    dvc_http.HTTPSFileSystem = make_file_system(dvc_http.HTTPSFileSystem)
    generic._put = _before(put, lambda from_paths, to_fs, to_paths: to_fs, "put_many")
    generic._get = _before(get, lambda from_fs, from_paths, to_paths: from_fs, "get_many")
    _carry_runs()


def _carry_runs():
    """Lets `--run-cache` and `repro --pull` reach a Cairn server: dvc refuses every http remote."""
    try:
        from dvc.stage.cache import StageCache

        plain = StageCache.transfer
    except (ImportError, AttributeError):
        logger.debug("dvc has changed: the run cache stays local")
        return

    def transfer(self, from_odb, to_odb, *args, **kwargs):
        from .runs import move_runs

        moved = move_runs(from_odb, to_odb)
        return plain(self, from_odb, to_odb, *args, **kwargs) if moved is None else moved

    StageCache.transfer = transfer


def _before(plain, remote_of, method):
    """Goes the native way where the remote offers it, else the way it was."""

    def transfer(first, second, third, **options):
        remote = remote_of(first, second, third)
        many = getattr(remote, method, None)
        if many is None:
            return plain(first, second, third, **options)
        from_paths, to_paths = (first, third) if method == "put_many" else (second, third)
        from .errors import NotCarried

        try:
            return many(from_paths, to_paths, **options)
        except NotCarried:
            return plain(first, second, third, **options)

    return transfer
