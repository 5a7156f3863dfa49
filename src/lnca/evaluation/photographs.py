"""SSIM and PSNR on whole photographs with realistic degradations (`lnca.degradation`)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import metrics
from ..data.reading import pictures_in, read_all
from ..data.source import FilePicture
from ..data.splits import Split, split_groups
from ..degradation import MARGINS, PhotoTask, camera, eight_bits, gaussian_noise, jpeg, moved, photo_blur
from ..errors import LncaError
from ..randomness import generator
from .quality import spread

# A clean picture (1, 3, H, W) -> the reference and the degraded picture.
Degradation = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]

# Equal pictures have an infinite PSNR, but a mean needs a number.
HIGHEST_PSNR = 60.0


def _clean(image_BCHW: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """A JPEG of high quality, which a model should not change."""
    return image_BCHW, jpeg(image_BCHW, torch.full((len(image_BCHW),), 95.0))


def _gaussian(image_BCHW: Tensor, draw: torch.Generator, sigma: float) -> tuple[Tensor, Tensor]:
    return image_BCHW, gaussian_noise(image_BCHW, sigma / 255, draw)


def _camera(image_BCHW: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """The degradations of a camera and a file."""
    pictures = camera(image_BCHW, draw)
    return pictures.clean, eight_bits(pictures.noisy)


def _moved(image_BCHW: Tensor, draw: torch.Generator, length: float) -> tuple[Tensor, Tensor]:
    return image_BCHW, moved(image_BCHW, draw, length)


def _blurred(image_BCHW: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    return image_BCHW, photo_blur(image_BCHW, draw)


# Conditions of each task: its mixture, single strengths, and clean pictures.
CONDITIONS: dict[PhotoTask, dict[str, Degradation]] = {
    "photo-denoise": {
        **{f"sigma {sigma}": partial(_gaussian, sigma=sigma) for sigma in (15, 25, 50)},
        "mixture": _camera,
        "clean": _clean,
    },
    "photo-deblur": {
        **{f"{length} pixels": partial(_moved, length=length) for length in (5, 10, 20)},
        "mixture": _blurred,
        "clean": _clean,
    },
}


@dataclass(frozen=True)
class Case:
    """A photograph and its degraded version, both (1, 3, H, W) in [0, 1]."""

    name: str
    clean: Tensor
    degraded: Tensor


def chosen_pictures(data: Path, split: Split, seed: int, limit: int | None = None) -> list[Path]:
    """The photographs of a split, at most `limit` of them.

    Raises:
        LncaError: there are no pictures, too few to split, or some that cannot be opened.
    """
    return _of_split(pictures_in(data, skip_broken=False)[0], split, seed)[:limit]


def readable_pictures(
    data: Path, split: Split, seed: int, limit: int | None = None, skip_broken: bool = False
) -> tuple[list[Path], list[str]]:
    """`chosen_pictures`, and one sentence for each file of the folder that was left out.

    All pictures are read once before the first is scored, so that a broken one does not end an hour's work.

    Raises:
        Unreadable: some pictures cannot be read and `skip_broken` is false; it names all of them.
        LncaError: see `chosen_pictures`.
    """
    paths, others = pictures_in(data, skip_broken)

    def checked(path: Path) -> Path:
        FilePicture(path).read()
        return path

    good, broken = read_all(_of_split(paths, split, seed)[:limit], checked, skip_broken)
    return good, [*others, *broken]


def _of_split(paths: list[Path], split: Split, seed: int) -> list[Path]:
    if split == "all":
        return paths
    return [paths[index] for index in split_groups([path.name for path in paths], seed)[split]]


def cases(paths: list[Path], task: PhotoTask, condition: str, seed: int, side: int | None = None) -> Iterator[Case]:
    """Yields the degraded photographs; they are the same for every model.

    Args:
        paths: paths of clean photographs.
        condition: one of the task's `CONDITIONS`.
        seed: seed of the random draws, which also depend on the name of each photograph.
        side: crops larger photographs to their middle, with at most this height and width in pixels; None does not
            crop.
    """
    margin = MARGINS[task]
    for path in paths:
        clean = torch.from_numpy(FilePicture(path).read().copy()).permute(2, 0, 1)[None] / 255
        if side is not None:
            top, left = (max(0, size - side) // 2 for size in clean.shape[-2:])
            clean = clean[..., top : top + side, left : left + side]
        if min(clean.shape[-2:]) < 2 * margin + metrics.WINDOW:
            sides = f"{clean.shape[-1]}x{clean.shape[-2]}"
            raise LncaError(f"{path} is {sides}, too small to be scored for {task}; leave it out")
        draw = generator("cpu", seed, "photographs", condition, path.name)
        clean, degraded = CONDITIONS[task][condition](clean, draw)
        height, width = clean.shape[-2:]
        inner = (..., slice(margin, height - margin), slice(margin, width - margin))
        yield Case(path.name, clean[inner], degraded[inner])


def scores(picture: Tensor, clean: Tensor) -> dict[str, float]:
    """SSIM and PSNR (at most 60 dB) of one picture."""
    return {
        "ssim": metrics.ssim(picture, clean).item(),
        "psnr": min(metrics.psnr(picture, clean).item(), HIGHEST_PSNR),
    }


def evaluate_photographs(
    restore: Callable[[Tensor], Tensor],
    paths: list[Path],
    task: PhotoTask,
    seed: int = 0,
    report: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Scores a restoring function on photographs, for every condition of a task.

    Args:
        restore: degraded (1, 3, H, W) in [0, 1] -> restored.
        paths, seed: see `cases`.
        report: called after every photograph.

    Returns:
        {"pictures": N, "conditions": {condition: {"input": {"ssim": {"mean", "deviation"}, "psnr": ...}, "output":
        likewise, "kept": the PSNR between input and output}}}.
    """
    conditions = {}
    for condition in CONDITIONS[task]:
        rows: dict[str, list[dict[str, float]]] = {"input": [], "output": [], "kept": []}
        for case in cases(paths, task, condition, seed):
            restored = restore(case.degraded)
            rows["input"].append(scores(case.degraded, case.clean))
            rows["output"].append(scores(restored, case.clean))
            rows["kept"].append(scores(restored, case.degraded))
            report()
        conditions[condition] = {kind: summary(row) for kind, row in rows.items()}
    return {"pictures": len(paths), "conditions": conditions}


def summary(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of each score over pictures."""
    return {name: spread(torch.tensor([row[name] for row in rows])) for name in rows[0]}
