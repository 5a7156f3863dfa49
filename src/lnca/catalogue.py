"""Which trained models there are, read from the headers of their weight files, without torch."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import LncaError, in_short
from .files import kind_of

# The one metadata entry of a weight file: JSON with version, architecture, settings and card.
HEADER = "lnca"
VERSION = 1
# What a checkpoint of a training begins with, which people take for a weight file.
CHECKPOINT = b"lnca checkpoint"
# The model of `lnca restore` and `lnca.restore`.
DEFAULT_MODEL = "photo-denoise"


@dataclass(frozen=True)
class ModelInfo:
    """A trained model.

    Args:
        name: what `lnca.load` takes.
        architecture: what `lnca.build` takes, with `settings`.
        path: the weight file.
        parameters: how many numbers it holds.
        card: how it was trained and what it scores.
    """

    name: str
    architecture: str
    path: Path
    parameters: int
    settings: dict[str, Any]
    card: dict[str, Any] = field(repr=False)


def models() -> list[ModelInfo]:
    """The trained models inside the package."""
    return [describe(path) for path in shipped_weights().values()]


def describe(path: Path) -> ModelInfo:
    """What the header of a weight file says; raises `LncaError` when it is no whole weight file of this version."""
    # Which takes a while to import, and a command that is asked for help does not need.
    from safetensors import SafetensorError, safe_open

    if path.suffix.lower() in (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"):
        raise LncaError(f"{path} may hold a pickle, which can run code; only safetensors files are read")
    if _begins_with(path, CHECKPOINT):
        raise LncaError(
            f"{path} is a checkpoint, which lnca train --resume goes on with; the weights are the .safetensors file "
            "beside it, once the training has ended"
        )
    try:
        with safe_open(path, "np") as file:
            text = (file.metadata() or {}).get(HEADER)
            parameters = sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise LncaError(f"{path} is damaged or no safetensors file ({error}); get a whole copy of it") from error
    if text is None:
        raise LncaError(f"{path} is a safetensors file, but not one written by lnca")
    try:
        header = json.loads(text)
        if header["version"] != VERSION:
            version = str(header["version"])[:20]
            raise LncaError(f"{path} has format version {version}, this lnca reads {VERSION}; update lnca")
        architecture, settings, card = header["architecture"], header["settings"], header["card"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise LncaError(f"{path} is damaged: its header cannot be read ({in_short(error)})") from error
    if not isinstance(architecture, str) or not isinstance(settings, dict) or not isinstance(card, dict):
        raise LncaError(f"{path} is damaged: its header does not say architecture, settings and card")
    return ModelInfo(path.stem, architecture, path, parameters, settings, card)


def _begins_with(path: Path, mark: bytes) -> bool:
    """Whether a file begins with some bytes; not where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(mark)) == mark
    except OSError:
        return False


def unknown(kind: str, name: str, known: Iterable[str]) -> LncaError:
    """The error for a name that is not there, with the near names."""
    import difflib

    known = list(known)
    near = difflib.get_close_matches(name, known, 3, 0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    return LncaError(f"no {kind} {name!r}; {hint}")


def shipped_weights() -> dict[str, Path]:
    """Names and files of the weights inside the package."""
    folder = Path(__file__).parent / "weights"
    return {file.stem: file for file in sorted(folder.glob("*.safetensors"))}


def locate(name_or_path: str | Path) -> Path:
    """The weight file of a shipped model's name or of a path; raises `LncaError` when there is neither."""
    shipped = shipped_weights()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.exists():
        inside = sorted(path.glob("*.safetensors")) if path.is_dir() else []
        hint = f"such as {inside[0]}" if inside else "a .safetensors file"
        raise LncaError(f"{path} is {kind_of(path)}; give a weight file, {hint}")
    raise unknown("model", str(name_or_path), shipped)
