"""Draws the gallery: the shipped models restore the photograph that comes with lnca, which none was trained on.

python benchmarks/gallery.py                # docs/gallery.md, docs/images/gallery, benchmarks/results/gallery.json
"""

import argparse
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

import lnca
from lnca import metrics
from lnca.corruption import PAPER_DIFFICULTY
from lnca.degradation import camera_noise, moved
from lnca.degradation.paper import masked_noise, motion_blur
from lnca.demo import NIGHT, NOISY_PHOTOGRAPH, photograph
from lnca.files import write_whole
from lnca.randomness import generator
from lnca.restoration.mask import mask_of
from lnca.restoration.pictures import to_image, to_tensor
from lnca.restoration.restorer import Restorer
from lnca.restoration.showing import draw_heat_map, side_by_side

ROOT = Path(__file__).parents[1]
SEED = 0
# Side of the parts that are shown in pixels, and the gap between them.
SIDE, SMALL, WIDE, GAP = 184, 128, 240, 6
TILE = 32
QUALITY = 88
SIGMAS = (15, 25, 50)
SHAKEN = (6, 14)
# Factor of the noise level for more of it.
MORE = 1.5
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
STEPS = (0, 1, 2, 4, 8)


class Gallery:
    """The pictures, their scores and the page that shows them.

    Args:
        folder: folder for the pictures.
        address: address of that folder in the page.
    """

    def __init__(self, folder: Path, address: str):
        self.folder, self.address = folder, address
        self.scores: dict[str, list[dict[str, Any]]] = {}
        self.page = [
            "# Gallery",
            "",
            "`make gallery` draws these examples from the photographs that come with lnca, on which no model was "
            "trained. PSNR in dB and SSIM are those of the shown parts (`benchmarks/results/gallery.json`).",
        ]
        self.clean = to_tensor(photograph())

    def text(self, *lines: str) -> None:
        """Adds a paragraph or a heading."""
        self.page += ["", *lines]

    def row(self, name: str, parts: dict[str, Tensor], clean: Tensor) -> None:
        """Adds pictures (1, 3, H, W) side by side, and a table of their scores against a clean one."""
        self.save(name, [to_image(part[0]) for part in parts.values()])
        scores: list[dict[str, Any]] = [
            {
                "picture": label,
                "psnr": round(metrics.psnr(part, clean).item(), 2),
                "ssim": round(metrics.ssim(part, clean).item(), 3),
            }
            for label, part in parts.items()
            if part is not clean
        ]
        self.scores[name] = scores
        labels = [score["picture"] for score in scores] + (["clean"] if len(scores) < len(parts) else [])
        values = [f"{score['psnr']:.1f} dB, {score['ssim']:.3f}" for score in scores]
        self.text(
            f"| {' | '.join(labels)} |",
            "| --- " * len(labels) + "|",
            f"| {' | '.join(values + [''] * (len(labels) - len(values)))} |",
        )

    def save(self, name: str, images: list[Image.Image]) -> None:
        """Saves pictures of one height side by side, and adds them to the page."""
        widths = [image.width for image in images]
        sheet = Image.new("RGB", (sum(widths) + GAP * (len(images) - 1), images[0].height), "white")
        left = 0
        for image in images:
            sheet.paste(image, (left, 0))
            left += image.width + GAP
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=QUALITY)
        write_whole(self.folder / f"{name}.jpg", buffer.getbuffer())
        self.text(f"![{name.replace('-', ' ')}]({self.address}/{name}.jpg)")


def part(x: Tensor, top: int, left: int, side: int = SIDE) -> Tensor:
    """A square of a picture."""
    return x[..., top : top + side, left : left + side]


def gaussian(x: Tensor, sigma: float) -> Tensor:
    """Adds noise with a standard deviation of `sigma` of 255, and rounds to 8 bits."""
    noise = torch.randn(x.shape, generator=generator("cpu", SEED, f"gallery {sigma}"))
    return as_file(x + noise * sigma / 255)


def as_file(x: Tensor) -> Tensor:
    """Rounded to 8 bits."""
    return to_tensor(to_image(x[0]))


