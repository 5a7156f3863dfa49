"""`lnca corrupt`, `compare` and `demo`."""

import json as json_format
from pathlib import Path
from typing import Annotated

from ..catalogue import DEFAULT_MODEL
from ..errors import LncaError
from ..files import stamp_of
from ..images.limits import PIXEL_LIMIT
from .declare import Argument, Option
from .options import Device, Json, MaxPixels, Overwrite


def corrupt(
    source: Annotated[Path, Argument(metavar="IN", help="A picture.")],
    output: Annotated[Path, Option("-o", "--output", metavar="OUT", help="The corrupted picture.")],
    noise: Annotated[float | None, Option(help="Share of the pixels that get noise, 0 to 1.")] = None,
    blur: Annotated[int | None, Option(help="Length of the motion blur in pixels, 1 or more.")] = None,
    seed: Annotated[int, Option(help="The same seed gives the same picture.")] = 0,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = PIXEL_LIMIT,
) -> None:
    """Add the paper's noise or motion blur to a picture."""
    from ..corruption import masked_noise, motion_blur
    from ..images.eight_bit import check_output, open_picture, save_picture
    from ..randomness import numpy_generator
    from ..restoration.pictures import like_array, to_array

    if (noise is None) == (blur is None):
        raise LncaError("give either --noise or --blur, such as --noise 0.5 or --blur 7")
    check_output(output, overwrite)
    picture = open_picture(source, max_pixels)
    x, draw = to_array(picture), numpy_generator(seed, "corrupt")
    if noise is not None:
        x = masked_noise(x, noise, draw)
    elif blur is not None:
        x = motion_blur(x, blur, draw, "reflect")
    save_picture(like_array(x, picture), output, stamp_of(source))
    print(output)


def compare(
    first: Annotated[Path, Argument(metavar="A", help="A picture.")],
    second: Annotated[Path, Argument(metavar="B", help="Another picture of the same size.")],
    json: Json = False,
) -> None:
    """Print SSIM and PSNR between two pictures."""
    from .. import metrics
    from ..images.eight_bit import open_rgb
    from ..restoration.pictures import to_array

    a, b = (to_array(open_rgb(path)) for path in (first, second))
    if a.shape != b.shape:
        sizes = " and ".join(f"{x.shape[1]}x{x.shape[0]}" for x in (a, b))
        raise LncaError(f"the pictures have different sizes, {sizes}; compare pictures of one size")
    ssim, psnr = metrics.ssim_of(a, b), metrics.psnr_of(a, b)
    if json:
        print(json_format.dumps({"ssim": ssim, "psnr": None if psnr == float("inf") else psnr}))
    else:
        print(f"SSIM {ssim:.4f}  PSNR {psnr:.2f} dB")


def demo(
    output: Annotated[Path, Option("--out", help="Folder for the pictures.")] = Path("demo"),
    model: Annotated[
        str, Option("-m", "--model", help="A name that `lnca models` lists, or a weight file.")
    ] = DEFAULT_MODEL,
    seed: Annotated[int, Option(help="Seed of the corruption.")] = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Corrupt the photograph that comes with lnca, restore it, and compare."""
    from ..demo import run_demo
    from .progress import Bar

    with Bar("restoring") as bar:
        result = run_demo(output, model, seed, device, overwrite, lambda steps: bar.advance(1, steps))
    for name in ("corrupted", "restored"):
        print(f"{name:9}  SSIM {result[name]['ssim']:.4f}  PSNR {result[name]['psnr']:.2f} dB")
    width, height = result["size"]
    print(f"{width}x{height} pixels, {result['steps']} steps, {result['seconds']:.1f} s, {result['device']}")
    for path in result["files"]:
        print(path)
