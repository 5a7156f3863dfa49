"""What the page's models make of pictures in Python, by numpy and the compiled kernels, for tests/running.test.mjs.

    expected.py OUT MODEL...

writes, for each model and some sizes, MODEL-WIDTHxHEIGHT.safetensors: the given picture as RGBA bytes (`given`), the
noise levels (`level`, of models that estimate them) and the picture that the cells have after each of some steps
(`step.1` and so on; the last is the final one), as large as the picture mirrored to whole cells. Of a deblurrer,
MODEL-NAME.safetensors holds, for some blurred pictures, the levels, the kernel that is told (`told`) or found
(`kernel`), the confidence in it and the level that the filter assumes (`blur`), and the picture after each round.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file
from scipy.signal import fftconvolve

from lnca.catalogue import locate
from lnca.degradation.shake import shaken_kernel
from lnca.demo import photograph
from lnca.restoration.kernel import kernel_of, read_kernel
from lnca.restoration.pictures import Rows
from lnca.restoration.restorer import streamer_of
from lnca.runtime import blur_kernel
from lnca.runtime.arrays import RowReader
from lnca.runtime.deblurring import brightness
from lnca.runtime.engine import engine_of
from lnca.runtime.fourier import periodic
from lnca.runtime.models import Deblurring, Latent, Pyramid, load
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


def pixels_of(given: np.ndarray) -> np.ndarray:
    """RGBA bytes of a picture (H, W, 3), as numbers."""
    return np.concatenate([given, np.full((*given.shape[:2], 1), 255, np.uint8)], -1).astype(np.float32)


def blurred(kernel: np.ndarray, top: int, left: int, height: int, width: int, level: float = 2.55) -> np.ndarray:
    """A part of the photograph that a kernel has blurred, with noise, (H, W, 3) in 255ths."""
    rows, columns = kernel.shape
    part = np.asarray(photograph(), np.float64)[top : top + height + rows - 1, left : left + width + columns - 1]
    planes = [fftconvolve(part[..., colour], kernel, "valid") for colour in range(3)]
    noise = np.random.default_rng(0).normal(0, level, (height, width, 3))
    return np.clip(np.round(np.stack(planes, -1) + noise), 0, 255).astype(np.uint8)


def blurred_pictures() -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Pictures by name, and the kernels that are told of them."""
    shake = shaken_kernel(14, 25, np.random.default_rng(1))
    uneven = np.random.default_rng(3).dirichlet(np.ones(20)).reshape(4, 5)
    tiny = np.full((1, 3), 1 / 3)
    return {
        # An estimate takes many decisions. Those of these two do not depend on rounding, those of others do.
        "blind": (blurred(shaken_kernel(9, 13, np.random.default_rng(29)), 200, 160, 84, 92, level=0), None),
        "partly": (blurred(shaken_kernel(9, 13, np.random.default_rng(17)), 200, 160, 84, 92, level=0), None),
        "told": (blurred(shake, 100, 100, 131, 90), shake),
        "uneven": (blurred(uneven, 250, 180, 61, 203), uneven),
        "tiny": (blurred(tiny, 250, 180, 9, 17), tiny),
        "sharp": (blurred(np.ones((1, 1)), 200, 200, 88, 96), None),
    }


def deblurring(model: Deblurring, given: np.ndarray, told: np.ndarray | None) -> dict[str, np.ndarray]:
    """Levels, blur and pictures after each round."""
    streamer = streamer_of(model)
    rows = Rows(given.astype(np.float32) / np.float32(255))
    level = streamer.levels(rows)
    known = None if told is None else told.astype(np.float32)
    (blur,) = streamer.blurs(rows, level, known)
    found = {"level": level[0].transpose(1, 2, 0), "kernel": blur.kernel}
    found["blur"] = np.array(blur[1:], np.float32)
    if known is not None:
        found["told"] = known
    for step in range(1, model.steps + 1):
        found[f"step.{step}"] = streamer.restore(rows, None, [blur], step)
    return found


