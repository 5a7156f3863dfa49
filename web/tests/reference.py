"""Pictures for the tests of the page, and what lnca makes of them in Python.

    reference.py OUT MODEL...

writes clean.png, given.png, small.png, grey.png and alpha.png to a folder, for each model MODEL.png, which is given.png
restored, and what the first model makes of the last three, small-restored.png and so on; of wide.png, which is cut into
tiles; and of given.png at a noise level of 40, given-at-40.png, and with shares of the correction, given-shares.png.
Of photo-deblur there are shaken.png, the kernel that is found in it, shaken-kernel.png, and shaken-restored.png; and
psf.png, a kernel of 16 bits, psf-colours.png, the same in colours of 8 bits, and what shaken.png becomes with each,
psf-restored.png and psf-colours-restored.png.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.signal import fftconvolve

import lnca
from lnca.degradation.paper import masked_noise
from lnca.degradation.shake import shaken_kernel
from lnca.demo import photograph
from lnca.randomness import generator
from lnca.restoration.kernel import read_kernel, write_kernel
from lnca.restoration.pictures import to_image, to_tensor

# No multiples of a cell's side.
WIDTH, HEIGHT = 131, 90


def kept_by_a_canvas(picture: Image.Image) -> Image.Image:
    """The picture as a canvas has it, whose colours are multiplied by alpha; once more it would stay the same."""
    values = np.asarray(picture).astype(np.float64)
    colours, alpha = values[..., :3], values[..., 3:]
    colours = ((colours * alpha / 255).round() * 255 / alpha).round()
    return Image.fromarray(np.concatenate([colours, alpha], -1).astype(np.uint8))


def shaken(folder: Path) -> None:
    """Writes what is about photo-deblur."""
    kernel = shaken_kernel(9, 13, np.random.default_rng(2))
    sharp = np.asarray(photograph().crop((160, 200, 160 + 92 + 12, 200 + 84 + 12)), np.float64)
    planes = [fftconvolve(sharp[..., colour], kernel, "valid") for colour in range(3)]
    given = Image.fromarray(np.stack(planes, -1).round().clip(0, 255).astype(np.uint8))
    given.save(folder / "shaken.png")
    restored, found = lnca.deblur(given, return_kernel=True)
    restored.save(folder / "shaken-restored.png")
    write_kernel(folder / "shaken-kernel.png", found)
    write_kernel(folder / "psf.png", kernel)
    colours = np.stack([kernel * share for share in (0.5, 1.0, 0.2)], -1)
    Image.fromarray((colours / colours.max() * 255).round().astype(np.uint8)).save(folder / "psf-colours.png")
    lnca.deblur(given, read_kernel(folder / "psf.png")).save(folder / "psf-restored.png")
    lnca.deblur(given, read_kernel(folder / "psf-colours.png")).save(folder / "psf-colours-restored.png")


def main(folder: Path, models: list[str]) -> None:
    torch.set_num_threads(1)
    clean = photograph().crop((180, 250, 180 + WIDTH, 250 + HEIGHT))
    clean.save(folder / "clean.png")
    given = to_image(masked_noise(to_tensor(clean), 0.5, generator("cpu", 0, "page"))[0])
    alpha = given.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(given.size).point(lambda value: 128 + value // 2))
    alpha = kept_by_a_canvas(alpha)
    pictures = {"given": given, "small": given.crop((0, 0, 34, 30)), "grey": given.convert("L"), "alpha": alpha}
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.png")
        if name != "given":
            lnca.restore(picture, model=models[0]).save(folder / f"{name}-restored.png")
    # Wide enough that no tile of a model sees all of it.
    wide = to_tensor(photograph().crop((50, 250, 450, 280)))
    noisy = to_image(masked_noise(wide, 0.5, generator("cpu", 0, "wide"))[0])
    noisy.save(folder / "wide.png")
    lnca.restore(noisy, model=models[0]).save(folder / "wide-restored.png")
    lnca.restore(given, model=models[0], noise_level=40).save(folder / "given-at-40.png")
    shared = lnca.restore(given, model=models[0], strength=0.8, luma=0.5, chroma=0.0)
    shared.save(folder / "given-shares.png")
    shaken(folder)
    for model in models:
        lnca.restore(given, model=model).save(folder / f"{model}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
