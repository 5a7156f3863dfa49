"""The demonstration: a photograph that comes with lnca is corrupted, restored and compared; a noisy one is restored."""

import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from . import metrics
from .corruption import PAPER_DIFFICULTY, masked_noise, motion_blur
from .demo_noise import night_noise
from .errors import LncaError
from .images.eight_bit import check_output, open_rgb, save_picture
from .randomness import numpy_generator
from .restoration.pictures import to_array
from .restoration.restorer import Restorer
from .restoration.showing import save_film

PHOTOGRAPH, NOISY_PHOTOGRAPH = "lake.jpg", "lizard.jpg"
CLOSE_UP = 224
# Variance of the shot noise of a camera at night, and length of the camera shake in pixels.
NIGHT, SHAKEN = 0.008, 11


def photograph(name: str = PHOTOGRAPH) -> Image.Image:
    """An RGB photograph that comes with lnca: a clean one, 500x500 (CC0), or `NOISY_PHOTOGRAPH`, 448x352 (by Laika ac,
    CC BY-SA 2.0)."""
    with resources.as_file(resources.files("lnca") / "assets" / name) as path:
        return open_rgb(path)


def corruption(task: str) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """The function that corrupts the photograph, (H, W, 3) float32 in [0, 1], to demonstrate models of a task."""
    return {
        "denoise": lambda x, draw: masked_noise(x, PAPER_DIFFICULTY["denoise"], draw),
        "deblur": lambda x, draw: motion_blur(x, int(PAPER_DIFFICULTY["deblur"]), draw, "reflect"),
        "photo-denoise": lambda x, draw: night_noise(x, NIGHT, draw),
        "photo-deblur": lambda x, draw: motion_blur(x, SHAKEN, draw, "reflect"),
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
    close-up after every step, to `folder`; for models that restore noisy photographs also real.jpg, a noisy photograph
    as the camera made it, and restored.

    Args:
        advance: called with the number of steps, after every step.

    Returns:
        SSIM and PSNR of the corrupted and the restored picture, seconds, steps, device and the files.

    Raises:
        LncaError: an output exists (unless `overwrite`), or the model or device cannot be used.
    """
    restorer = Restorer(model, device)
    task = restorer.info.card["task"]
    pictures = ["clean.png", "corrupted.png", "restored.png", "comparison.jpg"]
    if task == "photo-denoise":
        pictures.append("real.jpg")
    files = {name: folder / name for name in (*pictures, "steps.gif")}
    for name in pictures:
        check_output(files[name], overwrite)
    if files["steps.gif"].exists() and not overwrite:
        raise LncaError(f"{files['steps.gif']} exists; add --overwrite to replace it")
    clean = to_array(photograph())
    corrupted = to_array(_image(corruption(task)(clean, numpy_generator(seed, "demo"))))
    begin = time.perf_counter()
    restored = restorer.restore(corrupted)
    seconds = time.perf_counter() - begin

    # `iterate` raises an error for a model without steps.
    steps = restorer.steps or 0
    top, left = ((side - CLOSE_UP) // 2 for side in clean.shape[:2])
    close_up = corrupted[top : top + CLOSE_UP, left : left + CLOSE_UP]
    frames = [_image(close_up)]
    for frame in restorer.iterate(close_up):
        frames.append(_image(frame))
        advance(steps + 1)

    for name, picture in zip(pictures[:3], (clean, corrupted, restored), strict=True):
        save_picture(_image(picture), files[name])
    save_picture(_image(np.concatenate([corrupted, restored, clean], 1)), files["comparison.jpg"])
    if "real.jpg" in files:
        noisy = to_array(photograph(NOISY_PHOTOGRAPH))
        save_picture(_image(np.concatenate([noisy, restorer.restore(noisy)], 1)), files["real.jpg"])
    save_film(frames, files["steps.gif"])
    scores = {
        name: {"ssim": metrics.ssim_of(x, clean), "psnr": metrics.psnr_of(x, clean)}
        for name, x in (("corrupted", corrupted), ("restored", restored))
    }
    return {
        **scores,
        "seconds": seconds,
        "steps": steps,
        "size": photograph().size,
        "device": str(restorer.device),
        "files": list(files.values()),
    }


def _image(x_HWC: np.ndarray) -> Image.Image:
    """A picture (H, W, 3), clipped to [0, 1], as an 8-bit RGB image."""
    return Image.fromarray((x_HWC.clip(0, 1) * 255).round().astype(np.uint8))
