"""Starts the program of a host from a checkout: `host_server.py SCRIPT OPTIONS`.

Parts of ComfyUI and chaiNNer import torchvision and torchaudio, which need a torch of their own build. Where these are
not installed, their names alone are there, and nothing behind them.
"""

import runpy
import sys
from importlib.util import find_spec

from others import NAMES, NamesOnly

LIBRARIES = {
    "torchvision": (*NAMES, ".ops"),
    "torchaudio": ("", ".transforms", ".functional"),
}


def main() -> None:
    script, *options = sys.argv[1:]
    for library, parts in LIBRARIES.items():
        if find_spec(library) is None:
            for part in parts:
                sys.modules[library + part] = NamesOnly(library + part)
    sys.path[0] = script.rpartition("/")[0]
    sys.argv = [script, *options]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
