"""The file a run continues from."""

import io
from pathlib import Path
from typing import Any

import torch

from ..errors import LncaError
from ..files import write_whole
from .plan import Plan

NAME = "checkpoint.pt"


def write_checkpoint(folder: Path, content: dict[str, Any]) -> None:
    """Replaces the folder's checkpoint; tensors and plain data only."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(folder / NAME, buffer.getvalue())


def read_checkpoint(folder: Path, plan: Plan, resume: bool) -> dict[str, Any] | None:
    """The folder's checkpoint, or None where a new run begins.

    Raises:
        LncaError: there is one and `resume` was not asked for, or it is damaged or belongs to another plan.
    """
    path = folder / NAME
    if not path.exists():
        return None
    if not resume:
        raise LncaError(f"{folder} already holds a run; add --resume to continue it, or choose another --out")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        same = saved["plan"] == plan.describe()
    except Exception as error:
        raise LncaError(f"{path} is damaged; delete it to start the run again") from error
    if not same:
        raise LncaError(f"{folder} was started with other settings (see run.json there); resume with the same ones")
    return saved


def last_good(folder: Path) -> str:
    """Where a run that failed can be continued from, for its error."""
    path = folder / NAME
    return f"the last good checkpoint is {path}" if path.exists() else "there is no checkpoint yet"
