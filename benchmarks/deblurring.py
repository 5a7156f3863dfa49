"""Deblurring of real hand shake and of other blur, blind and with the true kernel.

    python benchmarks/deblurring.py                      # writes benchmarks/results/deblurring.json
    python benchmarks/deblurring.py --every 12 --kernels levin walks --out /tmp/some.json
    python benchmarks/deblurring.py --pictures kodim09 kodim17
    python benchmarks/deblurring.py --pictures kodim09 kodim17 --kernels levin --conditions 0 2 1+jpeg90 1+jpeg75
    python benchmarks/deblurring.py --speed              # seconds a megapixel, into the same file
    python benchmarks/deblurring.py --table --pictures kodim09 kodim17

A picture is blurred and cropped to the valid part, so that its border does not reveal the blur. Then it gets Gaussian
noise, is rounded to 8 bits, and compressed as JPEG if the condition says so. Scores are PSNR and SSIM at the best shift
of up to 8 pixels, since a blind estimate leaves the shift of a kernel open; 24 pixels at the border are ignored. Scores
in the result file are not computed again, unless they belong to other weights or --again names the method. Seconds
beside scores are those of the processor, with one thread. --speed times a picture of 1024x1024 pixels on one core.

Kernels: `levin` (the eight of Levin, Weiss, Durand and Freeman, CVPR 2009, from --levin), `walks`
(`lnca.degradation.shake`), `lines`, `discs` and `none`. Other methods: unsharp mask; Wiener filter and Richardson-Lucy
of scikit-image with the true kernel; the Wiener filter with the blind estimate that photo-deblur starts from (Xu,
Zheng and Jia 2013), at full confidence; and the Wiener filter with the blind estimate of an independent method (Xu and
Jia 2010, `two_phase.py`), from the brightness of the whole picture. Each of them has the setting that is best for each
picture, which is unknown in practice.
"""

import argparse
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.progress import Progress
from scipy.ndimage import gaussian_filter
from scipy.signal import correlate2d, fftconvolve

