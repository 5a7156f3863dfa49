"""The demonstration of darktable's model repositories: a picture is restored in tiles, as darktable does it.

It needs onnxruntime, numpy and Pillow.
"""

import argparse
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

# Pixels that darktable drops at every edge of a tile.
OVERLAP = 64


def demo(model: str, image: str, output: str, **options: Any) -> None:
    """Restores the picture `image` with the graph `model`, and writes it to `output`."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    picture = ImageOps.exif_transpose(Image.open(image)).convert("RGB")
    given = np.asarray(picture, np.float32).transpose(2, 0, 1) / 255
    restored = in_tiles(session, given).clip(0, 1) * 255
    Image.fromarray(restored.round().astype(np.uint8).transpose(1, 2, 0)).save(output)


def in_tiles(session: onnxruntime.InferenceSession, picture_CHW: np.ndarray) -> np.ndarray:
    """A picture (3, H, W) in [0, 1], restored tile by tile."""
    side = session.get_inputs()[0].shape[2]
    step = side - 2 * OVERLAP
    height, width = picture_CHW.shape[1:]
    result = np.empty_like(picture_CHW)
    for top in range(0, height, step):
        for left in range(0, width, step):
            rows, columns = (
                _mirrored(np.arange(begin - OVERLAP, begin - OVERLAP + side), size)
                for begin, size in ((top, height), (left, width))
            )
            (tile,) = session.run(["output"], {"input": picture_CHW[None, :, rows[:, None], columns]})
            kept = result[:, top : top + step, left : left + step]
            kept[...] = tile[0, :, OVERLAP : OVERLAP + kept.shape[1], OVERLAP : OVERLAP + kept.shape[2]]
    return result


def _mirrored(places: np.ndarray, size: int) -> np.ndarray:
    """Places outside a row of `size` pixels, mirrored into it."""
    period = max(2 * size - 2, 1)
    places = np.abs(places) % period
    return np.minimum(places, period - places).clip(0, size - 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "image", "output"):
        parser.add_argument(f"--{name}", required=True)
    demo(**vars(parser.parse_args()))
