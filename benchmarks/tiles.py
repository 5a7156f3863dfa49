"""What a host that cuts pictures into tiles loses against the whole picture, by the tiles' side and overlap.

    python benchmarks/tiles.py --every 3 --every-real 8
    python benchmarks/tiles.py --table

The host mirrors a picture at its borders, restores squares of `side` pixels one by one, and keeps the middle of each:
`overlap` pixels are dropped at every edge, as darktable does. The model estimates the noise level of each tile, or is
told those of the whole picture. Its noise is Gaussian, in 8 bits, or that of real photographs. Scores are those of the
judges (benchmarks/judges.py).
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.progress import track

import lnca
from lnca.catalogue import DEFAULT_MODEL
from lnca.errors import LncaError
from lnca.evaluation.protocols import noisy, score
from lnca.evaluation.public_sets import read, real_pairs, set_pictures
from lnca.files import write_whole
from lnca.kernels.devices import use_threads
from lnca.measuring.measure import environment
from lnca.restoration.restorer import Restorer
from lnca.runtime.noise_level import SIDE
from lnca.runtime.pyramid import reach

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
OUT = ROOT / "benchmarks" / "results" / "tiles.json"
SET, SIGMAS = "Kodak24", (25, 50)
# Sides of tiles and overlaps; the last has the model's reach as its overlap.
SETTINGS: tuple[tuple[int, int | None], ...] = ((256, 16), (256, 32), (256, 64), (512, 64), (512, None))
EACH, WHOLE = "of each tile", "of the picture"
# Of a setting, what is kept for each picture.
KEPT = ("psnr", "ssim", "difference", "largest", "seam")

# A tile (H, W, 3) and its first row and column of cells in the padded picture -> the restored tile.
RestoreTile = Callable[[np.ndarray, int, int], np.ndarray]


class Material(NamedTuple):
    """A noisy picture, float in [0, 1], and its truth, uint8; both (H, W, 3)."""

    condition: str
    picture: str
    given: np.ndarray
    truth: np.ndarray


def materials(data: Path, every: int, every_real: int) -> Iterator[Material]:
    """The pictures of all conditions, one after the other.

    Raises:
        LncaError: the sets are not there.
    """
    for path in set_pictures(data / "benchmarks", SET, every):
        clean = read(path)
        for sigma in SIGMAS:
            yield Material(f"{SET}, sigma {sigma}", path.stem, noisy(clean, sigma, True, SET, path.stem), clean)
    for pair in real_pairs(data / "real", every_real):
        yield Material("real photographs", pair.noisy.stem, read(pair.noisy) / 255, read(pair.truth))


def tiled(given_HWC: np.ndarray, side: int, overlap: int, restore: RestoreTile) -> np.ndarray:
    """The picture as a host puts it together from tiles.

    Args:
        given_HWC: in [0, 1].
        side: of a tile, in pixels.
        overlap: pixels that are dropped at every edge of a tile; less than half of `side`, a multiple of 8 as `side`.
        restore: restores one tile.
    """
    height, width = given_HWC.shape[:2]
    step = side - 2 * overlap
    rows, columns = (-(-size // step) for size in (height, width))
    padded = np.pad(given_HWC, (*_padding((height, width), (rows, columns), step, overlap), (0, 0)), "reflect")
    result = np.empty((rows * step, columns * step, 3))
    for top in range(0, rows * step, step):
        for left in range(0, columns * step, step):
            tile = padded[top : top + side, left : left + side]
            middle = restore(tile, top // SIDE, left // SIDE)[overlap : side - overlap, overlap : side - overlap]
            result[top : top + step, left : left + step] = middle
    return result[:height, :width]


def _padding(
    sizes: tuple[int, int], counts: tuple[int, int], step: int, overlap: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pixels before and behind the picture, downwards and across."""
    first, second = ((overlap, count * step - size + overlap) for size, count in zip(sizes, counts, strict=True))
    return first, second


def one_by_one(model: Restorer) -> RestoreTile:
    """The level is estimated from each tile alone."""
    return lambda tile, row, column: model.restore(tile)