import lnca
from lnca import metrics
from lnca.catalogue import describe, locate
from lnca.degradation.blur import discs, straight_kernels
from lnca.degradation.shake import shaken_kernel
from lnca.evaluation.protocols import bytes_of
from lnca.evaluation.public_sets import read, set_pictures
from lnca.files import write_whole
from lnca.kernels.devices import use_threads
from lnca.measuring.measure import Timing, environment, time_together
from lnca.memory import keep_freed_memory
from lnca.randomness import derive
from lnca.runtime.deblurring import LUMA, Blur
from lnca.runtime.weights import identity
from two_phase import blind_kernel

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
RESULT = ROOT / "benchmarks" / "results" / "deblurring.json"
# Side of the part that is blurred, before it is cropped to the valid part; pixels at the border that are ignored;
# largest shift in pixels.
SIDE, BORDER, SHIFT = 512, 24, 8
WALKS, LONGEST = 8, 41
LENGTHS, RADII = (5, 10, 20), (2, 4)
# Side of the kernel of Xu and Jia 2010: the largest that photo-deblur looks for.
BLIND_SIDE = 31
KINDS = ("levin", "walks", "lines", "discs", "none")
SETTINGS: dict[str, list[Any]] = {
    "unsharp mask": [(radius, amount) for radius in (1, 2) for amount in (0.5, 1, 2)],
    "Wiener": [1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
    "Richardson-Lucy": [10, 30],
}
# The condition of the first table.
USUAL = "1"
# The picture of --speed: its side, and a kernel of Levin's.
SPEED_SIDE, SPEED_KERNEL = 1024, "kernel3"


@dataclass(frozen=True)
class Condition:
    """Noise and compression of a blurred picture. The name, such as "2" or "1+jpeg90", has the standard deviation of
    the noise in hundredths, and the quality of JPEG, if any."""

    name: str
    noise: float
    quality: int | None

    @classmethod
    def named(cls, name: str) -> "Condition":
        noise, _, quality = name.partition("+jpeg")
        return cls(name, float(noise), int(quality) if quality else None)

    def __call__(self, blurred: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """The given picture, (H, W, 3) in [0, 1], rounded to 8 bits."""
        noisy = bytes_of(blurred + draw.normal(0, self.noise / 100, blurred.shape))
        if self.quality is not None:
            file = io.BytesIO()
            Image.fromarray(noisy).save(file, "JPEG", quality=self.quality)
            noisy = np.asarray(Image.open(file))
        return noisy / 255


@dataclass(frozen=True, eq=False)
class Case:
    """A blurred picture (H, W, 3) in [0, 1], the sharp one, and its kernel (K, L)."""

    name: str
    given: np.ndarray
    sharp: np.ndarray
    kernel: np.ndarray


def kernels(kinds: list[str], levin: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yields names and kernels, of sum 1."""
    if "levin" in kinds:
        with np.load(levin, allow_pickle=False) as file:
            for name in sorted(file.files):
                yield f"levin/{name.removeprefix('kernel')}", file[name] / file[name].sum()
    for number in range(WALKS if "walks" in kinds else 0):
        draw = np.random.default_rng(derive("walks", number))
        yield f"walks/{number}", shaken_kernel(draw.uniform(8, 25), LONGEST, draw)
    for length in LENGTHS if "lines" in kinds else ():
        angle = torch.Generator().manual_seed(length)
        yield f"lines/{length}", straight_kernels(1, angle, length)[0].double().numpy()
    for radius in RADII if "discs" in kinds else ():
        yield f"discs/{radius}", discs(torch.tensor([float(radius)]))[0].double().numpy()
    if "none" in kinds:
        yield "none/none", np.ones((1, 1))


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """Yields every picture with every kernel, in every condition."""
    paths = set_pictures(options.benchmarks, options.set, options.every)
    if options.pictures:
        every = {path.stem: path for path in set_pictures(options.benchmarks, options.set)}
        paths = [every[name] for name in options.pictures]
    for kernel_name, kernel in kernels(options.kernels, options.levin):
        for path in paths:
            for condition in map(Condition.named, options.conditions):
                picture = read(path) / 255
                top, left = ((size - min(size, SIDE)) // 2 for size in picture.shape[:2])
                picture = picture[top : top + SIDE, left : left + SIDE]
                blurred = np.stack([fftconvolve(plane, kernel, "valid") for plane in picture.transpose(2, 0, 1)], -1)
                draw = np.random.default_rng(derive("deblurring", kernel_name, path.name))
                given = condition(blurred, draw)
                rows, columns = (size - 1 - size // 2 for size in kernel.shape)
                sharp = picture[rows : rows + given.shape[0], columns : columns + given.shape[1]]
                yield Case(f"{kernel_name}/{path.stem}/{condition.name}", given, sharp, kernel)


def scored(restored: np.ndarray, sharp: np.ndarray) -> tuple[float, float]:
    """PSNR (60 dB at most) and SSIM at the best shift."""
    inner = slice(BORDER, -BORDER)
    wanted = sharp[inner, inner]
    at, best = (0, 0), math.inf
    for rows in range(-SHIFT, SHIFT + 1):
        for columns in range(-SHIFT, SHIFT + 1):
            # Every other row and column suffices to find the best shift.
            error = float(np.square(_shifted(restored, rows, columns)[::2, ::2] - wanted[::2, ::2]).mean())
            if error < best:
                at, best = (rows, columns), error
    pair = (
        torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))[None].float()
        for x in (_shifted(restored, *at), wanted)
    )
    first, second = pair
    return min(metrics.psnr(first, second).item(), 60.0), metrics.ssim(first, second).item()


def _shifted(picture: np.ndarray, rows: int, columns: int) -> np.ndarray:
    height, width = picture.shape[:2]
    return picture[BORDER + rows : height - BORDER + rows, BORDER + columns : width - BORDER + columns]


def likeness(kernel: np.ndarray, truth: np.ndarray) -> float:
    """Largest normalised correlation of two kernels over all shifts (Hu and Yang 2012)."""
    return float(correlate2d(kernel, truth).max() / np.sqrt(np.square(kernel).sum() * np.square(truth).sum()))


def best_of(case: Case, name: str, result_of: Callable[[Any], np.ndarray]) -> np.ndarray:
    """The result of a method with the setting that is best for the picture."""
    tried = [result_of(setting).clip(0, 1) for setting in SETTINGS[name]]
    inner = slice(BORDER, -BORDER)
    errors = [float(np.square((picture - case.sharp)[inner, inner]).mean()) for picture in tried]
    return tried[int(np.argmin(errors))]


def by_channel(picture: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Applies a function to each channel of a picture with mirrored borders, which are cropped afterwards."""
    margin = LONGEST
    planes = np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), "reflect").transpose(2, 0, 1)
    return np.stack([function(plane) for plane in planes], -1)[margin:-margin, margin:-margin]


def methods(model: str) -> dict[str, Callable[[Case], dict[str, Any]]]:
    """Methods by name. Each returns a "picture", and its "kernel" if it estimates one."""
    from skimage.restoration import richardson_lucy, wiener

    restorer = lnca.load(model, "cpu")

    def as_given(picture: np.ndarray) -> np.ndarray:
        return bytes_of(picture)

    # All methods get the same object for a case, one after the other, so the cache holds one entry.
    @lru_cache(1)
    def found(case: Case) -> Blur:
        return restorer.blur(as_given(case.given))

    def ours(case: Case) -> dict[str, Any]:
        blur = found(case)
        return {"picture": restorer.restore(as_given(case.given), kernel=blur) / 255, "kernel": blur.as_array()}

    def known(case: Case) -> dict[str, Any]:
        return {"picture": restorer.restore(as_given(case.given), kernel=case.kernel) / 255}

    def sharpened(case: Case) -> dict[str, Any]:
        def result_of(setting: tuple[float, float]) -> np.ndarray:
            radius, amount = setting
            return case.given + amount * (case.given - gaussian_filter(case.given, (radius, radius, 0)))

        return {"picture": best_of(case, "unsharp mask", result_of)}

    def wiener_of(case: Case, kernel: np.ndarray) -> np.ndarray:
        odd = np.pad(kernel, [(0, 1 - size % 2) for size in kernel.shape])
        return best_of(
            case,
            "Wiener",
            lambda balance: by_channel(case.given, lambda plane: wiener(plane, odd, balance, clip=False)),
        )

    def two_phase(case: Case) -> dict[str, Any]:
        kernel = blind_kernel(case.given @ np.array(LUMA), BLIND_SIDE)
        return {"picture": wiener_of(case, kernel), "kernel": kernel}

    def lucy(case: Case) -> dict[str, Any]:
        picture = best_of(
            case,
            "Richardson-Lucy",
            lambda count: by_channel(case.given, lambda plane: richardson_lucy(plane, case.kernel, count)),
        )
        return {"picture": picture}

    return {
        "given": lambda case: {"picture": case.given},
        "unsharp mask": sharpened,
        "Xu and Jia 2010 + Wiener": two_phase,
        "Xu 2013 + Wiener": lambda case: {"picture": wiener_of(case, found(case).kernel)},
        f"{model}": ours,
        "Wiener, true kernel": lambda case: {"picture": wiener_of(case, case.kernel)},
        "Richardson-Lucy, true kernel": lucy,
        f"{model}, true kernel": known,
    }


def run(options: argparse.Namespace) -> None:
    weights = identity(describe(locate(options.model)))
    every, all_methods = list(cases(options)), methods(options.model)
    held = json.loads(options.out.read_text("utf-8")) if options.out.exists() else None
    known = scores_kept(
        options, held, weights, [name for name in all_methods if name.startswith(("Xu 2013", options.model))]
    )
    if options.methods:
        all_methods = {name: all_methods[name] for name in options.methods}
    use_threads(1)
    with Progress() as progress:
        bar = progress.add_task("deblurring", total=len(every) * len(all_methods))
        for case in every:
            for name, method in all_methods.items():
                row = known.setdefault(name, {})
                if case.name not in row:
                    begun = time.process_time()
                    result = method(case)
                    seconds = time.process_time() - begun
                    psnr, ssim = scored(result["picture"], case.sharp)
                    row[case.name] = {"psnr": round(psnr, 3), "ssim": round(ssim, 4), "seconds": round(seconds, 2)}
                    if "kernel" in result:
                        row[case.name]["likeness"] = round(likeness(result["kernel"], case.kernel), 3)
                progress.advance(bar)
            result = {
                **(held or {}),
                "environment": environment(torch.device("cpu")),
                "weights": weights,
                "set": options.set,
                "scores": known,
            }
            write_whole(options.out, (json.dumps(result, indent=1) + "\n").encode())


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds a megapixel on one core, all in turn, for an enlarged picture of the set with a kernel of a hand."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    use_threads(1)
    keep_freed_memory()
    with np.load(options.levin, allow_pickle=False) as file:
        kernel = file[SPEED_KERNEL] / file[SPEED_KERNEL].sum()
    picture = Image.fromarray(read(set_pictures(options.benchmarks, options.set)[0]))
    side = SPEED_SIDE + max(kernel.shape) - 1
    sharp = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC)) / 255
    blurred = np.stack([fftconvolve(plane, kernel, "valid") for plane in sharp.transpose(2, 0, 1)], -1)
    given = bytes_of(Condition.named(USUAL)(blurred[:SPEED_SIDE, :SPEED_SIDE], np.random.default_rng(0)))
    restorer, denoiser = lnca.load(options.model, "cpu"), lnca.load("photo-denoise", "cpu")
    confidence = restorer.blur(given).confidence
    if confidence < 1:
        raise SystemExit(f"deblurring: with a confidence of {confidence} in the kernel, restoring takes no time")
    ways: dict[str, Callable[[], object]] = {
        options.model: lambda: restorer.restore(given),
        f"{options.model}, true kernel": lambda: restorer.restore(given, kernel=kernel),
        "photo-denoise": lambda: denoiser.restore(given),
    }
    area = given.shape[0] * given.shape[1] / 1e6
    times = time_together(ways, options.rounds, torch.device("cpu"))
    seconds = {name: Timing(t.median / area, t.low / area, t.high / area, t.rounds) for name, t in times.items()}
    return {
        "environment": environment(torch.device("cpu")),
        **{name: timing.as_json() for name, timing in seconds.items()},
    }


