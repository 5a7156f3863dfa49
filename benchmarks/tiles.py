"""The loss of quality when a host cuts pictures into tiles, by side and overlap of the tiles.

    python benchmarks/tiles.py --every 3 --every-real 8
    python benchmarks/tiles.py --table

The host mirrors a picture at its borders, restores square tiles of `side` pixels one by one, and drops `overlap` pixels
at every edge of a tile, like darktable. The model estimates the noise level of each tile, or gets the levels of the
whole picture. The pictures have Gaussian noise, in 8 bits, or are real photographs. Scores are those of
benchmarks/judges.py.
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
# Side and overlap of tiles in pixels; None is the radius of the model's receptive field.
SETTINGS: tuple[tuple[int, int | None], ...] = ((256, 16), (256, 32), (256, 64), (512, 64), (512, None))
EACH, WHOLE = "of each tile", "of the picture"
# The scores of a picture in each setting.
SCORES = ("psnr", "ssim", "difference", "largest", "seam")

# A tile (H, W, 3) and its first row and column of cells in the padded picture -> the restored tile.
RestoreTile = Callable[[np.ndarray, int, int], np.ndarray]


class Material(NamedTuple):
    """A noisy picture, float in [0, 1], and its truth, uint8; both (H, W, 3)."""

    condition: str
    picture: str
    given: np.ndarray
    truth: np.ndarray


def materials(data: Path, every: int, every_real: int) -> Iterator[Material]:
    """Yields the pictures of all conditions.

    Raises:
        LncaError: the data sets are missing.
    """
    for path in set_pictures(data / "benchmarks", SET, every):
        clean = read(path)
        for sigma in SIGMAS:
            yield Material(f"{SET}, sigma {sigma}", path.stem, noisy(clean, sigma, True, SET, path.stem), clean)
    for pair in real_pairs(data / "real", every_real):
        yield Material("real photographs", pair.noisy.stem, read(pair.noisy) / 255, read(pair.truth))


def tiled(given_HWC: np.ndarray, side: int, overlap: int, restore: RestoreTile) -> np.ndarray:
    """The picture that a host assembles from restored tiles.

    Args:
        given_HWC: the given picture in [0, 1].
        side: side of a tile in pixels, a multiple of 8.
        overlap: pixels that are dropped at every edge of a tile, a multiple of 8, less than half of `side`.
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
    """Numbers of pixels to pad: (above, below), (left, right)."""
    first, second = ((overlap, count * step - size + overlap) for size, count in zip(sizes, counts, strict=True))
    return first, second


def one_by_one(model: Restorer) -> RestoreTile:
    """Restores tiles with levels that are estimated from each tile alone."""
    return lambda tile, row, column: model.restore(tile)


def with_levels(model: Restorer, levels_hwC: np.ndarray, overlap: int, side: int) -> RestoreTile:
    """Restores tiles with the levels of the whole picture, mirrored at its borders."""
    cells = overlap // SIDE
    padded = np.pad(levels_hwC, ((cells, side // SIDE + cells), (cells, side // SIDE + cells), (0, 0)), "symmetric")
    count = side // SIDE
    return lambda tile, row, column: model.restore(tile, noise_level=padded[row : row + count, column : column + count])


def seams(size: int, step: int) -> np.ndarray:
    """The first row (or column) after each seam inside a picture."""
    return np.arange(step, size, step)


def compared(result: np.ndarray, whole: np.ndarray, truth: np.ndarray, step: int) -> dict[str, float]:
    """PSNR and SSIM; root mean square and largest absolute difference from the whole picture; and the root mean square
    of the discontinuities at seams. Differences are in 255ths."""
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
        LncaError: the model takes no noise level.
    """
    if model.steps is None or not model.takes_noise_level:
        raise LncaError(f"{model.info.name} takes no noise level; give a model for photographs")
    return model.steps


def measured(model: Restorer, material: Material) -> dict[str, dict[str, float]]:
    """The scores of one picture, by setting; "whole" and "whole, 1 step" have only PSNR and SSIM."""
    given, truth = material.given, material.truth
    whole, levels = model.restore(given), model.noise_levels(given)
    found: dict[str, dict[str, float]] = {"whole": dict(zip(SCORES, score(whole, truth), strict=False))}
    for steps in range(1, steps_of(model)):
        found[f"whole, {steps} steps"] = dict(
            zip(SCORES, score(model.restore(given, steps=steps), truth), strict=False)
        )
    for side, given_overlap in SETTINGS:
        overlap = reach(steps_of(model)) if given_overlap is None else given_overlap
        for way, restore in ((EACH, one_by_one(model)), (WHOLE, with_levels(model, levels, overlap, side))):
            result = tiled(given, side, overlap, restore)
            found[f"{side}/{overlap}/{way}"] = compared(result, whole, truth, side - 2 * overlap)
    return found


def table(content: dict[str, Any]) -> str:
    """The results as Markdown: the loss by side and overlap, and by fewer steps."""
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
    parser.add_argument("--table", action="store_true", help="print the table of the result file")
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
