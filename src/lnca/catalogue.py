"""The catalogue of trained models, read from the headers of their weight files, without torch."""

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
# Files that share tensors with a shipped model have version 2, all others version 1.
VERSION, SHARING_VERSION = 1, 2
# First bytes of a training checkpoint, which users may mistake for a weight file.
CHECKPOINT = b"lnca checkpoint"
# The model of `lnca restore` and `lnca.restore`.
DEFAULT_MODEL = "photo-denoise"


@dataclass(frozen=True)
class Shared:
    """Tensors that a weight file takes from a shipped model.

    Args:
        model: name of that model, never a path.
        sha256: digest of its tensors; see `lnca.runtime.weights.digest`.
    """

    model: str
    sha256: str


@dataclass(frozen=True)
class ModelInfo:
    """A trained model.

    Args:
        name: name for `lnca.load`.
        architecture: name for `lnca.build`, with `settings`.
        path: the weight file.
        parameters: number of parameters, including shared ones.
        card: its training and its scores.
        shared: tensors that a shipped model holds, by the prefix of their names in this model.
    """

    name: str
    architecture: str
    path: Path
    parameters: int
    settings: dict[str, Any]
    card: dict[str, Any] = field(repr=False)
    shared: dict[str, Shared] = field(default_factory=dict, repr=False)


def models() -> list[ModelInfo]:
    """The trained models inside the package."""
    return [describe(path) for path in shipped_weights().values()]


def describe(path: Path) -> ModelInfo:
    """Reads the header of a weight file; raises `LncaError` if it is not a whole weight file of this version."""
    # This import takes a while, and help texts do not need it.
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
        if header["version"] not in (VERSION, SHARING_VERSION):
            version = str(header["version"])[:20]
            raise LncaError(
                f"{path} has format version {version}, this lnca reads up to {SHARING_VERSION}; update lnca"
            )
        architecture, settings, card = header["architecture"], header["settings"], header["card"]
        shared = {name: Shared(str(part["model"]), part["sha256"]) for name, part in header.get("shared", {}).items()}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise LncaError(f"{path} is damaged: its header cannot be read ({in_short(error)})") from error
    if not isinstance(architecture, str) or not isinstance(settings, dict) or not isinstance(card, dict):
        raise LncaError(f"{path} is damaged: its header does not say architecture, settings and card")
    parameters += sum(describe(holder_of(part, path)).parameters for part in shared.values())
    return ModelInfo(path.stem, architecture, path, parameters, settings, card, shared)


def holder_of(part: Shared, path: Path) -> Path:
    """The weight file of the shipped model whose tensors another file uses.

    Args:
        path: path of the other file.

    Raises:
        LncaError: the package does not have that model.
    """
    shipped = shipped_weights()
    if part.model not in shipped or shipped[part.model] == path:
        raise LncaError(
            f"{path} shares tensors with {part.model[:40]!r}, which does not come with this lnca; update lnca, or "
            "get a copy of the file that holds all its tensors"
        )
    return shipped[part.model]


def _begins_with(path: Path, mark: bytes) -> bool:
    """Whether a file begins with some bytes; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(mark)) == mark
    except OSError:
        return False


def unknown(kind: str, name: str, known: Iterable[str]) -> LncaError:
    """The error for an unknown name, with similar names."""
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
    """The weight file for the name of a shipped model or for a path; raises `LncaError` if it is neither."""
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
