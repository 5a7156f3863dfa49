"""Restores files, and makes a record of each."""

import io
import json
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import KW_ONLY, asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image

from ..errors import LncaError, in_short
from ..files import NEW, stamp_of
from ..images.eight_bit import save_picture
from ..images.finding import LeftOut
from ..images.formats import FORMATS
from ..images.limits import PIXEL_LIMIT
from ..images.photo import Photo, of_depth
from ..images.ranges import stretched, unstretched
from ..images.reading import open_photo, read_photo
from ..images.writing import save_photo, write_photo
from ..memory import manage_freed_memory
from ..peers import started
from ..runtime import threads
from ..runtime.native import Backend, Precision
from ..version import __version__
from .jobs import Job, plan
from .kernel import Kernel, read_kernel, write_kernel
from .mask import mask_of
from .noise import told
from .notation import Noise
from .restorer import Restorer, Settled
from .showing import draw_heat_map, side_by_side

if TYPE_CHECKING:
    from concurrent.futures import Future


@dataclass(frozen=True, kw_only=True)
class ExtraFiles:
    """Further files for one restored picture, from its first frame.

    Args:
        kernel: file for the estimated blur kernel.
        heat_map: file for the steps of each cell, if steps end when cells settle.
        comparison: file for a picture with half before and half after.
    """

    kernel: Path | None = None
    heat_map: Path | None = None
    comparison: Path | None = None


@dataclass(frozen=True)
class RestoreOptions:
    """Options for restoring pictures: arguments of `Restorer`, of its `restore`, and of `mask_of`.

    Args:
        times: whether an output gets its source's times.
        mask: a file, or the shares themselves.
        kernel: a picture or .npy file of the blur kernel, or the kernel; None lets the model estimate it.
        return_kernel: whether the caller uses the estimated kernel, `Done.kernel`; then the model must take one.
        extra_files: further files, for one picture.
    """

    model: str
    _: KW_ONLY
    device: str = "auto"
    backend: Backend = "auto"
    precision: Precision = "float32"
    steps: int | Literal["auto"] | None = None
    tolerance: float | None = None
    max_memory: str | None = None
    strength: float = 1.0
    noise: Noise = Noise()
    region: tuple[int, int, int, int] | None = None
    mask: Path | np.ndarray | None = None
    max_pixels: int = PIXEL_LIMIT
    times: bool = False
    kernel: Path | Kernel | None = None
    return_kernel: bool = False
    extra_files: ExtraFiles = ExtraFiles()

    def kernel_arguments(self, restorer: Restorer) -> dict[str, Any]:
        """A given kernel as an argument of `Restorer.restore`; raises `LncaError` if a kernel is given or wanted and
        the model takes none."""
        wanted = self.return_kernel or self.extra_files.kernel is not None
        if not restorer.takes_kernel and (self.kernel is not None or wanted):
            raise LncaError(f"{restorer.info.name} takes no blur kernel; add --model photo-deblur")
        if self.kernel is None:
            return {}
        return {"kernel": read_kernel(self.kernel) if isinstance(self.kernel, Path) else self.kernel}


@dataclass
class Record:
    """The result for one file, a line of the manifest.

    Args:
        file, output: paths.
        model, steps: model and its steps; with settling, the steps that a cell took on average.
        noise_level: standard deviations of "brightness" and "colour" noise that the model got, in 255ths, means over
            the picture; None for models without a noise level.
        width, height, frames: size of the picture and its number of frames.
        seconds: time, including reading and writing.
        notes: what could not be kept.
        error: why there is no output; None if there is one, or if the file is not a picture.
        left_out: why a file was left out; None for pictures.
    """

    file: str
    output: str
    model: str
    steps: float | None = None
    noise_level: dict[str, float] | None = None
    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    error: str | None = None
    left_out: str | None = None
    lnca: str = __version__

    @classmethod
    def of_left_out(cls, left: LeftOut, model: str) -> "Record":
        """The record of a file in a folder that is left out."""
        if left.failed:
            return cls(left.file, "", model, error=left.reason)
        return cls(left.file, "", model, left_out=left.reason)

    @property
    def megapixels(self) -> float:
        return self.width * self.height * self.frames / 1e6

    def line(self) -> str:
        """The record as one line of JSON, without a newline."""
        return json.dumps({**asdict(self), "megapixels": self.megapixels})


@lru_cache(8)
def restorer_of(model: str, device: str, backend: Backend, precision: Precision) -> Restorer:
    """The restorer with these settings, loaded once in each process."""
    return Restorer(model, device, backend, precision)


