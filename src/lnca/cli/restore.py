"""`lnca restore`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from click.exceptions import Exit

from ..catalogue import DEFAULT_MODEL
from ..errors import LncaError
from ..files import stamp_of
from ..images.limits import PIXEL_LIMIT
from .bulk import restore_in_bulk
from .declare import Argument, Option
from .declare import command as declared
from .groups import AMOUNT, MACHINE, OUTPUT, PLACE, USUAL, WHAT, Grouped
from .importing import importing
from .options import checked_backend, checked_engine, checked_precision
from .plain import plain
from .records import Talk, Work, followed, lines_of

if TYPE_CHECKING:
    from ..restoration.batch import RestoreOptions
    from ..restoration.jobs import Job
    from ..restoration.restorer import Restorer

STREAM = "-"


EXAMPLES = """
lnca restore photo.jpg                              writes photo-restored.jpg
lnca restore holiday/ 'scans/*.tif' -o restored/    many pictures, in the same tree
lnca restore night.jpg --noise-level 30             if the estimate is too low
lnca restore photo.jpg --strength 0.7 --compare both.jpg
lnca restore shaken.jpg -m photo-deblur --kernel-out blur.png
"""


def restore(
    sources: Annotated[
        list[str], Argument(metavar="IN...", help="Pictures, folders, patterns, or a film; - is stdin.")
    ],
    output: Annotated[
        str | None,
        Option(
            "-o",
            "--output",
            metavar="OUT",
            help="File or folder; - is stdout; default: IN-restored.",
            heading=USUAL,
        ),
    ] = None,
    model: Annotated[
        str,
        Option(
            "-m",
            "--model",
            help="A name that `lnca models` lists, or a weight file.",
            heading=USUAL,
        ),
    ] = DEFAULT_MODEL,
    strength: Annotated[
        float,
        Option(help="Share of the restored picture in the output, 0 to 1.", heading=USUAL),
    ] = 1.0,
    noise_level: Annotated[
        str,
        Option(
            help="Standard deviation of the noise (sigma), 0 to 255; auto: the model's estimate.",
            heading=USUAL,
        ),
    ] = "auto",
    compare: Annotated[
        Path | None,
        Option(help="Also write a picture: left half before, right half after.", heading=USUAL),
    ] = None,
    kernel: Annotated[
        Path | None,
        Option(help="photo-deblur: a picture or .npy file of the blur kernel; default: estimate it.", heading=WHAT),
    ] = None,
    kernel_out: Annotated[
        Path | None,
        Option(help="photo-deblur: also write the estimated blur kernel: a .png, .tif or .npy.", heading=WHAT),
    ] = None,
    steps: Annotated[
        str | None,
        Option(
            help="Steps of the automaton; auto skips settled cells; default: the model's own number.",
            heading=AMOUNT,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        Option(help="With --steps auto: largest change of a settled cell; 0 is exact.", heading=AMOUNT),
    ] = None,
    noise_scale: Annotated[
        float, Option(help="Multiplies the noise level: above 1 restores more.", heading=AMOUNT)
    ] = 1.0,
    luma: Annotated[float, Option(help="Share of the correction in brightness, 0 to 1.", heading=AMOUNT)] = 1.0,
    chroma: Annotated[float, Option(help="Share of the correction in colour, 0 to 1.", heading=AMOUNT)] = 1.0,
    region: Annotated[
        str | None,
        Option(help="Restore only this rectangle: left,top,width,height in pixels.", heading=PLACE),
    ] = None,
    mask: Annotated[Path | None, Option(help="Restore only where this picture is white.", heading=PLACE)] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace outputs that exist.", heading=OUTPUT)] = False,
    times: Annotated[bool, Option("--times", help="Give outputs the times of their sources.", heading=OUTPUT)] = False,
    frames: Annotated[
        Path | None,
        Option(help="Also write the picture after each step: a .gif, an .mp4, or a folder.", heading=OUTPUT),
    ] = None,
    heat_map: Annotated[
        Path | None,
        Option(help="With --steps auto: also draw how many steps each cell took.", heading=OUTPUT),
    ] = None,
    manifest: Annotated[
        Path | None,
        Option(
            help="File for one line of JSON per picture; default: lnca.jsonl in the output folder.",
            heading=OUTPUT,
        ),
    ] = None,
    json: Annotated[bool, Option("--json", help="Print one line of JSON per picture.", heading=OUTPUT)] = False,
    quiet: Annotated[bool, Option("--quiet", help="Print only errors.", heading=OUTPUT)] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Print what would be written, and do nothing.", heading=OUTPUT)
    ] = False,
    show_plan: Annotated[
        bool,
        Option(
            "--plan",
            help="Print how pictures would be split to fit into memory, and do nothing.",
            heading=OUTPUT,
        ),
    ] = False,
    device: Annotated[str, Option(help="auto, cpu, cuda or mps.", heading=MACHINE)] = "auto",
    backend: Annotated[
        str,
        Option(help="auto, plain, compiled or fused; plain is the reference.", heading=MACHINE),
    ] = "auto",
    precision: Annotated[
        str, Option(help="float32, or bfloat16 for fused and compiled steps.", heading=MACHINE)
    ] = "float32",
    max_memory: Annotated[
        str | None,
        Option(
            help="Memory limit beside the picture itself, such as 2GB; the result is the same.",
            heading=MACHINE,
        ),
    ] = None,
    max_pixels: Annotated[
        int, Option(min=1, help="Refuse pictures with more pixels than this.", heading=MACHINE)
    ] = PIXEL_LIMIT,
    workers: Annotated[
        int | None,
        Option(
            min=1,
            help="Processes, for many pictures; default: 1, with --engine ray all there are.",
            heading=MACHINE,
        ),
    ] = None,
    devices: Annotated[
        int,
        Option(
            min=1,
            help="GPUs, or else processes, that share each picture. Or start lnca with torchrun.",
            heading=MACHINE,
        ),
    ] = 1,
    engine: Annotated[
        str,
        Option(help="local, or ray: for a cluster, and for addresses such as s3://bucket/in.", heading=MACHINE),
    ] = "local",
    address: Annotated[
        str | None,
        Option(help="Address of a Ray cluster, or auto; default: only this machine.", heading=MACHINE),
    ] = None,
) -> None:
    """Restore a picture, or every picture in a folder."""
    with importing():
        from .. import peers
        from ..memory import manage_freed_memory
        from ..restoration.batch import ExtraFiles, Record, RestoreOptions, restore_files, restorer_of
        from ..restoration.jobs import is_film, plan
        from ..restoration.notation import Noise, parse_noise_level, parse_region

    if steps != "auto" and (tolerance is not None or heat_map is not None):
        raise LncaError("--tolerance and --heat-map need --steps auto")
    noise = Noise(level=parse_noise_level(noise_level), scale=noise_scale, luma=luma, chroma=chroma)
    asked = RestoreOptions(
        model,
        device=device,
        backend=checked_backend(backend),
        precision=checked_precision(precision),
        steps=_steps(steps),
        tolerance=tolerance,
        max_memory=max_memory,
        strength=strength,
        noise=noise,
        region=None if region is None else parse_region(region),
        mask=mask,
        max_pixels=max_pixels,
        times=times,
        kernel=kernel,
        extra_files=ExtraFiles(kernel=kernel_out, heat_map=heat_map, comparison=compare),
    )
    talk = Talk(quiet, json, steps == "auto")
    manage_freed_memory(limited=max_memory is not None)
    beside = {"--heat-map": heat_map, "--compare": compare, "--frames": frames, "--kernel-out": kernel_out}
    if kernel is not None and kernel_out is not None:
        raise LncaError("--kernel-out writes an estimated kernel; leave --kernel out")
    if checked_engine(engine) == "ray":
        others = {
            **beside,
            "-": STREAM if STREAM in (*sources, output) else None,
            "--plan": show_plan or None,
            "--devices": None if devices == peers.started() == 1 else devices,
        }
        for option, value in others.items():
            if value is not None:
                raise LncaError(f"{option} is for --engine local")
        restore_in_bulk(
            sources,
            output,
            asked,
            overwrite=overwrite,
            dry_run=dry_run,
            manifest=manifest,
            address=address,
            workers=workers,
            talk=talk,
        )
        return
    for text in (*sources, output or ""):
        if "://" in text:
            raise LncaError(f"{text} is an address, which needs --engine ray")
    if address is not None:
        raise LncaError("--address is of a Ray cluster; add --engine ray")
    if devices > 1 and peers.started() == 1:
        raise Exit(peers.start(devices))
    if devices not in (1, peers.started()):
        raise LncaError(f"this was started as {peers.started()} processes; leave --devices out")
    with _together(asked, workers or 1, frames) as options:
        if options is None:
            return
        if len(sources) == 1 and is_film(Path(sources[0])):
            _film(
                Path(sources[0]),
                output,
                options,
                talk,
                overwrite=overwrite,
                dry_run=dry_run,
                others={
                    **beside,
                    "--manifest": manifest,
                    "--plan": show_plan or None,
                },
            )
            return
        if STREAM in (*sources, output):
            if len(sources) > 1 or any((*beside.values(), manifest, json, show_plan, dry_run)):
                raise LncaError(
                    "- is one picture from stdin or to stdout; leave out other sources and options that write more"
                )
            _stream(sources[0], STREAM if output is None else output, options, quiet=quiet, overwrite=overwrite)
            return
        # A plan writes nothing, so outputs may exist.
        jobs, done, single, folder, no_pictures = plan(list(map(Path, sources)), output, overwrite or show_plan)
        for option, beside_it in beside.items():
            if beside_it is not None:
                _check_beside(option, beside_it, single, overwrite or show_plan)
        left = [Record.of_left_out(each, options.model) for each in no_pictures]
        talk.of_left_out(left)
        work = Work(
            jobs=jobs,
            written_first=left,
            restored=lambda progress: restore_files(jobs, options, workers or 1, progress),
        )
        if dry_run:
            work.show()
            return
        options.kernel_arguments(restorer_of(options.model, options.device, options.backend, options.precision))
        if show_plan:
            _show_plans(jobs, options)
            return
        record, failed = None, sum(record.error is not None for record in left)
        total = len(jobs) + failed
        for record in work.carry_out(lines_of(manifest, folder if jobs else None), talk, errors=not single):
            failed += record.error is not None
        if single:
            assert record is not None
            if record.error is not None:
                raise LncaError(record.error)
            _show_steps(jobs[0], options, frames)
            if not quiet and not json:
                print(jobs[0].output)
            return
        talk.of_all(failed, total, done, folder)


@contextmanager
def _together(options: "RestoreOptions", workers: int, frames: Path | None) -> "Iterator[RestoreOptions | None]":
    """Joins the other processes that were started for this command, if any.

    Yields:
        In the first process the options, with this process's device. In the others None, after they have helped with
        all pictures of the first process.
    """
    from .. import peers

    if peers.started() == 1:
        yield options
        return
    from ..restoration.batch import restorer_of
    from ..restoration.devices import device_named
    from ..restoration.split import follow, split

    device = device_named(options.device)
    if device == "mps":
        raise LncaError("several processes share a picture on the CPU or on CUDA; add --device cpu")
    if device.startswith("cuda"):
        options = replace(options, device=f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    with peers.joined() as all_of_them:

        def ready() -> "Restorer":
            restorer = restorer_of(options.model, options.device, options.backend, options.precision)
            split(restorer, all_of_them)
            return restorer

        if all_of_them.number:
            # If the first process has found an error, there is nothing to do.
            if all_of_them.hear() is not None:
                follow(ready())
            yield None
            return
        try:
            if workers > 1 or frames is not None:
                raise LncaError(f"{'--workers' if workers > 1 else '--frames'} is for one device; leave --devices out")
            ready()
            all_of_them.tell({})
            yield options
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


def _film(
    source: Path,
    output: str | None,
    options: "RestoreOptions",
    talk: Talk,
    *,
    overwrite: bool,
    dry_run: bool,
    others: dict[str, Any],
) -> None:
    """Restores a film."""
    from ..files import kind_of
    from ..restoration.film import film_output, restore_film

    for option, value in others.items():
        if value is not None:
            raise LncaError(f"{option} is for pictures, not for films; leave it out")
    if not source.exists():
        raise LncaError(f"{source} does not exist")
    if not source.is_file():
        raise LncaError(f"{source} is {kind_of(source)}, not a film")
    there = film_output(source, None if output is None else Path(output), overwrite)
    if dry_run:
        print(plain(f"{source} -> {there}"))
        return
    records = followed(lambda progress: iter([restore_film(source, there, options, progress)]), 1, None, not talk.quiet)
    for record in records:
        talk.of(record, errors=False)
        if record.error is not None:
            raise LncaError(record.error)
    if not talk.quiet and not talk.json:
        print(there)


def _stream(source: str, output: str, options: "RestoreOptions", *, quiet: bool, overwrite: bool) -> None:
    """Restores a picture from stdin, to stdout, or both."""
    from ..images.eight_bit import check_output
    from ..images.formats import FORMATS
    from ..restoration.batch import restore_stream

    if output != STREAM:
        check_output(Path(output), overwrite, tuple(FORMATS))
    elif Path(source).is_dir():
        raise LncaError(f"{source} is a folder, and {STREAM} is one picture; give a folder with -o")
    given = sys.stdin.buffer.read() if source == STREAM else Path(source)
    record = restore_stream(given, sys.stdout.buffer if output == STREAM else Path(output), options)
    if record.error is not None:
        raise LncaError(record.error)
    if not quiet:
        for note in record.notes:
            print(plain(note), file=sys.stderr)
        if output != STREAM:
            print(output)


def _check_beside(option: str, path: Path, single: bool, overwrite: bool) -> None:
    from ..images.eight_bit import check_output
    from ..restoration.kernel import KERNEL_SUFFIXES
    from ..restoration.showing import FILMS

    if not single:
        raise LncaError(f"{option} is for one picture")
    if option == "--kernel-out":
        check_output(path, overwrite, KERNEL_SUFFIXES)
    elif option != "--frames":
        check_output(path, overwrite)
    elif path.suffix.lower() not in ("", *FILMS):
        raise LncaError(f"{path} should end in {' or '.join(FILMS)}, or be a folder")
    elif path.exists() and not overwrite:
        raise LncaError(f"{path} exists; add --overwrite to replace it")


def _show_plans(jobs: "list[Job]", options: "RestoreOptions") -> None:
    from ..images.reading import open_photo
    from ..restoration.batch import restorer_of
    from ..restoration.pictures import Rows

    restorer, failed = restorer_of(options.model, options.device, options.backend, options.precision), 0
    for job in jobs:
        try:
            rows = Rows(open_photo(job.source, options.max_pixels).frames[0])
            print(plain(f"{job.source}: {restorer.plan(rows, options.max_memory, options.steps == 'auto')}"))
        except LncaError as error:
            if len(jobs) == 1:
                raise
            failed += 1
            print(f"lnca: {plain(str(error))}", file=sys.stderr)
    if failed:
        raise Exit(1)


def _show_steps(job: "Job", options: "RestoreOptions", frames: Path | None) -> None:
    """Writes a film of the first frame after each step, if --frames asks for one."""
    if frames is None:
        return
    import numpy as np
    from PIL import Image

    from ..images.photo import of_depth
    from ..images.reading import open_photo
    from ..restoration.batch import restorer_of
    from ..restoration.mask import mask_of
    from ..restoration.noise import told
    from ..restoration.showing import save_film

    restorer = restorer_of(options.model, options.device, options.backend, options.precision)
    before = of_depth(open_photo(job.source, options.max_pixels).frames[0], np.uint8)
    mask = mask_of(before.shape[1], before.shape[0], options.region, options.mask, options.max_pixels)
    steps = options.steps if isinstance(options.steps, int) else None
    arguments = told(options.noise, restorer, before).options | options.kernel_arguments(restorer)
    film = restorer.iterate(before, steps, options.strength, mask, **arguments)
    save_film((Image.fromarray(frame) for frame in film), frames, stamp_of(job.source))


command = declared(restore, kind=Grouped, epilog=EXAMPLES)
