"""The demonstration: a photograph that comes with lnca is corrupted, restored and compared."""

import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from . import metrics
from .corruption import PAPER_DIFFICULTY, masked_noise, motion_blur
from .degradation import camera_noise, moved
from .errors import LncaError
from .images.eight_bit import check_output, open_rgb, save_picture
from .randomness import generator
from .restoration.pictures import to_image, to_tensor
from .restoration.restorer import Restorer
from .restoration.showing import save_film

PHOTOGRAPH = "lake.jpg"
CLOSE_UP = 224
# Variance of the shot noise of a camera at night, and pixels that a hand shook.
NIGHT, SHAKEN = 0.008, 11


def photograph() -> Image.Image:
    """The clean RGB photograph, 500x500 (CC0)."""
    with resources.as_file(resources.files("lnca") / "assets" / PHOTOGRAPH) as path:
        return open_rgb(path)


def corruption(task: str) -> Callable[[Tensor, torch.Generator], Tensor]:
    """What the photograph suffers from, to show what a model of that task does."""
    return {
        "denoise": lambda x, draw: masked_noise(x, PAPER_DIFFICULTY["denoise"], draw),
        "deblur": lambda x, draw: motion_blur(x, int(PAPER_DIFFICULTY["deblur"]), draw, "reflect"),
        "photo-denoise": lambda x, draw: camera_noise(x, draw, (NIGHT, NIGHT)),
        "photo-deblur": lambda x, draw: moved(x, draw, SHAKEN),
    }[task]


def run_demo(
    folder: Path,
    model: str,
    seed: int,
    device: str,
    overwrite: bool,
    advance: Callable[[int], object] = lambda total: None,
) -> dict[str, Any]:
    """Writes clean.png, corrupted.png, restored.png, comparison.jpg (corrupted, restored, clean) and steps.gif, a
    close-up after every step, to `folder`.

    Args:
        advance: called with the number of steps, after every step.

    Returns:
        SSIM and PSNR of the corrupted and the restored picture, seconds, steps, device and the files.

    Raises:
        LncaError: an output exists (unless `overwrite`), or the model or device cannot be used.
    """
    names = ("clean.png", "corrupted.png", "restored.png", "comparison.jpg", "steps.gif")
    files = {name: folder / name for name in names}
    for name in names[:-1]:
        check_output(files[name], overwrite)
    if files["steps.gif"].exists() and not overwrite:
        raise LncaError(f"{files['steps.gif']} exists; add --overwrite to replace it")
    restorer = Restorer(model, device)
    task = restorer.info.card["task"]
    clean = to_tensor(photograph())
    draw = generator("cpu", seed, "demo")
    corrupted = to_tensor(to_image(corruption(task)(clean, draw)[0]))
    begin = time.perf_counter()
    restored = restorer.restore(corrupted)
    seconds = time.perf_counter() - begin

    steps = restorer.stepped.steps
    top = (clean.shape[-2] - CLOSE_UP) // 2
    left = (clean.shape[-1] - CLOSE_UP) // 2
    close_up = corrupted[..., top : top + CLOSE_UP, left : left + CLOSE_UP]
    frames = [to_image(close_up[0])]
    for frame in restorer.iterate(close_up):
        frames.append(to_image(frame[0]))
        advance(steps + 1)

    for name, picture in zip(names[:3], (clean, corrupted, restored), strict=True):
        save_picture(to_image(picture[0]), files[name])
    save_picture(to_image(torch.cat([corrupted, restored, clean], -1)[0]), files["comparison.jpg"])
    save_film(frames, files["steps.gif"])
    scores = {
        name: {"ssim": metrics.ssim(x, clean).item(), "psnr": metrics.psnr(x, clean).item()}
        for name, x in (("corrupted", corrupted), ("restored", restored))
    }
    return {
        **scores, "seconds": seconds, "steps": steps, "size": photograph().size, "device": str(restorer.device),
        "files": list(files.values()),
    }  # fmt: skip