def scores_kept(
    options: argparse.Namespace, held: dict[str, Any] | None, weights: str, ours: list[str]
) -> dict[str, Any]:
    """The scores in the result file, by method, without those of methods that must run again.

    Args:
        held: content of the result file, if there is one.
        weights: digest of the current weights.
        ours: methods whose scores depend on the weights.
    """
    if held is None:
        return {}
    again = {*options.again, *([] if held["weights"] == weights else ours)}
    return {name: rows for name, rows in held["scores"].items() if name not in again}


def tables(path: Path, pictures: list[str]) -> str:
    """The result as Markdown tables: all kinds of blur in the usual condition, and one kind in all conditions.

    Args:
        pictures: names of the pictures to average over; all if empty.
    """
    scores = {
        name: {key: row for key, row in rows.items() if not pictures or key.split("/")[2] in pictures}
        for name, rows in json.loads(path.read_text("utf-8"))["scores"].items()
    }
    return f"{by_kind(scores)}\n\n{by_condition(scores)}"


def mean_of(rows: list[dict[str, float]]) -> str:
    """Mean PSNR and SSIM as text; empty without rows."""
    if not rows:
        return ""
    return f"{np.mean([row['psnr'] for row in rows]):.2f} / {np.mean([row['ssim'] for row in rows]):.3f}"


