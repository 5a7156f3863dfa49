"""A process that decodes, restores and encodes what the service hands it: `python -m lnca.serving.worker SETTINGS`.

It begins with a message that it is ready, or why it cannot be. Then come, from stdin, messages with requests that are
to be restored the same way, and go, to stdout, an answer for each. It ends when stdin does.
"""

import base64
import io
import json
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import LncaError, NotAPicture, TooLarge
from ..images.formats import FORMATS
from ..images.photo import Photo
from ..images.reading import read_photo
from ..images.writing import write_photo
from ..restoration.batch import Beside, Done, Way, restore_photo, restore_together, restorer_of
from ..restoration.kernel import kernel_file, kernel_in
from ..restoration.notation import Noise
from ..runtime import threads
from .messages import packed, read_message

# Pictures of no more pixels than this are restored together; larger ones keep the processor busy by themselves.
SMALL = 128 * 128
NAME = "what was sent"


@dataclass(frozen=True)
class Task:
    """One request: its number, the file, and the format to answer in, the file's own when None."""

    number: int
    content: bytes
    kind: str | None


class Worker:
    """Answers messages.

    Args:
        out: where answers go.
        max_pixels: the most pixels of all frames of a picture.
    """

    def __init__(self, out: BinaryIO, max_pixels: int):
        self.out, self.max_pixels = out, max_pixels

    def say(self, header: dict[str, Any], content: bytes = b"") -> None:
        for part in packed(header, content):
            self.out.write(part)
        self.out.flush()

    def refuse(self, task: Task, error: Exception) -> None:
        """An answer that says what is wrong: 415, 413 or 422, and 500 for what should not happen."""
        if isinstance(error, TooLarge):
            most = f"{self.max_pixels / 1e6:g}"
            status, text = 413, f"the picture has more than {most} million pixels; send a smaller one"
        elif isinstance(error, LncaError):
            status, text = 415 if isinstance(error, NotAPicture) else 422, str(error)
        else:
            traceback.print_exception(error)
            status, text = 500, "the picture could not be restored; this is an error of the service"
        self.say({"number": task.number, "status": status, "error": " ".join(text.split())})

    def answer(self, task: Task, source: Photo, done: Done, way: Way) -> None:
        kind = task.kind or (source.kind if source.kind in FORMATS.values() else "PNG")
        room = io.BytesIO()
        notes = source.notes + write_photo(done.photo, room, kind, "the answer")
        height, width = source.frames[0].shape[:2]
        found = done.kernel if way.beside.kernel else None
        self.say(
            {
                "number": task.number,
                "status": 200,
                "kind": kind,
                "notes": notes,
                "steps": done.steps,
                "noise_level": done.noise_level,
                "kernel": None if found is None else base64.b64encode(kernel_file(found)).decode(),
                "pixels": width * height * len(source.frames),
            },
            room.getvalue(),
        )

    def work(self, tasks: list[Task], way: Way) -> None:
        """Answers every task; small pictures of one size and depth go together, after the others."""
        alike: dict[tuple[tuple[int, ...], np.dtype], list[tuple[Task, Photo]]] = {}
        for task in tasks:
            try:
                photo = read_photo(io.BytesIO(task.content), NAME, way.max_pixels, raw=False)
                frame = photo.frames[0]
                small = frame.shape[0] * frame.shape[1] <= SMALL
                if len(photo.frames) == 1 and small and way.steps != "auto" and not way.beside.kernel:
                    alike.setdefault((frame.shape, frame.dtype), []).append((task, photo))
                else:
                    self.answer(task, photo, restore_photo(photo, way), way)
            except Exception as error:
                self.refuse(task, error)
        for pairs in alike.values():
            try:
                restored = restore_together([photo for _, photo in pairs], way)
            except Exception as error:
                for task, _ in pairs:
                    self.refuse(task, error)
                continue
            for (task, photo), done in zip(pairs, restored, strict=True):
                try:
                    self.answer(task, photo, done, way)
                except Exception as error:
                    self.refuse(task, error)


def way_of(wish: dict[str, Any], same: dict[str, Any]) -> Way:
    """How a wish, as `lnca.serving.settings.Wish` has it, is restored.

    Args:
        same: what is the same for all wishes.

    Raises:
        LncaError: a kernel that cannot be read.
    """
    region = None if wish["region"] is None else tuple(wish["region"])
    kernel = None if wish["kernel"] is None else kernel_in(base64.b64decode(wish["kernel"]), "the kernel")
    # Nothing is written; the name says that it is wanted.
    beside = Beside(kernel=Path("kernel.png") if wish["kernel_out"] else None)
    kept = {name: wish[name] for name in ("model", "steps", "strength")}
    return Way(**{**same, **kept}, region=region, noise=Noise(**wish["noise"]), kernel=kernel, beside=beside)


def limit_memory(more: int) -> None:
    """Lets this process have `more` bytes beyond what it has, on Linux."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # A crash is answered for; a picture should not be left on a disk for it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Runs a worker with the settings in the first argument."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    source = os.fdopen(os.dup(0), "rb")
    out = os.fdopen(os.dup(1), "wb")
    # What a library prints must not come between the messages.
    os.dup2(2, 1)
    settings = json.loads(sys.argv[1])
    worker = Worker(out, settings["max_pixels"])
    threads.allow(threads.count() // settings["workers"])
    try:
        backends = {}
        for model in settings["models"]:
            restorer = restorer_of(model, settings["device"], settings["backend"], settings["precision"])
            # Starts the threads, whose stacks count.
            restorer.restore(np.zeros((64, 64, 3), np.uint8))
            backends[model] = restorer.backend
    except LncaError as error:
        worker.say({"error": str(error)})
        return
    limit_memory(settings["memory"])
    worker.say({"backends": backends})
    same = {name: settings[name] for name in ("device", "backend", "precision", "max_pixels")}
    while (message := read_message(source)) is not None:
        header, contents = message
        tasks, begin = [], 0
        for task in header["tasks"]:
            end = begin + task["size"]
            tasks.append(Task(task["number"], contents[begin:end], task["kind"]))
            begin = end
        try:
            way = way_of(header["wish"], same)
        except LncaError as error:
            for task in tasks:
                worker.refuse(task, error)
        else:
            worker.work(tasks, way)


if __name__ == "__main__":
    main()