def told(model: Restorer, levels_hwC: np.ndarray, overlap: int, side: int) -> RestoreTile:
    """The levels are those of the whole picture, mirrored where tiles reach beyond it."""
    cells = overlap // SIDE
    room = np.pad(levels_hwC, ((cells, side // SIDE + cells), (cells, side // SIDE + cells), (0, 0)), "symmetric")
    count = side // SIDE
    return lambda tile, row, column: model.restore(tile, noise_level=room[row : row + count, column : column + count])


def seams(size: int, step: int) -> np.ndarray:
    """The first row (or column) behind each seam inside a picture."""
    return np.arange(step, size, step)


def compared(result: np.ndarray, whole: np.ndarray, truth: np.ndarray, step: int) -> dict[str, float]:
    """PSNR and SSIM, and in 255ths: the root mean square and the largest difference from the whole picture, and the
    root mean square of the steps that seams add between neighbouring pixels."""
    error = (result - whole) * 255
    down, across = (seams(size, step) for size in error.shape[:2])
    jumps = [error[down] - error[down - 1], error[:, across] - error[:, across - 1]]
    squares = np.concatenate([jump.ravel() for jump in jumps]) ** 2
    psnr, ssim = score(result, truth)
    return {
        "psnr": psnr,
        "ssim": ssim,
        "difference": float(np.sqrt(np.mean(error**2))),
        "largest": float(np.abs(error).max()),
        "seam": float(np.sqrt(squares.mean())) if squares.size else 0.0,
    }


def steps_of(model: Restorer) -> int:
    """The model's own number of steps.

    Raises:
        LncaError: a model that takes no noise level.
    """
    if model.steps is None or not model.takes_noise_level:
        raise LncaError(f"{model.info.name} takes no noise level; give a model for photographs")
    return model.steps


def measured(model: Restorer, material: Material) -> dict[str, dict[str, float]]:
    """The scores of one picture, by setting; "whole" and "whole, 1 step" have PSNR and SSIM alone."""
    given, truth = material.given, material.truth
    whole, levels = model.restore(given), model.noise_levels(given)
    found: dict[str, dict[str, float]] = {"whole": dict(zip(KEPT, score(whole, truth), strict=False))}
    for steps in range(1, steps_of(model)):
        found[f"whole, {steps} steps"] = dict(zip(KEPT, score(model.restore(given, steps=steps), truth), strict=False))
    for side, given_overlap in SETTINGS:
        overlap = reach(steps_of(model)) if given_overlap is None else given_overlap
        for way, restore in ((EACH, one_by_one(model)), (WHOLE, told(model, levels, overlap, side))):
            result = tiled(given, side, overlap, restore)
            found[f"{side}/{overlap}/{way}"] = compared(result, whole, truth, side - 2 * overlap)
    return found


def table(content: dict[str, Any]) -> str:
    """The results as Markdown: what is lost by side and overlap, and what fewer steps cost."""
    parts = []
    for condition, pictures in content["pictures"].items():
        each = list(pictures.values())
        best = fmean(one["whole"]["psnr"] for one in each)
        lines = [
            f"{condition}, pictures: {len(each)}; the whole picture has {best:.2f} dB:",
            "",
            "| side | overlap | noise level | loss in dB, mean and worst | difference | at worst | at seams |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for setting in (key for key in each[0] if "/" in key):
            side, overlap, way = setting.split("/")
            losses = [one["whole"]["psnr"] - one[setting]["psnr"] for one in each]
            values = [fmean(one[setting][name] for one in each) for name in ("difference", "seam")]
            largest = max(one[setting]["largest"] for one in each)
            cells = [side, overlap, way, f"{fmean(losses):+.3f}, {max(losses):+.3f}"]
            cells += [f"{values[0]:.2f}", f"{largest:.1f}", f"{values[1]:.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
        fewer = [
            f"{key.removeprefix('whole, ')} {fmean(one[key]['psnr'] for one in each):.2f} dB"
            for key in each[0]
            if key.startswith("whole, ")
        ]
        parts.append("\n".join([*lines, "", f"Fewer steps, the whole picture: {', '.join(fewer)}."]))
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="one that takes a noise level")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with benchmarks/ and real/")
    parser.add_argument("--every", type=int, default=1, help="every n-th picture of the set")
    parser.add_argument("--every-real", type=int, default=1, help="every n-th pair")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="print what the result file says")
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(options.out.read_text("utf-8"))))
        return
    use_threads(options.threads)
    model = lnca.load(options.model, "cpu")
    pictures: dict[str, dict[str, Any]] = {}
    content = {
        "model": model.info.name,
        "reach": reach(steps_of(model)),
        "environment": environment(torch.device("cpu")),
        "pictures": pictures,
    }
    for material in track(
        list(materials(options.data, options.every, options.every_real)), disable=not sys.stderr.isatty()
    ):
        pictures.setdefault(material.condition, {})[material.picture] = measured(model, material)
        write_whole(options.out, (json.dumps(content, indent=1) + "\n").encode())
    print(table(content))


if __name__ == "__main__":
    try:
        main()
    except LncaError as error:
        sys.exit(f"tiles: {error}")
