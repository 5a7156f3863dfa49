"""Checks and inputs that several targets use."""

from pathlib import Path
from typing import Any

import torch

import lnca
from lnca.nn.weights_file import save_weights

from .corpus import SMALL

PIXELS = 2**20


class Wrong(AssertionError):
    """A violation of the requirements."""


def sentence(error: object) -> None:
    """Raises `Wrong` unless an error's text is one readable line."""
    text = str(error)
    if not text.strip() or "\n" in text or len(text) > 2000 or "Traceback" in text:
        raise Wrong(f"no sentence: {text[:300]!r}")


def small_weights(folder: Path) -> Path:
    """A weight file of a small model that changes pictures."""
    name = "latent-nafca"
    torch.manual_seed(0)
    model: Any = lnca.build(name, **SMALL[name])
    torch.nn.init.normal_(model.automaton.head.weight, std=0.05)
    path = folder / "small.safetensors"
    save_weights(path, model, name, SMALL[name], {"task": "denoise"})
    return path


def only(folder: Path, expected: set[str]) -> None:
    """Raises `Wrong` unless a folder holds exactly these files."""
    if names(folder) != expected:
        raise Wrong(f"files: {sorted(names(folder) ^ expected)}")


def names(folder: Path) -> set[str]:
    """Names of all files and folders in a folder and its subfolders."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
