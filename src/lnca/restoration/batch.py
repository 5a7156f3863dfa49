"""Files in, files out: where each goes, how they are restored, and what is written down of each."""

import io
import json
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, Protocol

import numpy as np

from .. import __version__
from ..errors import LncaError, in_short
from ..kernels.cpu import Precision
from ..kernels.select import Backend
from ..memory import keep_freed_memory
from ..peers import started
from ..workers import QuietWorkers
from .limits import PIXEL_LIMIT
from .mask import mask_of
from .photo import Photo
from .photo_read import RAW_SUFFIXES, open_photo, read_photo
from .photo_write import FORMATS, save_photo, write_photo
from .restorer import Restorer

READ_SUFFIXES = (*FORMATS, *RAW_SUFFIXES)
MANIFEST = "lnca.jsonl"


@dataclass(frozen=True)
class Job:
    """One picture file to restore, and where it goes; `root` is the file or folder the user named."""

    source: Path
    output: Path
    root: Path


@dataclass(frozen=True)
class Way:
    """How pictures are restored; arguments of `Restorer`, its `restore` and `mask_of`."""

    model: str
    device: str = "auto"
    backend: Backend = "auto"
    precision: Precision = "float32"
    steps: int | Literal["auto"] | None = None
    tolerance: float | None = None
    max_memory: str | None = None
    strength: float = 1.0
    region: tuple[int, int, int, int] | None = None
    mask: Path | None = None
    max_pixels: int = PIXEL_LIMIT


@dataclass
class Record:
    """What became of one file, a line of the manifest.

    Args:
        file, output: paths.
        model, steps: how; the steps a cell took on average where they were left out.
        width, height, frames: of the picture.
        seconds: it took, reading and writing included.
        notes: what could not stay as it was.
        error: why there is no output; None when there is.
    """

    file: str
    output: str
    model: str
    steps: float | None = None
    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    error: str | None = None
    lnca: str = __version__

    @property
    def megapixels(self) -> float:
        return self.width * self.height * self.frames / 1e6

    def line(self) -> str:
        """All of it as one line of JSON, without a newline."""
        return json.dumps({**asdict(self), "megapixels": self.megapixels})


