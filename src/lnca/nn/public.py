"""Checkpoints of the public releases of NAFNet and Restormer (`.pth`), read as plain tensors, never as code."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import LncaError
from ..files import opened

# Keys under which the releases store their state dict.
NESTED = ("params_ema", "params", "state_dict", "model")


def read_public(path: Path) -> Mapping[str, Tensor]:
    """The state dict of a `.pth` file.

    Raises:
        LncaError: the file is missing or damaged, holds more than tensors and plain containers, or no state dict.
    """
    try:
        with opened(path) as file:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except LncaError:
        raise
    except pickle.UnpicklingError as error:
        raise LncaError(
            f"{path} is damaged, or holds more than tensors; it is not loaded, for that could run code"
        ) from error
    except MemoryError as error:
        raise LncaError(f"{path} does not fit into memory") from error
    # Damaged bytes can raise any error; all of them mean that the file is not a checkpoint.
    except Exception as error:
        raise LncaError(f"{path} is no checkpoint that torch can read; get a whole copy of it") from error
    state = content
    if isinstance(content, dict):
        state = next((content[name] for name in NESTED if isinstance(content.get(name), dict)), content)
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise LncaError(f"{path} holds no state dict; looked for {', '.join(NESTED)} and at the top")
    return {str(name).removeprefix("module."): value for name, value in state.items()}
