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
    """A checkpoint that cannot be read, or is not what was written."""


def checkpoints(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob(PATTERN), reverse=True)


def write_checkpoint(folder: Path, step: int, content: dict[str, Any]) -> None:
    """Writes the checkpoint after so many batches, tensors and plain data only, and removes all but the last `KEPT`.

    Raises:
        LncaError: it cannot be written; those that are there stay.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    payload = buffer.getbuffer()
    digest = hashlib.sha256(payload).hexdigest().encode()
    write_whole(folder / PATTERN.replace("*", f"{step:09d}"), MARK, digest, b"\n", payload)
    for path in checkpoints(folder)[KEPT:]:
        path.unlink(missing_ok=True)


def open_checkpoint(path: Path) -> dict[str, Any]:
    """What was written; raises `Damaged`."""
    try:
        content = path.read_bytes()
        mark, digest, payload = content.split(b"\n", 2)
        if mark + b"\n" != MARK or hashlib.sha256(payload).hexdigest().encode() != digest:
            raise ValueError("the checksum does not fit")
        saved = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        if not isinstance(saved, dict) or not isinstance(saved.get("plan"), dict):
            raise ValueError("this is no checkpoint of a run")
    except Exception as error:
        # torch says in paragraphs how to load what it does not trust.
        untrusted = isinstance(error, pickle.UnpicklingError)
        said = "it holds more than tensors and plain data" if untrusted else in_short(error, 120)
        raise Damaged(said) from error
    return saved


def read_checkpoint(folder: Path, plan: Plan, resume: bool) -> dict[str, Any] | None:
    """The folder's newest checkpoint that is whole, or None where a new run begins; a damaged one is reported.

    Raises:
        LncaError: there is one and `resume` was not asked for, all are damaged, or it belongs to another plan.
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
    """What a resumed run has to have in common with the one that began: all but how much memory a batch takes."""
    recipe = plan.get("recipe")
    return plan | {"recipe": recipe | {"micro_batches": 1} if isinstance(recipe, dict) else recipe}


def last_good(folder: Path) -> str:
    """Where a run that failed can be continued from, for its error."""
    paths = checkpoints(folder)
    return f"the last good checkpoint is {paths[0]}" if paths else "there is no checkpoint yet"