def find_photos(folder: Path) -> list[Path]:
    """Files that can be read, in a folder and the folders below it, sorted by name."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in READ_SUFFIXES and path.is_file())
    return sorted(path for path in found if not path.name.startswith(".lnca-"))


class Planned(NamedTuple):
    """What is to be done, how many pictures have been done already, whether one file was named, and the folder that all
    outputs lie in, if there is one."""

    jobs: list[Job]
    done: int
    single: bool
    folder: Path | None


def plan(sources: list[Path], output: Path | None, overwrite: bool) -> Planned:
    """One job a picture. A folder's outputs form the same tree.

    Args:
        sources: picture files, and folders with some; patterns such as photos/*.jpg where no such file exists.
        output: a file for one picture, else a folder; None for each source with "-restored" added to its name.
        overwrite: do again what is done.

    Raises:
        LncaError: no pictures, two that would become one, an output of no known format, or, of a single picture, one
            that exists.
    """
    sources = [path for source in sources for path in _expanded(source)]
    several, single = len(sources) > 1, len(sources) == 1 and not sources[0].is_dir()
    if output is not None and (several or sources[0].is_dir()) and output.is_file():
        raise LncaError(f"{output} is a file; give a folder for the pictures of {sources[0]}")
    jobs: list[Job] = []
    for source in sources:
        root = _beside(source) if output is None else output
        if source.is_dir():
            base = root / source.resolve().name if several and output is not None else root
            below = root.resolve()
            found = [path for path in find_photos(source) if not path.resolve().is_relative_to(below)]
            jobs += [Job(path, _written_as(base / path.relative_to(source)), base) for path in found]
        elif output is None or not (several or output.is_dir()):
            jobs.append(Job(source, _written_as(root) if output is None else root, root))
        else:
            jobs.append(Job(source, _written_as(output / source.name), output))
    if not jobs:
        raise LncaError(f"{sources[0]} holds no picture outside the output; looked for {', '.join(READ_SUFFIXES)}")
    seen: dict[Path, Path] = {}
    for job in jobs:
        if job.output.suffix.lower() not in FORMATS:
            raise LncaError(f"{job.output} should end in one of {', '.join(FORMATS)}")
        if seen.setdefault(job.output, job.source) != job.source:
            raise LncaError(f"{seen[job.output]} and {job.source} would both become {job.output}; restore them apart")
    if single and jobs[0].output.exists() and not overwrite:
        raise LncaError(f"{jobs[0].output} exists; add --overwrite to replace it")
    left = [job for job in jobs if overwrite or not job.output.exists()]
    folder = None if single else jobs[0].root if not several else output
    return Planned(left, len(jobs) - len(left), single, folder)


def _expanded(source: Path) -> list[Path]:
    if source.exists():
        return [source]
    if any(sign in str(source) for sign in "*?["):
        found = sorted(Path(source.anchor or ".").glob(str(source.relative_to(source.anchor))))
        if found:
            return found
        raise LncaError(f"no file matches {source}")
    raise LncaError(f"{source} does not exist")


def _beside(source: Path) -> Path:
    named = source if source.name else source.resolve()
    stem, suffix = (named.name, "") if source.is_dir() else (named.stem, named.suffix)
    return named.with_name(f"{stem}-restored{suffix}")


def _written_as(path: Path) -> Path:
    """Raw files are read only; what comes of them is a TIFF file."""
    return path.with_suffix(".tif") if path.suffix.lower() in RAW_SUFFIXES else path


@lru_cache(8)
def restorer_of(model: str, device: str, backend: Backend, precision: Precision) -> Restorer:
    """The restorer of a way, loaded once a process."""
    return Restorer(model, device, backend, precision)


def restore_photo(photo: Photo, way: Way) -> tuple[Photo, float | None]:
    """A picture restored frame by frame, and the steps that a cell took; None of models without steps.

    Raises:
        LncaError: as `Restorer.restore`.
    """
    restorer = restorer_of(way.model, way.device, way.backend, way.precision)
    frames, taken = [], []
    for frame in photo.frames:
        mask = mask_of(frame.shape[1], frame.shape[0], way.region, way.mask, way.max_pixels)
        if way.steps == "auto":
            settled = restorer.settle(frame, None, way.tolerance, way.max_memory, way.strength, mask)
            frames.append(settled.picture)
            taken.append(float(settled.steps.mean()))
        else:
            frames.append(restorer.restore(frame, way.steps, way.max_memory, way.strength, mask))
            number = _steps(restorer, way.steps)
            taken += [] if number is None else [number]
    steps = float(np.mean(taken)) if taken else None
    return photo.restored(frames, _how(restorer, steps, way.strength)), steps


def restore_together(photos: list[Photo], way: Way) -> list[tuple[Photo, float | None]]:
    """`restore_photo` of several pictures at once: of one frame each, all of one size and depth, and not in steps that
    end where cells settle."""
    if way.steps == "auto":
        raise LncaError("pictures whose steps end where cells settle are restored one by one")
    restorer = restorer_of(way.model, way.device, way.backend, way.precision)
    frames = [photo.frames[0] for photo in photos]
    mask = mask_of(frames[0].shape[1], frames[0].shape[0], way.region, way.mask, way.max_pixels)
    restored = restorer.restore_together(frames, way.steps, way.max_memory, way.strength, mask)
    steps = _steps(restorer, way.steps)
    how = _how(restorer, steps, way.strength)
    return [(photo.restored([frame], how), steps) for photo, frame in zip(photos, restored, strict=True)]


def _steps(restorer: Restorer, asked: int | None) -> float | None:
    """Steps that cells take; None of models without."""
    own = getattr(restorer.module, "steps", None)
    return None if own is None else float(own if asked is None else asked)


def _how(restorer: Restorer, steps: float | None, strength: float) -> str:
    """What the tag of a restored picture says."""
    how = f"lnca {__version__}: {restorer.info.name}" + ("" if steps is None else f", {steps:g} steps")
    return how if strength == 1 else f"{how}, strength {strength:g}"


def check_inside(output: Path, root: Path) -> None:
    """Raises `LncaError` when a folder of `root`'s tree, which may have been there before, leads out of it."""
    if root.is_dir() and not output.parent.resolve().is_relative_to(root.resolve()):
        raise LncaError(f"{output.parent} is a link that leads out of {root}; choose another output")


def restore_file(job: Job, way: Way) -> Record:
    """Restores one file; an error is in the record."""

    def read() -> Photo:
        check_inside(job.output, job.root)
        return open_photo(job.source, way.max_pixels)

    record = Record(str(job.source), str(job.output), way.model)
    return recorded(record, way, read, lambda photo: save_photo(photo, job.output))


def restore_stream(source: bytes | Path, output: BinaryIO | Path, way: Way) -> Record:
    """Restores a picture from or to a stream; an error is in the record.

    Args:
        source: a file, or what was in one.
        output: a file, whose suffix says the format, or a stream, which gets that of the source, or PNG where that is
            only read.
    """

    def read() -> Photo:
        if isinstance(source, Path):
            return open_photo(source, way.max_pixels)
        return read_photo(io.BytesIO(source), "the input", way.max_pixels)

    def write(photo: Photo) -> list[str]:
        return save_photo(photo, output) if isinstance(output, Path) else _write_stream(photo, output)

    named, written = (str(end) if isinstance(end, Path) else "-" for end in (source, output))
    return recorded(Record(named, written, way.model), way, read, write)


def _write_stream(photo: Photo, output: BinaryIO) -> list[str]:
    """`write_photo`, whole or not at all."""
    room = io.BytesIO()
    notes = write_photo(photo, room, photo.kind if photo.kind in FORMATS.values() else "PNG", "the output")
    try:
        output.write(room.getvalue())
        output.flush()
    except OSError as error:
        raise LncaError(f"cannot write the output: {error.strerror or error}") from error
    return notes


def recorded(record: Record, way: Way, read: Callable[[], Photo], write: Callable[[Photo], list[str]]) -> Record:
    """The record, filled in, of a picture that is read, restored and written; an error is in it.

    Args:
        read, write: raise `LncaError`; `write` gives what could not stay as it was. Of anything else that goes wrong
            with one picture the record says what it is, so that the others can go on.
    """
    begin = time.perf_counter()
    try:
        photo = read()
        record.height, record.width, record.frames = *photo.frames[0].shape[:2], len(photo.frames)
        restored, record.steps = restore_photo(photo, way)
        record.notes = photo.notes + write(restored)
    except LncaError as error:
        record.error = str(error)
    except Exception as error:
        # Processes that share a picture cannot go on with the next when one has left this.
        if started() > 1:
            raise
        record.error = _unexpected(record.file, error)
    record.seconds = round(time.perf_counter() - begin, 3)
    return record


def _unexpected(file: str, error: Exception) -> str:
    """A sentence for what no other sentence is for."""
    if isinstance(error, MemoryError):
        return f"{file} cannot be restored in the memory there is; see --max-memory"
    return f"{file} could not be restored ({type(error).__name__}: {in_short(error)}); please report it"


def restore_files(jobs: list[Job], way: Way, workers: int = 1) -> Iterator[Record]:
    """Yields a record for each job as it is done, and goes on when one fails.

    Args:
        workers: processes, each with a share of the processor. What was under way when one of them died is done again,
            each picture alone, so that only those fail that end their worker themselves.
    """
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield restore_file(job, way)
        return
    left = deque(jobs)
    while left:
        for job in (yield from _shared(left, way, workers)):
            if (yield from _shared(deque([job]), way, 1)):
                reason = f"{job.source} ended its worker, perhaps for want of memory; see --max-memory"
                yield Record(str(job.source), str(job.output), way.model, error=reason)


def _shared(left: deque[Job], way: Way, workers: int) -> Generator[Record, None, list[Job]]:
    """Takes jobs from `left` and yields their records, until all are done or a worker has died; returns the jobs that
    were handed out then."""
    under_way: dict[Future[Record], Job] = {}
    with QuietWorkers(min(workers, len(left))) as pool:
        while left or under_way:
            while left and len(under_way) < 2 * workers:
                try:
                    future = pool.submit(_in_worker, left[0], way, workers)
                except BrokenProcessPool:
                    return list(under_way.values())
                under_way[future] = left.popleft()
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            lost = {future for future in done if isinstance(future.exception(), BrokenProcessPool)}
            for future in done - lost:
                del under_way[future]
                yield future.result()
            if lost:
                return list(under_way.values())
    return []


def _in_worker(job: Job, way: Way, workers: int) -> Record:
    import os

    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    if way.max_memory is None:
        keep_freed_memory()
    return restore_file(job, way)


class Lines(Protocol):
    """A text file that lines are added to."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> None: ...


def write_manifest(file: Lines, records: Iterable[Record]) -> Iterator[Record]:
    """Passes records on, each written down as a line as soon as it is there."""
    for record in records:
        file.write(record.line() + "\n")
        file.flush()
        yield record
