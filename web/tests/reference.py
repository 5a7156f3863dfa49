"""Pictures for the tests of the page, and what lnca makes of them in Python.

    reference.py OUT MODEL...

writes clean.png, given.png, small.png, grey.png and alpha.png to a folder, for each model MODEL.png, which is given.png
restored, and what the first model makes of the last three, small-restored.png and so on.
"""

import sys
from pathlib import Path

import torch
from PIL import Image

import lnca
from lnca.corruption import masked_noise
from lnca.demo import photograph
from lnca.randomness import generator
from lnca.restoration.pictures import to_image, to_tensor

# No multiples of a cell's side.
WIDTH, HEIGHT = 131, 90


def main(folder: Path, models: list[str]) -> None:
    torch.set_num_threads(1)
    clean = photograph().crop((180, 250, 180 + WIDTH, 250 + HEIGHT))
    clean.save(folder / "clean.png")
    given = to_image(masked_noise(to_tensor(clean), 0.5, generator("cpu", 0, "page"))[0])
    alpha = given.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(given.size).point(lambda value: 128 + value // 2))
    pictures = {"given": given, "small": given.crop((0, 0, 34, 30)), "grey": given.convert("L"), "alpha": alpha}
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.png")
        if name != "given":
            lnca.restore(picture, model=models[0]).save(folder / f"{name}-restored.png")
    for model in models:
        lnca.restore(given, model=model).save(folder / f"{model}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
