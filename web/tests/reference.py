"""Pictures for the tests of the page, and what lnca makes of them in Python.

    reference.py OUT MODEL...

writes clean.png, given.png, small.png, grey.png and alpha.png to a folder, for each model MODEL.png, which is given.png
restored, and what the first model makes of the last three, small-restored.png and so on; of wide.png, which is cut into
tiles; and of given.png at a noise level of 40, given-at-40.png, and with shares of the correction, given-shares.png.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import lnca
from lnca.degradation.paper import masked_noise
from lnca.demo import photograph
from lnca.randomness import generator
from lnca.restoration.pictures import to_image, to_tensor

# No multiples of a cell's side.
WIDTH, HEIGHT = 131, 90


def kept_by_a_canvas(picture: Image.Image) -> Image.Image:
    """The picture as a canvas has it, whose colours are multiplied by alpha; once more it would stay the same."""
    values = np.asarray(picture).astype(np.float64)
    colours, alpha = values[..., :3], values[..., 3:]
    colours = ((colours * alpha / 255).round() * 255 / alpha).round()
    return Image.fromarray(np.concatenate([colours, alpha], -1).astype(np.uint8))


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
    for model in models:
        lnca.restore(given, model=model).save(folder / f"{model}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