def draw(gallery: Gallery, load: Callable[[str], Restorer]) -> None:
    """Draws all pictures; `load` returns a model for its name."""
    clean, photo = gallery.clean, load("photo-denoise")
    gallery.text("## A noisy photograph")
    gallery.text(
        "Nothing was added to this photograph (by Laika ac, CC BY-SA 2.0). As it is, restored, and restored with "
        f"`--noise-scale {MORE}`."
    )
    noisy = to_tensor(photograph(NOISY_PHOTOGRAPH))
    real = noisy, photo.restore(noisy), photo.restore(noisy, noise_scale=MORE)
    gallery.save("real", [to_image(part(x, 60, 0, WIDE)[0]) for x in real])

    gallery.text("## Noise of any strength")
    gallery.text("`photo-denoise` is blind: one model for all strengths, without a given noise level.")
    for sigma, (top, left) in zip(SIGMAS, ((150, 60), (230, 200), (270, 130)), strict=True):
        noisy = gaussian(clean, sigma)
        parts = {f"sigma {sigma}": noisy, "restored": photo.restore(noisy), "clean": clean}
        shown = {label: part(x, top, left) for label, x in parts.items()}
        gallery.row(f"noise-{sigma}", shown, shown["clean"])

    gallery.text("## A camera at night")
    gallery.text(
        "Noise of a sensor with a colour filter grows with the light; after development it is coarse and coloured."
    )
    night = as_file(camera_noise(clean, generator("cpu", SEED, "demo"), (NIGHT, NIGHT)))
    shown = {
        label: part(x, 160, 160)
        for label, x in {"as the camera saw it": night, "restored": photo.restore(night), "clean": clean}.items()
    }
    gallery.row("night", shown, shown["clean"])

    gallery.text("## Motion blur")
    gallery.text(
        f"Straight motion of {' and of '.join(map(str, SHAKEN))} pixels. `photo-deblur` gets neither its length nor "
        "its direction."
    )
    sharpen = load("photo-deblur")
    for length, (top, left) in zip(SHAKEN, ((160, 160), (230, 200)), strict=True):
        shaken = moved(clean, generator("cpu", SEED, "shaken", length), length)
        parts = {f"{length} pixels": shaken, "restored": sharpen.restore(shaken), "clean": clean}
        shown = {label: part(x, top, left) for label, x in parts.items()}
        gallery.row(f"shaken-{length}", shown, shown["clean"])

    gallery.text("## Step by step")
    gallery.text(f"`photo-denoise` after {', '.join(map(str, STEPS[:-1]))} and {STEPS[-1]} steps.")
    frames = list(photo.iterate(part(gaussian(clean, 50), 270, 130, SMALL), steps=STEPS[-1]))
    gallery.row("steps", {f"after {step}": frames[step] for step in STEPS}, part(clean, 270, 130, SMALL))

    gallery.text("## Strength")
    gallery.text(f"`--strength` {', '.join(f'{strength:g}' for strength in STRENGTHS)}.")
    noisy = gaussian(clean, 25)
    shown = {f"{strength:g}": part(photo.restore(noisy, strength=strength), 230, 200, SMALL) for strength in STRENGTHS}
    gallery.row("strength", shown, part(clean, 230, 200, SMALL))

    gallery.text("## A part of the picture")
    gallery.text("`--region 60,90,120,90`, and `--compare`: the left half before, the right half after.")
    view = part(gaussian(clean, 50), 170, 120, WIDE)
    mask = mask_of(WIDE, WIDE, (60, 90, 120, 90), None)
    there = to_image(photo.restore(view, mask=mask)[0])
    gallery.save("region", [there, side_by_side(to_image(view[0]), to_image(photo.restore(view)[0]))])

    gallery.text("## How long each cell works")
    gallery.text(
        "`--steps auto` skips cells that have settled. `--heat-map` shows how long each cell worked: dark red cells "
        "settled early, white ones late. The paper's noise, `latent-vitca-denoise`."
    )
    model = load("latent-vitca-denoise")
    noisy = masked_noise(clean, PAPER_DIFFICULTY["denoise"], generator("cpu", SEED, "demo"))
    view = part(as_file(noisy), 170, 120, WIDE)
    taken = model.settle(view).steps[0]
    gallery.save("heat-map", [to_image(view[0]), draw_heat_map(taken, WIDE // len(taken))])

    half = to_tensor(photograph().resize((250, 250), Image.Resampling.LANCZOS))
    given = masked_noise(half, PAPER_DIFFICULTY["denoise"], generator("cpu", SEED, "gallery"))
    gallery.text("## The paper's noise")
    gallery.text(
        "Half of the pixels have noise. The photograph is at half its size, like the paper's tiles. The models are the "
        "paper's two rules, and ours."
    )
    parts = {"given": as_file(given), **restored(load, "denoise", as_file(given)), "clean": half}
    shown = {label: part(x, 96, 40, SMALL) for label, x in parts.items()}
    gallery.row("paper-noise", shown, shown["clean"])

    sharp = part(half, 96, 40, SMALL)
    tiles = tiled(sharp)
    given = motion_blur(tiles, int(PAPER_DIFFICULTY["deblur"]), generator("cpu", SEED, "gallery"))
    gallery.text("## The paper's blur")
    gallery.text(
        "Motion of seven pixels in tiles of 32x32. As in the paper, each tile has its own direction and is dark beyond "
        "its border. For whole photographs use `photo-deblur`."
    )
    parts = {"given": given, **restored(load, "deblur", given)}
    gallery.row("paper-blur", {**{label: joined(x) for label, x in parts.items()}, "clean": sharp}, sharp)


def restored(load: Callable[[str], Restorer], task: str, given: Tensor) -> dict[str, Tensor]:
    """Pictures restored by the paper's two models of a task, and by ours if there is one."""
    names = (f"latent-nafca-{task}", f"latent-vitca-{task}", f"lnca-{task}")
    known = {model.name for model in lnca.models()}
    return {name: load(name).restore(given) for name in names if name in known}


def tiled(x: Tensor) -> Tensor:
    """A picture (1, 3, H, W) as its tiles of 32x32 pixels, row by row."""
    return x[0].unfold(1, TILE, TILE).unfold(2, TILE, TILE).permute(1, 2, 0, 3, 4).flatten(0, 1)


def joined(tiles: Tensor) -> Tensor:
    """The inverse of `tiled`, for square pictures."""
    rows = math.isqrt(len(tiles))
    return tiles.unflatten(0, (rows, rows)).permute(2, 0, 3, 1, 4).reshape(1, 3, TILE * rows, TILE * rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT, help="root of the folders docs and benchmarks/results")
    out = parser.parse_args().out
    gallery = Gallery(out / "docs" / "images" / "gallery", "images/gallery")
    draw(gallery, lambda name: lnca.load(name, "cpu"))
    result = json.dumps({"seed": SEED, "scores": gallery.scores}, indent=2)
    write_whole(out / "benchmarks" / "results" / "gallery.json", f"{result}\n".encode())
    write_whole(out / "docs" / "gallery.md", ("\n".join(gallery.page) + "\n").encode())
    print(out / "docs" / "gallery.md")


if __name__ == "__main__":
    main()