def by_condition(scores: dict[str, Any], kind: str = KINDS[0]) -> str:
    """A table of PSNR and SSIM in each condition, for one kind of kernels."""
    names = dict.fromkeys(key.split("/")[3] for key in scores["given"] if key.startswith(f"{kind}/"))
    conditions = sorted(names, key=lambda name: (Condition.named(name).quality or 0, Condition.named(name).noise))
    lines = ["| | " + " | ".join(conditions) + " |", "| --- |" + " --- |" * len(conditions)]
    for name, rows in scores.items():
        cells = [
            mean_of([row for key, row in rows.items() if key.startswith(f"{kind}/") and key.split("/")[3] == condition])
            for condition in conditions
        ]
        if all(cells):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def by_kind(scores: dict[str, Any]) -> str:
    """A table of PSNR and SSIM for each kind of blur in the usual condition, and of the gain for the worst kernel."""
    usual = {
        name: {key: row for key, row in rows.items() if key.split("/")[3] == USUAL} for name, rows in scores.items()
    }
    kinds = [kind for kind in KINDS if any(key.startswith(kind) for key in usual["given"])]
    lines = ["| | " + " | ".join(kinds) + " | worst kernel of levin |", "| --- |" + " --- |" * (len(kinds) + 1)]
    for name, found in usual.items():
        cells = [mean_of([row for key, row in found.items() if key.startswith(kind)]) for kind in kinds]
        gains: dict[str, list[float]] = {}
        for key, row in found.items():
            if key.startswith("levin"):
                gains.setdefault(key.split("/")[1], []).append(row["psnr"] - usual["given"][key]["psnr"])
        worst = f"{min(map(np.mean, gains.values())):+.2f}" if gains else ""
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {worst} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", type=Path, default=DATA / "benchmarks")
    parser.add_argument("--set", default="Kodak24")
    parser.add_argument("--levin", type=Path, default=DATA / "kernels" / "levin09.npz")
    parser.add_argument("--kernels", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--every", type=int, default=8, help="of the set's pictures")
    parser.add_argument(
        "--conditions",
        nargs="+",
        default=[USUAL],
        help="noise in hundredths of white, and JPEG's quality: 0, 2, 1+jpeg75, ...",
    )
    parser.add_argument("--methods", nargs="+", default=[], help="only these")
    parser.add_argument("--again", nargs="+", default=[], help="methods whose scores are computed again")
    parser.add_argument("--pictures", nargs="+", default=[], help="names without suffix, instead of --every")
    parser.add_argument("--model", default="photo-deblur")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true", help="print the tables of the result file")
    parser.add_argument("--speed", action="store_true", help="measure time, not quality")
    parser.add_argument("--rounds", type=int, default=5, help="of --speed")
    options = parser.parse_args()
    if options.speed:
        held = json.loads(options.out.read_text("utf-8"))
        held["seconds a megapixel"] = speed(options)
        write_whole(options.out, (json.dumps(held, indent=1) + "\n").encode())
        print(json.dumps(held["seconds a megapixel"], indent=1))
        return
    if not options.table:
        run(options)
    print(tables(options.out, options.pictures))


if __name__ == "__main__":
    main()
