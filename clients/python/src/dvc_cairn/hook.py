"""Replaces the classes behind http remotes when dvc_http is imported. Imported at every start of Python: it must load next to nothing."""

import os
import sys

WATCHED = "dvc_http"


class _Finder:
    """Finds dvc_http as every import does, and lets `dvc_cairn.install` have it once it is loaded."""

    searching = False

    def find_spec(self, name, path=None, target=None):
        if name != WATCHED or self.searching:
            return None
        from importlib.util import find_spec

        self.searching = True
        try:
            spec = find_spec(name)
        finally:
            self.searching = False
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_install(module):
            load(module)
            from dvc_cairn.install import install

            install(module)

        spec.loader.exec_module = load_and_install
        return spec


if os.environ.get("DVC_CAIRN", "").lower() not in ("off", "0", "false") and WATCHED not in sys.modules:
    sys.meta_path.insert(0, _Finder())