class Done(NamedTuple):
    """A restored picture, the steps of a cell (None for models without steps), and the noise levels that the model got
    (None for models without), see `Record`. For its first frame the estimated kernel, and the steps of its cells if
    they ended when cells settled."""

    photo: Photo
    steps: float | None
    noise_level: dict[str, float] | None = None
    kernel: np.ndarray | None = None
    settled: Settled | None = None


class DoneFrame(NamedTuple):
    """One restored frame, with the fields of `Done`."""

    picture: np.ndarray
    steps: float | None
    level: tuple[float, float] | None = None
    kernel: np.ndarray | None = None
    settled: Settled | None = None


def restore_frame(
    frame: np.ndarray, options: RestoreOptions, progress: Callable[[float], None] | None = None
) -> DoneFrame:
    """Restores one frame.

    Args:
        frame: (H, W) or (H, W, C), see `Photo`.
        progress: called with the finished share, 0 to 1.

    Raises:
        LncaError: see `Restorer.restore`.
    """
    restorer = restorer_of(options.model, options.device, options.backend, options.precision)
    mask = mask_of(frame.shape[1], frame.shape[0], options.region, options.mask, options.max_pixels)
    kernel = options.kernel_arguments(restorer)
    if options.steps == "auto":
        settled = restorer.settle(frame, None, options.tolerance, options.max_memory, options.strength, mask)
        return DoneFrame(settled.picture, float(settled.steps.mean()), settled=settled)
    noise, found = told(options.noise, restorer, frame), None
    arguments = {**noise.options, **kernel, "progress": progress}
    if restorer.takes_kernel and options.kernel is None:
        arguments["kernel"] = restorer.blur(frame, noise.options["noise_level"])
        found = arguments["kernel"].as_array()
    restored = restorer.restore(frame, options.steps, options.max_memory, options.strength, mask, **arguments)
    return DoneFrame(restored, _steps(restorer, options.steps), noise.mean, found)


def restore_photo(photo: Photo, options: RestoreOptions, progress: Callable[[float], None] | None = None) -> Done:
    """Restores a picture frame by frame.

    Args:
        progress: called with the finished share, 0 to 1.

    Raises:
        LncaError: see `Restorer.restore`.
    """
    restorer = restorer_of(options.model, options.device, options.backend, options.precision)
    given, factor = stretched(photo)
    done = [
        restore_frame(frame, options, None if progress is None else _part_of(progress, number, len(photo.frames)))
        for number, frame in enumerate(given)
    ]
    taken = [frame.steps for frame in done if frame.steps is not None]
    steps = float(np.mean(taken)) if taken else None
    restored = photo.restored([unstretched(frame.picture, factor) for frame in done], _how(restorer, steps, options))
    levels = [frame.level for frame in done if frame.level is not None]
    return Done(restored, steps, mean_levels(levels), done[0].kernel, done[0].settled)


def _part_of(progress: Callable[[float], None], number: int, count: int) -> Callable[[float], None]:
    """The progress function for one of several frames."""
    return lambda share: progress((number + share) / count)


def mean_levels(levels: list[tuple[float, float]]) -> dict[str, float] | None:
    """Means of the levels of brightness and colour noise over frames, for a record; None without any."""
    if not levels:
        return None
    brightness, colour = (round(float(mean), 2) for mean in np.mean(levels, 0))
    return {"brightness": brightness, "colour": colour}


def restore_together(photos: list[Photo], options: RestoreOptions) -> list[Done]:
    """Like `restore_photo`, for several pictures at once: with one frame each, all of one size and depth. Not for steps
    that end when cells settle."""
    if options.steps == "auto":
        raise LncaError("pictures whose steps end where cells settle are restored one by one")
    restorer = restorer_of(options.model, options.device, options.backend, options.precision)
    pairs = [stretched(photo) for photo in photos]
    frames = [given[0] for given, _ in pairs]
    mask = mask_of(frames[0].shape[1], frames[0].shape[0], options.region, options.mask, options.max_pixels)
    noises = [told(options.noise, restorer, frame) for frame in frames]
    arguments = {**noises[0].options, **options.kernel_arguments(restorer)}
    if restorer.takes_noise_level:
        arguments["noise_level"] = np.stack([noise.options["noise_level"] for noise in noises])
    restored = restorer.restore_together(frames, options.steps, options.max_memory, options.strength, mask, **arguments)
    restored = [unstretched(frame, factor) for frame, (_, factor) in zip(restored, pairs, strict=True)]
    steps = _steps(restorer, options.steps)
    how = _how(restorer, steps, options)
    return [
        Done(photo.restored([frame], how), steps, mean_levels([] if noise.mean is None else [noise.mean]))
        for photo, frame, noise in zip(photos, restored, noises, strict=True)
    ]


