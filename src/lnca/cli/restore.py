"""`lnca restore`."""

import json as json_format
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..catalogue import DEFAULT_MODEL
from ..errors import LncaError
from ..restoration.limits import PIXEL_LIMIT
from .options import (
    BackendOption,
    Device,
    MaxPixels,
    Overwrite,
    PrecisionOption,
    checked_backend,
    checked_precision,
)
from .plain import plain
from .progress import progress_bar

if TYPE_CHECKING:
    from ..restoration.batch import Job, Record, Way
    from ..restoration.restorer import Restorer

STREAM = Path("-")


def restore(
    sources: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Pictures, folders of pictures, patterns; - is stdin.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT", help="File or folder; default: IN-restored.")
    ] = None,
    model: Annotated[str, typer.Option(help="A name that `lnca models` lists, or a weight file.")] = DEFAULT_MODEL,
    steps: Annotated[
        str | None,
        typer.Option(help="Steps of the automaton; default: the model's own; auto leaves out cells that have settled."),
    ] = None,
    strength: Annotated[float, typer.Option(help="Share of what is restored in what comes out, 0 to 1.")] = 1.0,
    region: Annotated[str | None, typer.Option(help="Restore only there: left,top,width,height in pixels.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Restore only where this picture is white.")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="With --steps auto: largest change of a settled cell; 0 is exact.")
    ] = None,
    heat_map: Annotated[
        Path | None, typer.Option(help="With --steps auto: a picture of the steps that each cell took.")
    ] = None,
    compare: Annotated[Path | None, typer.Option(help="Also a picture half before, half after.")] = None,
    frames: Annotated[Path | None, typer.Option(help="Also the steps: a .gif, an .mp4, or a folder.")] = None,
    device: Device = "auto",
    backend: BackendOption = "auto",
    precision: PrecisionOption = "float32",
    max_memory: Annotated[
        str | None, typer.Option(help="Memory to use beside the picture itself, such as 2GB; the result is the same.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes, for many pictures.")] = 1,
    devices: Annotated[
        int,
        typer.Option(min=1, help="Devices that share each picture: GPUs, or else processes. Or start it by torchrun."),
    ] = 1,
    manifest: Annotated[
        Path | None, typer.Option(help="A line of JSON for each picture; default: lnca.jsonl in the output folder.")
    ] = None,
    show_plan: Annotated[bool, typer.Option("--plan", help="Say how it would be done, and do nothing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and do nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each picture.")] = False,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = PIXEL_LIMIT,
) -> None:
    """Restore a picture, or every picture in a folder."""
    from .. import peers
    from ..restoration.batch import Way, plan, restorer_of
    from ..restoration.notation import parse_region

    if steps != "auto" and (tolerance is not None or heat_map is not None):
        raise LncaError("--tolerance and --heat-map need --steps auto")
    asked = Way(
        model, device, checked_backend(backend), checked_precision(precision), _steps(steps), tolerance, max_memory,
        strength, None if region is None else parse_region(region), mask, max_pixels,
    )  # fmt: skip
    if devices > 1 and peers.started() == 1:
        raise typer.Exit(peers.start(devices))
    if devices not in (1, peers.started()):
        raise LncaError(f"this was started as {peers.started()} processes; leave --devices out")
    with _together(asked, workers, frames) as way:
        if way is None:
            return
        if STREAM in (*sources, output):
            beside_it = (heat_map, compare, frames, manifest, json or None, show_plan or None, dry_run or None)
            if sources != [STREAM] or output not in (None, STREAM) or any(other is not None for other in beside_it):
                raise LncaError("- reads one picture from stdin and writes it to stdout, with nothing beside it")
            _stream(way, quiet)
            return
        jobs, done, single, folder = plan(sources, output, overwrite)
        beside = {"--heat-map": heat_map, "--compare": compare, "--frames": frames}
        for option, path in beside.items():
            if path is not None:
                _check_beside(option, path, single, overwrite)
        if dry_run:
            for job in jobs:
                print(f"{job.source} -> {job.output}")
            return
        restorer_of(way.model, way.device, way.backend, way.precision)
        if show_plan:
            _show_plans(jobs, way)
            return
        failed = 0
        for record in _restored(jobs, way, workers, manifest, folder):
            failed += record.error is not None
            if json:
                print(json_format.dumps(asdict(record)))
            if record.error is not None and not single:
                print(f"lnca: {plain(record.error)}", file=sys.stderr)
            if not quiet:
                for note in record.notes:
                    print(plain(f"{record.file}: {note}"), file=sys.stderr)
                if way.steps == "auto" and record.steps is not None:
                    print(plain(f"{record.file}: {record.steps:.1f} steps a cell"), file=sys.stderr)
        if single:
            if record.error is not None:
                raise LncaError(record.error)
            _show(jobs[0], way, heat_map, compare, frames)
            if not quiet and not json:
                print(jobs[0].output)
            return
        if not quiet and not json:
            print(f"{len(jobs) - failed} of {len(jobs)} pictures restored{f' to {folder}' if folder else ''}")
            if done:
                print(f"{done} were there already; --overwrite restores them again")
        if failed:
            raise typer.Exit(1)


