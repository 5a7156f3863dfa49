"""What a run leaves to look at: JSON lines, TensorBoard, contact sheets."""

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import LncaError
from ..files import write_whole
from ..restoration.image_io import save_picture
from ..restoration.pictures import to_image


class Log:
    """`log.jsonl`, one line an epoch, and TensorBoard events of every batch and epoch.

    Args:
        folder: the run's folder.
        step: batches done so far; what a killed run logged after them is dropped.
    """

    def __init__(self, folder: Path, step: int):
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise LncaError("training logs need tensorboard: pip install 'lnca[train]'") from error
        self.path = folder / "log.jsonl"
        if self.path.exists():
            lines = self.path.read_text("utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            write_whole(self.path, "".join(kept).encode())
        self.writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def scalars(self, phase: str, step: int, values: dict[str, float]) -> None:
        """The losses of one batch."""
        for name, value in values.items():
            self.writer.add_scalar(f"{phase}/{name}", value, step)

    def epoch(self, step: int, record: dict[str, Any]) -> None:
        """The means of one epoch and its validation."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **record}) + "\n")
        except OSError as error:
            raise LncaError(f"cannot write {self.path}: {error.strerror}") from error
        for name, value in record.items():
            if name.startswith("validation_"):
                self.writer.add_scalar(f"{record['phase']}/{name}", value, step)
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


class ContactSheet:
    """Pictures in rows: clean, corrupted, restored."""

    def __init__(self, folder: Path, zoom: int = 3):
        self.folder, self.zoom = folder, zoom

    def save(self, name: str, rows: list[Tensor]) -> None:
        """`rows` are batches (B, 3, H, W) in [0, 1] of equal shape."""
        picture = to_image(torch.cat([torch.cat(list(row), -1) for row in rows], -2))
        size = (picture.width * self.zoom, picture.height * self.zoom)
        save_picture(picture.resize(size, Image.Resampling.NEAREST), self.folder / name)
