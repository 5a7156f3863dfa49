"""Starts ComfyUI from a checkout: `comfyui_server.py CHECKOUT OPTIONS`.

Some of its models import torchvision and torchaudio, which need a torch of their own build; where they are not
installed, their names alone are there, and nothing behind them.
"""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

from others import NamesOnly

NAMES = {
    "torchvision": ("", ".transforms", ".transforms.functional", ".ops"),
    "torchaudio": ("", ".transforms", ".functional"),
}


def main() -> None:
    checkout, *options = sys.argv[1:]
    for library, parts in NAMES.items():
        if find_spec(library) is None:
            for part in parts:
                sys.modules[library + part] = NamesOnly(library + part)
    sys.path[0] = checkout
    sys.argv = [str(Path(checkout, "main.py")), *options]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