def _steps(restorer: Restorer, asked: int | None) -> float | None:
    """Number of steps of the cells; None for models without steps."""
    own = restorer.steps
    return None if own is None else float(own if asked is None else asked)


def _how(restorer: Restorer, steps: float | None, options: RestoreOptions) -> str:
    """The text of the tag in a restored picture."""
    how = f"lnca {__version__}: {restorer.info.name}" + ("" if steps is None else f", {steps:g} steps")
    shares = {"strength": options.strength, "luma": options.noise.luma, "chroma": options.noise.chroma}
    if options.kernel is not None:
        how += f", kernel {options.kernel.name}" if isinstance(options.kernel, Path) else ", a kernel that was told"
    return how + "".join(f", {name} {share:g}" for name, share in shares.items() if share != 1)


def check_inside(output: Path, root: Path) -> None:
    """Raises `LncaError` if an existing folder in `root`'s tree is a link that leads out of it."""
    if root.is_dir() and not output.parent.resolve().is_relative_to(root.resolve()):
        raise LncaError(f"{output.parent} is a link that leads out of {root}; choose another output")


def restore_file(job: Job, options: RestoreOptions, progress: Callable[[float], None] | None = None) -> Record:
    """Restores one file, see `restore_photo`; errors are in the record."""

    def read() -> Photo:
        check_inside(job.output, job.root)
        photo = open_photo(job.source, options.max_pixels)
        note_other_kind(photo, job.source.suffix, job.output.suffix)
        return photo

    record = Record(str(job.source), str(job.output), options.model)
    stamp = stamp_of(job.source, options.times)
    return recorded(record, options, read, lambda photo: save_photo(photo, job.output, stamp), progress)


def restore_path(
    source: Path, output: Path | None, options: RestoreOptions, *, overwrite: bool = False, **progress: Any
) -> Record:
    """Restores one file into another, like `lnca restore`.

    Args:
        output: None means the source with "-restored" added to its name; in a folder the output gets the source's name.
        overwrite: replace an existing output.
        progress: see `restore_file`.

    Raises:
        LncaError: the source does not exist, is a folder or cannot be restored; the output exists or cannot be written.
    """
    if source.is_dir():
        raise LncaError(f"{source} is a folder; give one picture, or use the command: lnca restore {source}")
    if not source.exists():
        raise LncaError(f"{source} does not exist")
    record = restore_file(plan([source], output, overwrite).jobs[0], options, **progress)
    if record.error is not None:
        raise LncaError(record.error)
    return record


def note_other_kind(photo: Photo, given: str, written: str) -> None:
    """Notes if a file has another format than its suffix says. Its output has the same suffix, and so another format
    than the source."""
    kind = FORMATS.get(written.lower())
    if given.lower() == written.lower() and kind is not None and photo.kind != kind:
        photo.note(f"{photo.kind} under the name of {kind} became what it is named")


def restore_stream(source: bytes | Path, output: BinaryIO | Path, options: RestoreOptions) -> Record:
    """Restores a picture from or to a stream; errors are in the record.

    Args:
        source: a file, or the content of one.
        output: a file, whose suffix determines the format, or a stream, which gets the format of the source, or PNG if
            that is only read.
    """

    def read() -> Photo:
        if isinstance(source, Path):
            return open_photo(source, options.max_pixels)
        return read_photo(io.BytesIO(source), "the input", options.max_pixels)

    def write(photo: Photo) -> list[str]:
        if isinstance(output, Path):
            return save_photo(photo, output, stamp_of(source if isinstance(source, Path) else None, options.times))
        return _write_stream(photo, output)

    named, written = (str(end) if isinstance(end, Path) else "-" for end in (source, output))
    return recorded(Record(named, written, options.model), options, read, write)


def _write_stream(photo: Photo, output: BinaryIO) -> list[str]:
    """Like `write_photo`, whole or not at all."""
    room = io.BytesIO()
    notes = write_photo(photo, room, photo.kind if photo.kind in FORMATS.values() else "PNG", "the output")
    try:
        output.write(room.getvalue())
        output.flush()
    except OSError as error:
        raise LncaError(f"cannot write the output: {error.strerror or error}") from error
    return notes


