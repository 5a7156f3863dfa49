"""The worker process, which decodes, restores and encodes pictures: `python -m lnca.serving.worker SETTINGS`.

Its first message to stdout says that it is ready, or why it is not. Then it reads messages from stdin, each with
pictures and their common options, and writes an answer for each picture to stdout. It ends at the end of stdin.
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
from ..restoration.batch import Done, RestoreOptions, restore_photo, restore_together, restorer_of
from ..restoration.kernel import kernel_file, kernel_in
from ..restoration.notation import Noise
from ..runtime import threads
from .messages import packed, read_message

# Pictures of up to this many pixels are restored together; larger ones use the whole CPU alone.
SMALL = 128 * 128
# Name of a picture in error messages.
NAME = "what was sent"


@dataclass(frozen=True)
class Task:
    """One picture: number of the request, content of the file, and format of the answer (the file's own if None)."""

    number: int
    content: bytes
    kind: str | None


class Worker:
    """Answers messages.

    Args:
        out: stream for the answers.
        max_pixels: largest number of pixels of all frames of a picture together.
    """

    def __init__(self, out: BinaryIO, max_pixels: int):
        self.out, self.max_pixels = out, max_pixels

    def send(self, header: dict[str, Any], content: bytes = b"") -> None:
        """Writes one message."""
        for part in packed(header, content):
            self.out.write(part)
        self.out.flush()

    def refuse(self, task: Task, error: Exception) -> None:
        """Answers with an error: status 413, 415 or 422 for errors of the picture, and 500 for unexpected ones."""
        if isinstance(error, TooLarge):
            limit = f"{self.max_pixels / 1e6:g}"
            status, text = 413, f"the picture has more than {limit} million pixels; send a smaller one"
        elif isinstance(error, LncaError):
            status, text = 415 if isinstance(error, NotAPicture) else 422, str(error)
        else:
            traceback.print_exception(error)
            status, text = 500, "the picture could not be restored; this is an error of the service"
        self.send({"number": task.number, "status": status, "error": " ".join(text.split())})

    def answer(self, task: Task, source: Photo, done: Done, options: RestoreOptions) -> None:
        """Answers with the restored picture."""
        kind = task.kind or (source.kind if source.kind in FORMATS.values() else "PNG")
        buffer = io.BytesIO()
        notes = source.notes + write_photo(done.photo, buffer, kind, "the answer")
        height, width = source.frames[0].shape[:2]
        kernel = done.kernel if options.return_kernel else None
        self.send(
            {
                "number": task.number,
                "status": 200,
                "kind": kind,
                "notes": notes,
                "steps": done.steps,
                "noise_level": done.noise_level,
                "kernel": None if kernel is None else base64.b64encode(kernel_file(kernel)).decode(),
                "pixels": width * height * len(source.frames),
            },
            buffer.getvalue(),
        )

    def work(self, tasks: list[Task], options: RestoreOptions) -> None:
        """Answers every task. Small pictures of equal size and depth are restored together, after the others."""
        alike: dict[tuple[tuple[int, ...], np.dtype], list[tuple[Task, Photo]]] = {}
        for task in tasks:
            try:
                photo = read_photo(io.BytesIO(task.content), NAME, options.max_pixels, raw=False)
                frame = photo.frames[0]
                small = len(photo.frames) == 1 and frame.shape[0] * frame.shape[1] <= SMALL
                if small and options.steps != "auto" and not options.return_kernel:
                    alike.setdefault((frame.shape, frame.dtype), []).append((task, photo))
                else:
                    self.answer(task, photo, restore_photo(photo, options), options)
            except Exception as error:
                self.refuse(task, error)
        for pairs in alike.values():
            try:
                restored = restore_together([photo for _, photo in pairs], options)
            except Exception as error:
                for task, _ in pairs:
                    self.refuse(task, error)
                continue
            for (task, photo), done in zip(pairs, restored, strict=True):
                try:
                    self.answer(task, photo, done, options)
                except Exception as error:
                    self.refuse(task, error)


def options_of(request: dict[str, Any], service: dict[str, Any]) -> RestoreOptions:
    """The options for restoring the pictures of a message.

    Args:
        request: the fields of `lnca.serving.settings.RequestOptions`.
        service: the options that are the same for all requests.

    Raises:
        LncaError: the kernel cannot be read.
    """
    return RestoreOptions(
        **service,
        **{name: request[name] for name in ("model", "steps", "strength")},
        region=None if request["region"] is None else tuple(request["region"]),
        noise=Noise(**request["noise"]),
        kernel=None if request["kernel"] is None else kernel_in(base64.b64decode(request["kernel"]), "the kernel"),
        return_kernel=request["kernel_out"],
    )


def limit_memory(more: int) -> None:
    """Limits the memory of this process to `more` bytes beyond what it uses now, on Linux."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # A crash must not leave a picture on a disk, in a core file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Runs a worker with the settings in the first argument."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    source = os.fdopen(os.dup(0), "rb")
    out = os.fdopen(os.dup(1), "wb")
    # What libraries print goes to stderr, not between the messages.
    os.dup2(2, 1)
    settings = json.loads(sys.argv[1])
    worker = Worker(out, settings["max_pixels"])
    threads.allow(threads.count() // settings["workers"])
    try:
        backends = {}
        for model in settings["models"]:
            restorer = restorer_of(model, settings["device"], settings["backend"], settings["precision"])
            # Start the threads before memory is limited, because their stacks count.
            restorer.restore(np.zeros((64, 64, 3), np.uint8))
            backends[model] = restorer.backend
    except LncaError as error:
        worker.send({"error": str(error)})
        return
    limit_memory(settings["memory"])
    worker.send({"backends": backends})
    service = {name: settings[name] for name in ("device", "backend", "precision", "max_pixels")}
    while (message := read_message(source)) is not None:
        header, contents = message
        tasks, begin = [], 0
        for task in header["tasks"]:
            end = begin + task["size"]
            tasks.append(Task(task["number"], contents[begin:end], task["kind"]))
            begin = end
        try:
            options = options_of(header["options"], service)
        except LncaError as error:
            for task in tasks:
                worker.refuse(task, error)
        else:
            worker.work(tasks, options)


if __name__ == "__main__":
    main()
