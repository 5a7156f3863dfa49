"""The logs of a run: JSON lines, TensorBoard, contact sheets."""

import io
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import LncaError
from ..files import Appended, write_whole
from ..images.eight_bit import save_picture
from ..restoration.pictures import to_image


class Events:
    """TensorBoard events in a file of this process; events wait in memory until `flush` adds them to the file.

    TensorBoard's own writer uses a thread: an error there ends it with a traceback and loses the waiting events.

    Args:
        folder: folder for the file.
        step: batches done so far; TensorBoard hides what an earlier process logged after them.

    Raises:
        LncaError: TensorBoard is not installed, or the file cannot be written; `flush` raises it too.
    """

    def __init__(self, folder: Path, step: int):
        try:
            from tensorboard.compat.proto import event_pb2
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as error:
            raise LncaError("training logs need tensorboard: pip install 'lnca[train]'") from error
        self._event, self._kept = event_pb2.Event, io.BytesIO()
        self._records = RecordWriter(self._kept)
        name = f"events.out.tfevents.{time.time_ns() // 10**9:010d}.{socket.gethostname()}.{os.getpid()}"
        self._path = folder / name
        self._add(file_version="brain.Event:2")
        begun = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._add(step=step + 1, session_log=begun)
        self.flush()

    def _add(self, **content: Any) -> None:
        event = self._event(wall_time=time.time(), **content)
        self._records.write(event.SerializeToString())

    def scalar(self, name: str, value: float, step: int) -> None:
        """One number of a batch or an epoch."""
        from torch.utils.tensorboard.summary import scalar

        self._add(step=step, summary=scalar(name, value))

    def flush(self) -> None:
        """Adds the waiting events to the file, all or none."""
        with Appended(self._path) as file:
            file.write(self._kept.getvalue())
        self._kept.seek(0)
        self._kept.truncate()


class Log:
    """`log.jsonl`, one line an epoch, and TensorBoard events of every batch and epoch.

    Args:
        folder: the run's folder.
        step: batches done so far; lines that a killed run logged after them are dropped.

    Raises:
        LncaError: TensorBoard is not installed, or the logs cannot be written; the methods raise it too.
    """

    def __init__(self, folder: Path, step: int):
        self.path = folder / "log.jsonl"
        if self.path.exists():
            lines = self.path.read_text("utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            write_whole(self.path, "".join(kept).encode())
        self.events = Events(folder / "tensorboard", step)

    def scalars(self, phase: str, step: int, values: dict[str, float]) -> None:
        """Logs the losses of one batch."""
        for name, value in values.items():
            self.events.scalar(f"{phase}/{name}", value, step)

    def epoch(self, step: int, record: dict[str, Any]) -> None:
        """Logs the means of one epoch and its validation."""
        with Appended(self.path) as file:
            file.write(json.dumps({"step": step, **record}) + "\n")
        for name, value in record.items():
            if name.startswith("validation_"):
                self.events.scalar(f"{record['phase']}/{name}", value, step)
        self.events.flush()

    def close(self) -> None:
        self.events.flush()


class ContactSheet:
    """Writes pictures in rows: clean, corrupted, restored."""

    def __init__(self, folder: Path, zoom: int = 3):
        self.folder, self.zoom = folder, zoom

    def save(self, name: str, rows: list[Tensor]) -> None:
        """Writes a sheet; `rows` are batches (B, 3, H, W) in [0, 1] of equal shape."""
        picture = to_image(torch.cat([torch.cat(list(row), -1) for row in rows], -2))
        size = (picture.width * self.zoom, picture.height * self.zoom)
        save_picture(picture.resize(size, Image.Resampling.NEAREST), self.folder / name)