def recorded(
    record: Record,
    options: RestoreOptions,
    read: Callable[[], Photo],
    write: Callable[[Photo], list[str]],
    progress: Callable[[float], None] | None = None,
) -> Record:
    """Reads, restores and writes a picture; returns its record, with an error if there is one.

    Args:
        read, write: raise `LncaError`; `write` returns what could not be kept. Any other error goes into the record
            too, so that the other pictures can continue.
    """
    begin = time.perf_counter()
    try:
        photo = read()
        record.height, record.width, record.frames = *photo.frames[0].shape[:2], len(photo.frames)
        done = restore_photo(photo, options, progress)
        record.steps, record.noise_level = done.steps, done.noise_level
        record.notes = photo.notes + write(done.photo)
        write_extra_files(photo, done, options, record.file)
    except LncaError as error:
        record.error = str(error)
    except Exception as error:
        # Processes that share a picture cannot continue with the next one after one of them has failed.
        if started() > 1:
            raise
        record.error = unexpected(record.file, error)
    record.seconds = round(time.perf_counter() - begin, 3)
    return record


def write_extra_files(photo: Photo, done: Done, options: RestoreOptions, file: str) -> None:
    """Writes the further files of a restored picture.

    Args:
        photo: the given picture.
        file: its name; if it is a file, the others get its permissions and times.

    Raises:
        LncaError: the files cannot be written.
    """
    asked, path = options.extra_files, Path(file)
    stamp = stamp_of(path) if path.is_file() else NEW
    if asked.kernel is not None and done.kernel is not None:
        write_kernel(asked.kernel, done.kernel)
    if asked.comparison is not None:
        before, after = (Image.fromarray(of_depth(each.frames[0], np.uint8)) for each in (photo, done.photo))
        save_picture(side_by_side(before, after), asked.comparison, stamp)
    if asked.heat_map is not None and done.settled is not None:
        height, width = photo.frames[0].shape[:2]
        mask = mask_of(width, height, options.region, options.mask, options.max_pixels)
        heat = draw_heat_map(done.settled.steps[0], done.settled.side, mask)
        save_picture(heat, asked.heat_map, stamp)


def unexpected(file: str, error: Exception) -> str:
    """The message for an unexpected error."""
    if isinstance(error, MemoryError):
        return f"{file} cannot be restored in the memory there is; see --max-memory"
    return f"{file} could not be restored ({type(error).__name__}: {in_short(error)}); please report it"


def restore_files(
    jobs: list[Job], options: RestoreOptions, workers: int = 1, progress: Callable[[float], None] | None = None
) -> Iterator[Record]:
    """Yields a record for each finished job, and continues if one fails.

    Args:
        workers: number of processes, which share the CPU. If one dies, the pictures in progress are done again, each
            alone, so that only pictures that crash their worker fail.
        progress: called with the finished share of the current picture, if there are no workers.
    """
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield restore_file(job, options, progress)
        return
    left = deque(jobs)
    while left:
        for job in (yield from _shared(left, options, workers)):
            if (yield from _shared(deque([job]), options, 1)):
                reason = f"{job.source} ended its worker, perhaps for want of memory; see --max-memory"
                yield Record(str(job.source), str(job.output), options.model, error=reason)


def _shared(left: deque[Job], options: RestoreOptions, workers: int) -> Generator[Record, None, list[Job]]:
    """Takes jobs from `left` and yields their records, until all are done or a worker dies; returns the jobs that were
    in progress then."""
    from concurrent.futures import FIRST_COMPLETED, wait
    from concurrent.futures.process import BrokenProcessPool

    from ..workers import QuietWorkers

    under_way: dict[Future[Record], Job] = {}
    with QuietWorkers(min(workers, len(left))) as pool:
        while left or under_way:
            while left and len(under_way) < 2 * workers:
                try:
                    future = pool.submit(_in_worker, left[0], options, workers)
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


def _in_worker(job: Job, options: RestoreOptions, workers: int) -> Record:
    threads.allow(threads.available() // workers)
    manage_freed_memory(limited=options.max_memory is not None)
    return restore_file(job, options)


class Lines(Protocol):
    """A text file to which lines are appended."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> None: ...


def write_manifest(file: Lines, records: Iterable[Record]) -> Iterator[Record]:
    """Yields records, and writes each as a line as soon as it arrives."""
    for record in records:
        file.write(record.line() + "\n")
        file.flush()
        yield record
