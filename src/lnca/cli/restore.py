"""`lnca restore`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..catalogue import DEFAULT_MODEL
from ..errors import LncaError
from ..restoration.limits import PIXEL_LIMIT
from .bulk import restore_in_bulk
from .options import (
    BackendOption,
    Device,
    MaxPixels,
    Overwrite,
    PrecisionOption,
    checked_backend,
    checked_engine,
    checked_precision,
)
from .plain import plain
from .records import Talk, followed, lines_of

if TYPE_CHECKING:
    from ..restoration.batch import Job, Way
    from ..restoration.restorer import Restorer

STREAM = "-"


def restore(
    sources: Annotated[
        list[str], typer.Argument(metavar="IN...", help="Pictures, folders of pictures, patterns; - is stdin.")
    ],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="OUT", help="File or folder, - is stdout; default: IN-restored."),
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
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes, for many pictures; default: 1, with --engine ray all there are."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="local, or ray: a cluster, and addresses such as s3://bucket/in.")
    ] = "local",
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster, or auto; default: this machine alone.")] = None,
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
    from ..memory import keep_freed_memory
    from ..restoration.batch import Way, plan, restore_files, restorer_of
    from ..restoration.notation import parse_region

    if steps != "auto" and (tolerance is not None or heat_map is not None):
        raise LncaError("--tolerance and --heat-map need --steps auto")
    asked = Way(
        model, device, checked_backend(backend), checked_precision(precision), _steps(steps), tolerance, max_memory,
        strength, None if region is None else parse_region(region), mask, max_pixels,
    )  # fmt: skip
    talk = Talk(quiet, json, steps == "auto")
    if max_memory is None:
        keep_freed_memory()
    beside = {"--heat-map": heat_map, "--compare": compare, "--frames": frames}
    if checked_engine(engine) == "ray":
        others = {**beside, "-": STREAM if STREAM in (*sources, output) else None, "--plan": show_plan or None,
                  "--devices": None if devices == peers.started() == 1 else devices}  # fmt: skip
        for option, value in others.items():
            if value is not None:
                raise LncaError(f"{option} is for --engine local")
        restore_in_bulk(sources, output, asked, overwrite=overwrite, dry_run=dry_run, manifest=manifest,
                        address=address, workers=workers, talk=talk)  # fmt: skip
        return
    for text in (*sources, output or ""):
        if "://" in text:
            raise LncaError(f"{text} is an address, which needs --engine ray")
    if address is not None:
        raise LncaError("--address is of a Ray cluster; add --engine ray")
    if devices > 1 and peers.started() == 1:
        raise typer.Exit(peers.start(devices))
    if devices not in (1, peers.started()):
        raise LncaError(f"this was started as {peers.started()} processes; leave --devices out")
    with _together(asked, workers or 1, frames) as way:
        if way is None:
            return
        if STREAM in (*sources, output):
            if len(sources) > 1 or any((*beside.values(), manifest, json, show_plan, dry_run)):
                raise LncaError("- is one picture, from stdin or to stdout, with nothing beside it")
            _stream(sources[0], STREAM if output is None else output, way, quiet=quiet, overwrite=overwrite)
            return
        target = None if output is None else Path(output)
        jobs, done, single, folder = plan([Path(source) for source in sources], target, overwrite)
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
        failed = []
        with lines_of(manifest, folder if jobs else None) as lines:
            for record in followed(restore_files(jobs, way, workers or 1), len(jobs), lines, not quiet):
                if record.error is not None:
                    failed.append(record)
                talk.of(record, errors=not single)
        if single:
            if record.error is not None:
                raise LncaError(record.error)
            _show(jobs[0], way, heat_map, compare, frames)
            if not quiet and not json:
                print(jobs[0].output)
            return
        talk.of_all(failed, len(jobs), done, folder)


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


def _stream(source: str, output: str, way: "Way", *, quiet: bool, overwrite: bool) -> None:
    """Restores a picture of which the source, the output or both are a stream."""
    from ..restoration.batch import restore_stream
    from ..restoration.image_io import check_output
    from ..restoration.photo_write import FORMATS

    if output != STREAM:
        check_output(Path(output), overwrite, tuple(FORMATS))
    elif Path(source).is_dir():
        raise LncaError(f"{source} is a folder, and {STREAM} is one picture; give a folder with -o")
    given = sys.stdin.buffer.read() if source == STREAM else Path(source)
    record = restore_stream(given, sys.stdout.buffer if output == STREAM else Path(output), way)
    if record.error is not None:
        raise LncaError(record.error)
    if not quiet:
        for note in record.notes:
            print(plain(note), file=sys.stderr)
        if output != STREAM:
            print(output)


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
