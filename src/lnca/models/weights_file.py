"""Weight files: safetensors whose header holds the architecture, its settings and the model card."""

import dataclasses
import json
import os
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..errors import LncaError
from .latent import LatentAutomaton
from .registry import make_settings, unknown

FORMAT = "lnca"
VERSION = "1"


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file by way of a temporary one beside it, so that `path` holds the old or the new content, never a part."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".lnca-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise LncaError(f"cannot write {path}: {error}") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def save_weights(
    path: Path, model: LatentAutomaton, architecture: str, settings: dict[str, Any], card: dict[str, Any]
) -> None:
    """Writes a model's weights with all that is needed to build it again."""
    full = dataclasses.asdict(make_settings(architecture, settings))
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": architecture,
        "settings": json.dumps(full),
        "card": json.dumps(card),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_whole(path, save(tensors, metadata))


def shipped_weights() -> dict[str, Path]:
    """Names and files of the weights inside the package."""
    folder = Path(str(resources.files("lnca"))) / "weights"
    return {file.stem: file for file in sorted(folder.glob("*.safetensors"))}


def locate(name_or_path: str | Path) -> Path:
    """The weight file of a shipped model's name or of a path; raises `LncaError` when there is neither."""
    shipped = shipped_weights()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    path = Path(name_or_path)
    if path.is_file():
        return path
    raise unknown("model", str(name_or_path), shipped)


def read_metadata(path: Path) -> dict[str, str]:
    """The header of a weight file; raises `LncaError` when it is no whole weight file of this version."""
    if path.suffix.lower() in (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"):
        raise LncaError(f"{path} may hold a pickle, which can run code; only safetensors files are read")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise LncaError(f"{path} is damaged or no safetensors file ({error}); get a whole copy of it") from error
    if metadata.get("format") != FORMAT:
        raise LncaError(f"{path} is a safetensors file, but not one written by lnca")
    if metadata.get("version") != VERSION:
        raise LncaError(f"{path} has format version {metadata.get('version')!r}, this lnca reads {VERSION!r}; update lnca")
    return metadata


def load_weights(path: Path) -> tuple[LatentAutomaton, str, dict[str, Any], dict[str, Any]]:
    """Builds the model a weight file holds.

    Returns:
        The module in evaluation mode, its architecture, its settings, its card.

    Raises:
        LncaError: damaged, of another version, a pickle, or tensors that do not fit the settings.
    """
    metadata = read_metadata(path)
    try:
        settings, card = json.loads(metadata["settings"]), json.loads(metadata["card"])
        model = make_settings(metadata["architecture"], settings).build()
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model.load_state_dict(tensors, strict=True)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise LncaError(f"{path} is damaged: {' '.join(str(error).split())[:200]}") from error
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise LncaError(f"{path} is damaged: it holds NaN or infinite weights")
    return model.eval(), metadata["architecture"], settings, card