def parts_of_estimate(given: np.ndarray) -> dict[str, np.ndarray]:
    """What each part of the estimate of kernels makes of a picture (`part.picture`) and a kernel (`part.kernel`)."""
    picture = brightness(given[None, 20:68, 10:76].transpose(0, 3, 1, 2) / np.float32(255))[0]
    kernel = np.random.default_rng(5).random((7, 7), np.float32) ** 4
    kernel /= kernel.sum()
    # A blur without zeros in its spectrum, so that rounding decides about no gradient.
    kernel[3, 3] += 2
    kernel /= kernel.sum()
    sharp = blur_kernel.l0_sharp_image(picture, kernel, 1e-3)
    found = {
        "picture": picture,
        "kernel": kernel,
        "periodic": periodic(picture[None, None], 5, 9)[0, 0],
        "shrunk": blur_kernel.shrunk(picture, 2**-0.5),
        "resized": blur_kernel.resized(kernel, 11),
        "tidied": blur_kernel.tidied(kernel),
        "centred": blur_kernel.centred(kernel),
        "sharp": sharp,
        "least_squares": blur_kernel.least_squares(sharp, picture, 9, 9),
    }
    return {f"part.{name}": array for name, array in found.items()}


def kernel_files(folder: Path) -> None:
    """Writes kernels as PNG files of every kind of pixel, kernel-KIND.png, and what Python reads of them, of sum 1, by
    their kinds: kernels.safetensors."""
    draw = np.random.default_rng(7)
    grey, colours = draw.integers(0, 256, (5, 11), np.uint8), draw.integers(0, 256, (5, 11, 4), np.uint8)
    pictures = {
        "1": Image.fromarray(grey).convert("1"),
        "L": Image.fromarray(grey),
        "I;16": Image.fromarray(draw.integers(0, 65536, (5, 11), np.uint16)),
        "LA": Image.fromarray(colours).convert("LA"),
        "P": Image.fromarray(colours[..., :3]).quantize(7),
        "RGB": Image.fromarray(colours[..., :3]),
        "RGBA": Image.fromarray(colours),
        "smooth": Image.linear_gradient("L").resize((40, 30)).convert("RGB"),
    }
    read = {}
    for kind, picture in pictures.items():
        picture.save(folder / f"kernel-{kind}.png")
        found = kernel_of(read_kernel(folder / f"kernel-{kind}.png"), 100, 100)
        assert found is not None
        read[kind] = found
    save_file(read, folder / "kernels.safetensors", {"lnca-page": '{"version": 1}'})


def save(path: Path, given: np.ndarray, found: dict[str, np.ndarray]) -> None:
    tensors = {"given": pixels_of(given), **{key: np.ascontiguousarray(x, np.float32) for key, x in found.items()}}
    save_file(tensors, path, {"lnca-page": '{"version": 1}'})


def main(folder: Path, models: list[str]) -> None:
    kernel_files(folder)
    loaded = {name: load(locate(name), engine_of("auto", "float32"))[0] for name in models}
    for name, model in loaded.items():
        if isinstance(model, Deblurring):
            for kind, (given, told) in blurred_pictures().items():
                found = deblurring(model, given, told) | (parts_of_estimate(given) if kind == "blind" else {})
                save(folder / f"{name}-{kind}.safetensors", given, found)
    noise = np.random.default_rng(0)
    for width, height in SIZES:
        clean = np.asarray(photograph().crop((180, 250, 180 + width, 250 + height)), np.float32)
        given = np.clip(np.round(clean + noise.normal(0, 25, clean.shape)), 0, 255).astype(np.uint8)
        for name, model in loaded.items():
            if not isinstance(model, Latent | Pyramid):
                continue
            side = 8 if isinstance(model, Pyramid) else model.coder.multiple
            room = ((0, -height % side), (0, -width % side), (0, 0))
            image = np.pad(given, room, "reflect").astype(np.float32)[None] / np.float32(255)
            found = pyramid(model, image) if isinstance(model, Pyramid) else latent(model, image)
            save(folder / f"{name}-{width}x{height}.safetensors", given, found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
