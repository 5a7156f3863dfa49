"""The files a run continues from: the last few, each with a checksum."""

import hashlib
import io
import pickle
import sys
from pathlib import Path
from typing import Any

import torch

from ..catalogue import CHECKPOINT
from ..errors import LncaError, in_short
from ..files import write_whole
from .plan import Plan

PATTERN = "checkpoint-*.lnca"
MARK = CHECKPOINT + b" 1\n"
KEPT = 3


class Damaged(Exception):
    """A checkpoint cannot be read, or its checksum is wrong."""


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    return sorted(folder.glob(PATTERN), reverse=True)


def write_checkpoint(folder: Path, step: int, content: dict[str, Any]) -> None:
    """Writes the checkpoint after batch `step`, with only tensors and plain data, and removes all but the last `KEPT`.

    Raises:
        LncaError: it cannot be written; existing checkpoints stay.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    payload = buffer.getbuffer()
    digest = hashlib.sha256(payload).hexdigest().encode()
    write_whole(folder / PATTERN.replace("*", f"{step:09d}"), MARK, digest, b"\n", payload)
    for path in checkpoints(folder)[KEPT:]:
        path.unlink(missing_ok=True)


def open_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint; raises `Damaged`."""
    try:
        content = path.read_bytes()
        mark, digest, payload = content.split(b"\n", 2)
        if mark + b"\n" != MARK or hashlib.sha256(payload).hexdigest().encode() != digest:
            raise ValueError("the checksum does not fit")
        saved = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        if not isinstance(saved, dict) or not isinstance(saved.get("plan"), dict):
            raise ValueError("this is no checkpoint of a run")
    except Exception as error:
        # torch's message is paragraphs of advice on how to load a file that it does not trust.
        untrusted = isinstance(error, pickle.UnpicklingError)
        said = "it holds more than tensors and plain data" if untrusted else in_short(error, 120)
        raise Damaged(said) from error
    return saved


def read_checkpoint(folder: Path, plan: Plan, resume: bool) -> dict[str, Any] | None:
    """The newest whole checkpoint of a folder, or None if a new run begins; reports damaged ones.

    Raises:
        LncaError: there is a checkpoint but `resume` is false, all are damaged, or it belongs to another plan.
    """
    paths = checkpoints(folder)
    if not paths:
        return None
    if not resume:
        raise LncaError(f"{folder} already holds a run; add --resume to continue it, or choose another --out")
    for path, older in zip(paths, [*paths[1:], None], strict=True):
        try:
            saved = open_checkpoint(path)
        except Damaged as error:
            if older is None:
                raise LncaError(f"{path} is damaged ({error}); delete it to start the run again") from error
            print(f"warning: {path} is damaged ({error}); going on from {older.name}", file=sys.stderr)
            continue
        if _settings(saved["plan"]) != _settings(plan.describe()):
            raise LncaError(f"{folder} was started with other settings (see run.json there); resume with the same ones")
        return saved
    return None


def _settings(plan: dict[str, Any]) -> dict[str, Any]:
    """The settings that a resumed run must share with the first one: all except those for the memory of a batch."""
    recipe = plan.get("recipe")
    return plan | {"recipe": recipe | {"micro_batches": 1} if isinstance(recipe, dict) else recipe}


def last_good(folder: Path) -> str:
    """For error messages: the checkpoint from which a failed run can resume."""
    paths = checkpoints(folder)
    return f"the last good checkpoint is {paths[0]}" if paths else "there is no checkpoint yet"
