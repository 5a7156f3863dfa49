"""What several targets ask of what they get, and begin with."""

from pathlib import Path
from typing import Any

import torch

import lnca
from lnca.nn.weights_file import save_weights

from .corpus import SMALL

PIXELS = 2**20


class Wrong(AssertionError):
    """What must not be."""


def sentence(error: object) -> None:
    """Raises `Wrong` unless an error's text is one line a person can read."""
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
    """Raises `Wrong` unless just these lie below a folder."""
    if names(folder) != expected:
        raise Wrong(f"files: {sorted(names(folder) ^ expected)}")


def names(folder: Path) -> set[str]:
    """Everything below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
