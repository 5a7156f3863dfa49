"""Denoising photographs of the test split at full size: quality against time on one core, beside the classical methods.

BM3D, non-local means, total variation and wavelets are told the noise level where it is known (Gaussian) and its
estimate (scikit-image's) where it is not; our models are told nothing. Needs `pip install 'lnca[compare]'`.

    python benchmarks/photographs.py --data ../shared/data/photos
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import bm3d
import cv2
import numpy as np
import torch
from rich.progress import track
from skimage import restoration

import lnca
from lnca import metrics
from lnca.benchmark.measure import environment
from lnca.corruption import masked_noise
from lnca.data.source import FilePicture
from lnca.data.splits import split_groups
from lnca.degradation import camera_noise, gaussian_noise, jpeg
from lnca.files import write_whole
from lnca.paper.figures import figure
from lnca.randomness import generator
from lnca.restoration.image_io import find_pictures
from lnca.restoration.restorer import Restorer

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "photographs.json"
PICTURE = ROOT / "docs" / "images" / "quality-time.png"
SIGMAS = (15, 25, 50)

Array = np.ndarray
# Picture uint8 (H, W, 3) and sigma in [0, 1] -> picture in [0, 1].
Method = Callable[[Array, float], Array]


def noises() -> dict[str, tuple[Callable[[torch.Tensor, torch.Generator], torch.Tensor], float | None]]:
    """Kinds of noise, with their sigma where it is one number."""

    def gaussian(sigma: int) -> Callable[[torch.Tensor, torch.Generator], torch.Tensor]:
        return lambda x, draw: gaussian_noise(x, sigma / 255, draw)

    return {
        **{f"Gaussian, sigma {sigma}": (gaussian(sigma), sigma / 255) for sigma in SIGMAS},
        "camera, JPEG 85": (lambda x, draw: jpeg(camera_noise(x, draw), torch.full((len(x),), 85.0)), None),
        "the paper's, intensity 0.5": (lambda x, draw: masked_noise(x, 0.5, draw), None),
    }


def classical() -> dict[str, Method]:
    """Methods without training."""

    def scaled(x: Array) -> Array:
        return x.astype(np.float32) / 255

    def opencv(x: Array, sigma: float) -> Array:
        strength = max(1.0, 0.9 * sigma * 255)
        return scaled(cv2.fastNlMeansDenoisingColored(x, None, strength, strength, 7, 21))

    def means(x: Array, sigma: float) -> Array:
        size = {"patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": -1}
        return restoration.denoise_nl_means(scaled(x), h=0.8 * sigma, sigma=sigma, **size)

    return {
        "BM3D": lambda x, sigma: bm3d.bm3d_rgb(scaled(x), sigma),
        "OpenCV non-local means": opencv,
        "scikit-image non-local means": means,
        "total variation": lambda x, s: restoration.denoise_tv_chambolle(scaled(x), weight=1.2 * s, channel_axis=-1),
        "wavelets": lambda x, s: restoration.denoise_wavelet(
            scaled(x), sigma=s, channel_axis=-1, convert2ycbcr=True, method="BayesShrink", rescale_sigma=True
        ),
    }


def ours(names: list[str]) -> dict[str, Method]:
    """Shipped models, on one core."""

    def method(restorer: Restorer) -> Method:
        return lambda x, sigma: restorer.restore(x.astype(np.float32) / 255)

    result = {}
    for name in names:
        for precision in ("float32", "bfloat16"):
            result[f"{name}, {precision}"] = method(lnca.load(name, "cpu", "fused", precision))
    return result


def pictures(data: Path, side: int, count: int) -> list[tuple[str, Array]]:
    """The middle of photographs of the test split that are large enough."""
    paths = find_pictures(data)
    chosen = [paths[index] for index in split_groups([path.name for path in paths], 0)["test"]]
    result: list[tuple[str, Array]] = []
    for path in chosen:
        picture = FilePicture(path).read()
        top, left = ((size - side) // 2 for size in picture.shape[:2])
        if min(top, left) >= 0 and len(result) < count:
            result.append((path.name, picture[top : top + side, left : left + side]))
    return result


def scores(restored: Array, clean: Array) -> tuple[float, float]:
    """SSIM and PSNR of two pictures in [0, 1]."""
    x, y = (torch.from_numpy(np.ascontiguousarray(p, np.float32)).permute(2, 0, 1)[None] for p in (restored, clean))
    return metrics.ssim(x.clamp(0, 1), y).item(), metrics.psnr(x.clamp(0, 1), y).item()


def spread(values: list[float]) -> dict[str, float]:
    return {"mean": statistics.fmean(values), "deviation": statistics.stdev(values) if len(values) > 1 else 0.0}


def measure(names: list[str], data: Path, side: int, count: int) -> list[dict[str, Any]]:
    """One row for every noise and method."""
    chosen, rows = pictures(data, side, count), []
    methods = classical() | ours(names)
    for noise, (corrupt, known) in noises().items():
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ("corrupted", *methods)}
        for number, (_, clean) in enumerate(track(chosen, noise)):
            x = torch.from_numpy(clean.copy()).permute(2, 0, 1)[None] / 255
            noisy = corrupt(x, generator("cpu", 0, noise, number))
            picture = (noisy[0].permute(1, 2, 0) * 255).round().byte().numpy()
            sigma = known or float(restoration.estimate_sigma(picture / 255, channel_axis=-1, average_sigmas=True))
            reference = clean / np.float32(255)
            found["corrupted"].append((*scores(picture / np.float32(255), reference), 0.0))
            for name, method in methods.items():
                start = time.perf_counter()
                restored = method(picture, sigma)
                seconds = time.perf_counter() - start
                found[name].append((*scores(restored, reference), seconds))
        for name, values in found.items():
            ssim, psnr, seconds = (list(column) for column in zip(*values, strict=True))
            rows.append({
                "noise": noise, "method": name, "ssim": spread(ssim), "psnr": spread(psnr),
                "seconds": statistics.median(seconds),
            })  # fmt: skip
    return rows


def draw(rows: list[dict[str, Any]], pixels: int) -> None:
    """PSNR against milliseconds a megapixel, one panel a noise."""
    kinds = list(dict.fromkeys(row["noise"] for row in rows))
    with figure(PICTURE, 1, len(kinds), (3.6 * len(kinds), 3.6)) as (_, axes):
        for axis, noise in zip(axes[0], kinds, strict=True):
            for row in rows:
                if row["noise"] == noise and row["seconds"]:
                    x, y = row["seconds"] * 1e9 / pixels, row["psnr"]["mean"]
                    axis.plot(x, y, "o")
                    axis.annotate(row["method"], (x, y), fontsize=6)
            axis.set_xscale("log")
            axis.set_title(noise, fontsize=9)
            axis.set_xlabel("ms a megapixel, one core")
        axes[0][0].set_ylabel("PSNR, dB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["photo-denoise"])
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--count", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = measure(options.models, options.data, options.side, options.count)
    content = {
        "environment": environment(torch.device("cpu")), "side": options.side, "count": options.count, "rows": rows,
    }  # fmt: skip
    write_whole(RESULTS, (json.dumps(content, indent=2) + "\n").encode())
    draw(rows, options.side**2)
    for row in rows:
        print(
            f"{row['noise']:28} {row['method']:32} SSIM {row['ssim']['mean']:.4f}  PSNR {row['psnr']['mean']:.2f}  "
            f"{row['seconds'] * 1e3:.0f} ms"
        )


if __name__ == "__main__":
    main()