@contextmanager
def _together(way: "Way", workers: int, frames: Path | None) -> "Iterator[Way | None]":
    """Meets the processes that were started for this command, if any.

    Yields:
        The way on this process's device in the one that leads; None in the others, which have then worked on its
        pictures until there were no more.
    """
    from .. import peers

    if peers.started() == 1:
        yield way
        return
    from ..restoration.batch import restorer_of
    from ..restoration.restorer import choose_device
    from ..restoration.split import follow, split

    device = choose_device(way.device)
    if device.type == "mps":
        raise LncaError("several processes share a picture on the CPU or on CUDA; add --device cpu")
    if device.type == "cuda":
        way = replace(way, device=f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    with peers.joined(device) as all_of_them:

        def ready() -> "Restorer":
            restorer = restorer_of(way.model, way.device, way.backend, way.precision)
            split(restorer, all_of_them)
            return restorer

        if all_of_them.number:
            # Nothing is to be done where the first process has found something wrong.
            if all_of_them.hear() is not None:
                follow(ready())
            yield None
            return
        try:
            if workers > 1 or frames is not None:
                raise LncaError(f"{'--workers' if workers > 1 else '--frames'} is for one device; leave --devices out")
            ready()
            all_of_them.tell({})
            yield way
        finally:
            with suppress(RuntimeError):
                all_of_them.tell(None)


def _steps(text: str | None) -> "int | Literal['auto'] | None":
    """The number of steps, "auto", or None for the model's own. Raises `LncaError` for anything else."""
    if text is None:
        return None
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise LncaError(f"--steps should be a number, 0 or more, or auto, got {text!r}")
    return int(text)


def _stream(way: "Way", quiet: bool) -> None:
    from ..restoration.batch import restore_stream

    record = restore_stream(sys.stdin.buffer.read(), sys.stdout.buffer, way)
    sys.stdout.buffer.flush()
    if record.error is not None:
        raise LncaError(record.error)
    for note in [] if quiet else record.notes:
        print(note, file=sys.stderr)


def _check_beside(option: str, path: Path, single: bool, overwrite: bool) -> None:
    from ..restoration.image_io import check_output
    from ..restoration.showing import FILMS

    if not single:
        raise LncaError(f"{option} is for one picture")
    if option != "--frames":
        check_output(path, overwrite)
    elif path.suffix.lower() not in ("", *FILMS):
        raise LncaError(f"{path} should end in {' or '.join(FILMS)}, or be a folder")
    elif path.exists() and not overwrite:
        raise LncaError(f"{path} exists; add --overwrite to replace it")


def _show_plans(jobs: "list[Job]", way: "Way") -> None:
    from ..restoration.batch import restorer_of
    from ..restoration.photo_read import open_photo
    from ..restoration.pictures import Rows

    restorer = restorer_of(way.model, way.device, way.backend, way.precision)
    for job in jobs:
        rows = Rows(open_photo(job.source, way.max_pixels).frames[0])
        print(f"{job.source}: {restorer.plan(rows, way.max_memory, way.steps == 'auto')}")


@contextmanager
def _written(manifest: Path | None, folder: Path | None) -> "Iterator[list]":
    """Where lines of the manifest go, if anywhere."""
    from ..restoration.batch import MANIFEST

    path = manifest or (None if folder is None else folder / MANIFEST)
    if path is None:
        yield []
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            yield [file]
    except OSError as error:
        raise LncaError(f"cannot write {path}: {error.strerror or error}") from error


def _restored(
    jobs: "list[Job]", way: "Way", workers: int, manifest: Path | None, folder: Path | None
) -> "Iterator[Record]":
    """The records, with a bar of pictures, megapixels a second and time left, and the manifest."""
    from ..restoration.batch import restore_files, write_manifest

    with ExitStack() as stack:
        files = stack.enter_context(_written(manifest, folder if jobs else None))
        records = restore_files(jobs, way, workers)
        progress = stack.enter_context(progress_bar("{task.fields[megapixels]:.2f} MP/s"))
        bar = progress.add_task("restoring", total=len(jobs), visible=len(jobs) > 1, megapixels=0.0)
        pixels = 0.0
        for record in write_manifest(files[0], records) if files else records:
            pixels += record.megapixels
            elapsed = progress.tasks[bar].elapsed or 1e-9
            progress.update(bar, advance=1, megapixels=pixels / elapsed)
            yield record


def _show(job: "Job", way: "Way", heat_map: Path | None, compare: Path | None, frames: Path | None) -> None:
    """What was asked for beside the restored picture, of its first frame."""
    if heat_map is None and compare is None and frames is None:
        return
    import numpy as np
    from PIL import Image

    from ..restoration.batch import restorer_of
    from ..restoration.image_io import save_picture
    from ..restoration.mask import mask_of
    from ..restoration.photo_read import open_photo
    from ..restoration.photo_write import of_depth
    from ..restoration.showing import draw_heat_map, save_film, side_by_side

    restorer = restorer_of(way.model, way.device, way.backend, way.precision)
    before = of_depth(open_photo(job.source, way.max_pixels).frames[0], np.uint8)
    mask = mask_of(before.shape[1], before.shape[0], way.region, way.mask, way.max_pixels)
    if compare is not None:
        after = of_depth(open_photo(job.output, way.max_pixels).frames[0], np.uint8)
        save_picture(side_by_side(Image.fromarray(before), Image.fromarray(after)), compare)
    if heat_map is not None and restorer.streamer is not None:
        taken = restorer.settle(before, None, way.tolerance, way.max_memory).steps[0]
        save_picture(draw_heat_map(taken, restorer.streamer.autoencoder.multiple, mask), heat_map)
    if frames is not None:
        steps = way.steps if isinstance(way.steps, int) else None
        film = restorer.iterate(before, steps, way.strength, mask)
        save_film((Image.fromarray(frame) for frame in film), frames)
