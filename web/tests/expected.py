"""What the page's models make of pictures in Python, by numpy and the compiled kernels, for tests/running.test.mjs.

    expected.py OUT MODEL...

writes, for each model and some sizes, MODEL-WIDTHxHEIGHT.safetensors: the given picture as RGBA bytes (`given`), the
noise levels (`level`, of models that estimate them) and the picture that the cells have after each of some steps
(`step.1` and so on; the last is the final one), as large as the picture mirrored to whole cells.
"""

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from lnca.catalogue import locate
from lnca.demo import photograph
from lnca.runtime.arrays import RowReader
from lnca.runtime.engine import engine_of
from lnca.runtime.models import Latent, Pyramid, load
from lnca.runtime.pyramid import spread_rows

# No multiples of a cell's side; smaller than anything; of several tiles where tiles are small.
SIZES = ((131, 90), (9, 17), (203, 61))
# Steps of a latent automaton whose pictures are compared.
STEPS = (1, 2, 7)


def rows_of(image: np.ndarray) -> RowReader:
    """Gives rows of a picture (1, H, W, C)."""
    return lambda begin, end: image[:, begin:end]


def pyramid(model: Pyramid, image: np.ndarray) -> dict[str, np.ndarray]:
    """Levels and pictures after each step."""
    height = image.shape[1]
    level = model.estimator.levels(rows_of(image), height)
    found = {"level": level[0].transpose(1, 2, 0)}
    for step in range(1, model.steps + 1):
        restored = model.bands(rows_of(image), spread_rows(level), height, step)
        found[f"step.{step}"] = np.concatenate([restored(top, top + 8)[0] for top in range(0, height, 8)]).clip(0, 1)
    return found


def latent(model: Latent, image: np.ndarray) -> dict[str, np.ndarray]:
    """Pictures after some steps, and the last."""
    height, coder, found, done = image.shape[1], model.coder, {}, 0
    cells = model.rule.seed(coder.encode(rows_of(image), height, 0, height // coder.multiple))
    for step in (*STEPS, model.steps):
        model.run.advance(cells, step - done)
        done = step
        output = rows_of(np.ascontiguousarray(model.rule.read(cells)))
        found[f"step.{step}"] = coder.decode(rows_of(image), output, height, 0, height)[0]
    return found


def main(folder: Path, models: list[str]) -> None:
    noise = np.random.default_rng(0)
    for width, height in SIZES:
        clean = np.asarray(photograph().crop((180, 250, 180 + width, 250 + height)), np.float32)
        given = np.clip(np.round(clean + noise.normal(0, 25, clean.shape)), 0, 255).astype(np.uint8)
        pixels = np.concatenate([given, np.full((height, width, 1), 255, np.uint8)], -1)
        for name in models:
            model, _ = load(locate(name), engine_of("auto", "float32"))
            assert isinstance(model, Latent | Pyramid)
            side = 8 if isinstance(model, Pyramid) else model.coder.multiple
            room = ((0, -height % side), (0, -width % side), (0, 0))
            image = np.pad(given, room, "reflect").astype(np.float32)[None] / np.float32(255)
            found = pyramid(model, image) if isinstance(model, Pyramid) else latent(model, image)
            tensors = {"given": pixels.astype(np.float32), **{key: np.ascontiguousarray(x) for key, x in found.items()}}
            save_file(tensors, folder / f"{name}-{width}x{height}.safetensors", {"lnca-page": '{"version": 1}'})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
