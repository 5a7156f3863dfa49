"""`lnca restore`, `corrupt`, `compare` and `demo`."""

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import LncaError
from .options import (
    BackendOption,
    Device,
    Json,
    MaxPixels,
    Overwrite,
    PrecisionOption,
    checked_backend,
    checked_precision,
)

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

PIXEL_LIMIT = 500_000_000


def restore(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A picture, or a folder of pictures.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT", help="File or folder; default: IN-restored.")
    ] = None,
    model: Annotated[str, typer.Option(help="A name that `lnca models` lists, or a weight file.")] = "lnca-denoise",
    steps: Annotated[
        str | None,
        typer.Option(help="Steps of the automaton; default: the model's own; auto leaves out cells that have settled."),
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="With --steps auto: largest change of a settled cell; 0 is exact.")
    ] = None,
    heat_map: Annotated[
        Path | None, typer.Option(help="With --steps auto: a picture of the steps that each cell took.")
    ] = None,
    device: Device = "auto",
    backend: BackendOption = "auto",
    precision: PrecisionOption = "float32",
    max_memory: Annotated[
        str | None, typer.Option(help="Memory to use beside the picture itself, such as 2GB; the result is the same.")
    ] = None,
    show_plan: Annotated[bool, typer.Option("--plan", help="Say how it would be done, and do nothing.")] = False,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = PIXEL_LIMIT,
) -> None:
    """Restore a picture, or every picture in a folder."""
    import lnca

    from ..restoration.batch import plan, restore_files
    from ..restoration.image_io import check_output, draw_heat_map, open_picture, save_picture
    from ..restoration.pictures import Rows

    count = _steps(steps)
    if steps != "auto" and (tolerance is not None or heat_map is not None):
        raise LncaError("--tolerance and --heat-map need --steps auto")
    jobs = plan(source, output, overwrite)
    if heat_map is not None:
        if source.is_dir():
            raise LncaError("--heat-map is for one picture")
        check_output(heat_map, overwrite)
    restorer = lnca.load(model, device, checked_backend(backend), checked_precision(precision))
    if show_plan:
        for job in jobs:
            rows = Rows(open_picture(job.source, max_pixels))
            print(f"{job.source}: {restorer.plan(rows, max_memory, steps == 'auto')}")
        return
    taken: list[np.ndarray] = []

    def restored(picture: "Image.Image") -> "Image.Image":
        if steps != "auto":
            return restorer.restore(picture, count, max_memory)
        settled = restorer.settle(picture, None, tolerance, max_memory)
        taken.append(settled.steps)
        return settled.picture

    with _bar(len(jobs)) as advance:
        failures = restore_files(jobs, restored, max_pixels, advance)
    if taken:
        cells = sum(each.size for each in taken)
        print(f"{sum(each.sum() for each in taken) / cells:.1f} steps a cell", file=sys.stderr)
    if heat_map is not None and taken and restorer.streamer is not None:
        save_picture(draw_heat_map(taken[0][0], restorer.streamer.autoencoder.multiple), heat_map)
    if source.is_file():
        if failures:
            raise failures[0]
        print(jobs[0].output)
        return
    for failure in failures:
        print(f"lnca: {failure}", file=sys.stderr)
    print(f"{len(jobs) - len(failures)} of {len(jobs)} pictures restored to {jobs[0].root}")
    if failures:
        raise typer.Exit(1)


def _steps(text: str | None) -> int | None:
    """The number of steps; None for the model's own and for "auto". Raises `LncaError` for anything else."""
    if text is None or text == "auto":
        return None
    if not text.isdecimal():
        raise LncaError(f"--steps should be a number, 0 or more, or auto, got {text!r}")
    return int(text)


def corrupt(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A picture.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="The corrupted picture.")],
    noise: Annotated[float | None, typer.Option(help="Share of the pixels that get noise, 0 to 1.")] = None,
    blur: Annotated[int | None, typer.Option(help="Length of the motion blur in pixels, 1 or more.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same picture.")] = 0,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = PIXEL_LIMIT,
) -> None:
    """Add the paper's noise or motion blur to a picture."""
    from ..corruption import masked_noise, motion_blur
    from ..randomness import generator
    from ..restoration.image_io import check_output, open_picture, save_picture
    from ..restoration.pictures import like, to_tensor

    if (noise is None) == (blur is None):
        raise LncaError("give either --noise or --blur, such as --noise 0.5 or --blur 7")
    check_output(output, overwrite)
    picture = open_picture(source, max_pixels)
    x, draw = to_tensor(picture), generator("cpu", seed, "corrupt")
    if noise is not None:
        x = masked_noise(x, noise, draw)
    elif blur is not None:
        x = motion_blur(x, blur, draw, "reflect")
    save_picture(like(x, picture), output)
    print(output)


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A picture.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another of the same size.")],
    json: Json = False,
) -> None:
    """Print SSIM and PSNR between two pictures."""
    from .. import metrics
    from ..restoration.image_io import open_rgb
    from ..restoration.pictures import to_tensor

    a, b = (to_tensor(open_rgb(path)) for path in (first, second))
    if a.shape != b.shape:
        sizes = " and ".join(f"{x.shape[-1]}x{x.shape[-2]}" for x in (a, b))
        raise LncaError(f"the pictures have different sizes, {sizes}; compare pictures of one size")
    ssim, psnr = metrics.ssim(a, b).item(), metrics.psnr(a, b).item()
    if json:
        print(json_format.dumps({"ssim": ssim, "psnr": None if psnr == float("inf") else psnr}))
    else:
        print(f"SSIM {ssim:.4f}  PSNR {psnr:.2f} dB")


def demo(
    output: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")] = Path("demo"),
    model: Annotated[str, typer.Option(help="A name that `lnca models` lists, or a weight file.")] = "lnca-denoise",
    seed: Annotated[int, typer.Option(help="Of the corruption.")] = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Corrupt the photograph that comes with lnca, restore it, and show how."""
    from ..demo import run_demo

    with _bar(None, "restoring") as advance:
        result = run_demo(output, model, seed, device, overwrite, advance)
    for name in ("corrupted", "restored"):
        print(f"{name:9}  SSIM {result[name]['ssim']:.4f}  PSNR {result[name]['psnr']:.2f} dB")
    width, height = result["size"]
    print(f"{width}x{height} pixels, {result['steps']} steps, {result['seconds']:.1f} s, {result['device']}")
    for path in result["files"]:
        print(path)


def _bar(total: int | None, description: str = "restoring"):  # type: ignore[no-untyped-def]
    """A progress bar as a context that gives the function which advances it; none for a single file."""
    from contextlib import contextmanager

    from .progress import progress_bar

    @contextmanager
    def bar():  # type: ignore[no-untyped-def]
        with progress_bar() as progress:
            task = progress.add_task(description, total=total, visible=total != 1)
            yield lambda total=None: progress.update(task, advance=1, **({} if total is None else {"total": total}))

    return bar()
