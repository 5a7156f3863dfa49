"""Photographs restored by lnca's models and by other methods: quality on the test split, and time on one core.

Every method gets the same pictures: the middle of every second photograph of the test split. A method with a parameter
gets the value that is best on photographs of the validation split. Only methods that say so get the blur kernel.

    python benchmarks/photographs.py --task photo-denoise --data ../shared/data/photos --methods BM3D,photo-denoise
    python benchmarks/photographs.py --task photo-denoise --speed
    python benchmarks/photographs.py --task photo-denoise --draw

A method is a name of another method, a model's name, or a weight file; without --methods all methods of the task run.
The result file keeps the results of other methods. Needs `pip install '.[compare]'`.
"""

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.progress import Progress
from skimage import restoration

import lnca
from lnca.degradation import PhotoTask, gaussian_noise, photo_kernels, straight_kernels
from lnca.evaluation.photographs import CONDITIONS, Case, cases, chosen_pictures, scores, summary
from lnca.files import write_whole
from lnca.kernels.devices import use_threads
from lnca.measuring import denoisers
from lnca.measuring.measure import Timing, environment, time_together
from lnca.memory import keep_freed_memory
from lnca.paper.figures import figure
from lnca.randomness import generator

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SIDE = 256
SEED = 0
# Number of validation photographs for choosing a method's parameter.
TUNED_ON = 8
SPEED_SIDE = 512
ROUNDS = 3


@dataclass(frozen=True)
class Method:
    """A method to restore.

    Args:
        run: picture (H, W, 3) in [0, 1], known degradation, and parameter -> restored picture.
        parameters: values to choose from.
        kernel_known: whether it gets the blur kernel.
    """

    run: Callable[[np.ndarray, Any, float], np.ndarray]
    parameters: tuple[float, ...] = (1.0,)
    kernel_known: bool = False


def noise_of(x: np.ndarray, sigma: float | None) -> float:
    """The standard deviation of the noise in [0, 1]: given or estimated."""
    return sigma if sigma is not None else float(restoration.estimate_sigma(x, average_sigmas=True, channel_axis=-1))


def nlm_opencv(x: np.ndarray, sigma: float | None, factor: float) -> np.ndarray:
    return denoisers.opencv_nlm(x, factor * 255 * noise_of(x, sigma))


def nlm_skimage(x: np.ndarray, sigma: float | None, factor: float) -> np.ndarray:
    deviation = noise_of(x, sigma)
    return restoration.denoise_nl_means(
        x, h=factor * deviation, sigma=deviation, patch_size=5, patch_distance=6, fast_mode=True, channel_axis=-1
    )


def total_variation(x: np.ndarray, sigma: float | None, factor: float) -> np.ndarray:
    return restoration.denoise_tv_chambolle(x, weight=factor * noise_of(x, sigma), channel_axis=-1)


def wavelet(x: np.ndarray, sigma: float | None, factor: float) -> np.ndarray:
    return restoration.denoise_wavelet(
        x, sigma=factor * noise_of(x, sigma), channel_axis=-1, convert2ycbcr=True, rescale_sigma=True
    )


def block_matching(x: np.ndarray, sigma: float | None, factor: float) -> np.ndarray:
    return denoisers.bm3d_of(x, factor * 255 * noise_of(x, sigma))


def gaussian_kernel(deviation: float) -> np.ndarray:
    grid = np.arange(-7, 8)
    line = np.exp(-(grid**2) / (2 * deviation**2))
    return np.outer(line, line) / line.sum() ** 2


def by_channel(x: np.ndarray, restore: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Applies a method for grey pictures to each channel of a mirrored picture, since these methods have periodic
    borders."""
    margin = 32
    wide = np.pad(x, ((margin, margin), (margin, margin), (0, 0)), "reflect")
    return np.stack([restore(wide[..., channel]) for channel in range(3)], -1)[margin:-margin, margin:-margin]


def wiener(x: np.ndarray, kernel: np.ndarray, balance: float) -> np.ndarray:
    return by_channel(x, lambda channel: restoration.wiener(channel, kernel, balance))


def richardson_lucy(x: np.ndarray, kernel: np.ndarray, iterations: float) -> np.ndarray:
    return by_channel(x, lambda channel: restoration.richardson_lucy(channel, kernel, int(iterations)))


def unsupervised_wiener(x: np.ndarray, kernel: np.ndarray, _: float) -> np.ndarray:
    return by_channel(x, lambda channel: restoration.unsupervised_wiener(channel, kernel, rng=0)[0])


def guessing(restore: Callable[..., np.ndarray], fixed: float) -> Callable[..., np.ndarray]:
    """A deconvolution with a Gaussian kernel, whose width is the parameter."""
    return lambda x, _, deviation: restore(x, gaussian_kernel(deviation), fixed)


WIDTHS = (0.3, 0.6, 1.0, 1.5, 2.5)
NOTHING = Method(lambda x, *_: x)
METHODS: dict[PhotoTask, dict[str, Method]] = {
    "photo-denoise": {
        "nothing": NOTHING,
        "BM3D": Method(block_matching),
        "non-local means (OpenCV)": Method(nlm_opencv, (0.3, 0.5, 0.7, 0.9, 1.2)),
        "non-local means (scikit-image)": Method(nlm_skimage, (0.4, 0.6, 0.8, 1.0)),
        "total variation": Method(total_variation, (0.5, 0.8, 1.1, 1.5, 2.0)),
        "wavelets": Method(wavelet, (0.4, 0.7, 1.0, 1.4)),
    },
    "photo-deblur": {
        "nothing": NOTHING,
        "Wiener": Method(guessing(wiener, 0.05), WIDTHS),
        "unsupervised Wiener": Method(guessing(unsupervised_wiener, 0), WIDTHS),
        "Richardson-Lucy": Method(guessing(richardson_lucy, 10), WIDTHS),
        "Wiener (kernel known)": Method(wiener, (1e-3, 3e-3, 1e-2, 3e-2, 0.1), kernel_known=True),
        "Richardson-Lucy (kernel known)": Method(richardson_lucy, (3, 6, 10, 20, 40), kernel_known=True),
    },
}


def ours(name: str) -> Method:
    """A model of this library, on one thread."""
    restorer = lnca.load(name, "cpu")
    return Method(lambda x, *_: restorer.restore(x.astype(np.float32)))


def known(method: Method, task: PhotoTask, condition: str, name: str) -> Any:
    """The information that a method gets: the standard deviation of Gaussian noise, or the blur kernel."""
    if task == "photo-denoise":
        return int(condition.split()[1]) / 255 if condition.startswith("sigma") else None
    if not method.kernel_known:
        return None
    draw = generator("cpu", SEED, "photographs", condition, name)
    if condition == "mixture":
        return photo_kernels(1, draw)[0].double().numpy()
    return straight_kernels(1, draw, float(condition.split()[0]))[0].double().numpy()


def apply(method: Method, task: PhotoTask, condition: str, case: Case, parameter: float) -> torch.Tensor:
    x = case.degraded[0].permute(1, 2, 0).double().numpy()
    restored = method.run(x, known(method, task, condition, case.name), parameter)
    return torch.from_numpy(np.asarray(restored, np.float32)).clamp(0, 1).permute(2, 0, 1)[None]


def conditions(task: PhotoTask) -> list[str]:
    """All conditions except clean pictures, since other methods need a given strength."""
    return [name for name in CONDITIONS[task] if name != "clean"]


def tested(data: Path) -> list[Path]:
    """The photographs on which all methods are scored."""
    return chosen_pictures(data, "test", SEED)[::2]


def measure(method: Method, task: PhotoTask, data: Path, advance: Callable[[], None]) -> dict[str, Any]:
    """Scores on the test split for each condition, with the best parameter on the validation split."""
    result: dict[str, Any] = {}
    for condition in conditions(task):
        best = method.parameters[0]
        if len(method.parameters) > 1:
            tuning = list(cases(chosen_pictures(data, "validation", 0)[::4][:TUNED_ON], task, condition, SEED, SIDE))

            def quality(parameter: float) -> float:
                pairs = ((apply(method, task, condition, case, parameter), case) for case in tuning)  # noqa: B023
                return sum(scores(restored, case.clean)["psnr"] for restored, case in pairs)

            best = max(method.parameters, key=quality)
        rows = []
        for case in cases(tested(data), task, condition, SEED, SIDE):
            rows.append(scores(apply(method, task, condition, case, best), case.clean))
            advance()
        psnr = [round(row["psnr"], 3) for row in rows]
        result[condition] = {"parameter": best, **summary(rows), "psnr of each": psnr}
    return result


def speed(methods: dict[str, Method], task: PhotoTask) -> dict[str, Any]:
    """Seconds a megapixel on one core, all methods in turn."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    use_threads(1)
    cv2.setNumThreads(1)
    keep_freed_memory()
    picture = torch.rand(1, 3, SPEED_SIDE // 16, SPEED_SIDE // 16, generator=generator("cpu", 0, "speed"))
    picture = torch.nn.functional.interpolate(picture, (SPEED_SIDE, SPEED_SIDE), mode="bicubic").clamp(0, 1)
    noisy = gaussian_noise(picture, 25 / 255, generator("cpu", 0, "speed"))[0].permute(1, 2, 0).double().numpy()
    kernel = straight_kernels(1, generator("cpu", 0, "speed"), 10.0)[0].double().numpy()
    ways: dict[str, Callable[[], object]] = {
        name: partial(
            method.run,
            noisy,
            kernel if method.kernel_known else 25 / 255,
            method.parameters[len(method.parameters) // 2],
        )
        for name, method in methods.items()
    }
    times = time_together(ways, ROUNDS, torch.device("cpu"))
    megapixels = SPEED_SIDE**2 / 1e6
    return {
        name: Timing(t.median / megapixels, t.low / megapixels, t.high / megapixels, t.rounds).as_json()
        for name, t in times.items()
    }


def draw(results: dict[str, Any], task: PhotoTask, path: Path) -> None:
    """Draws PSNR against milliseconds a megapixel, one picture for each condition."""
    names = conditions(task)
    with figure(path, 1, len(names), (3.2 * len(names), 4)) as (drawing, axes):
        for axis, condition in zip(axes[0], names, strict=True):
            for name, scored in results["quality"].items():
                if name == "nothing":
                    axis.axhline(scored[condition]["psnr"]["mean"], linestyle="dotted", label=name)
                elif name in results["seconds a megapixel"]:
                    seconds = results["seconds a megapixel"][name]["median"]
                    axis.scatter(1000 * seconds, scored[condition]["psnr"]["mean"], label=name)
            axis.set_xscale("log")
            axis.set_title(condition)
            axis.set_xlabel("ms a megapixel, one core")
        axes[0][0].set_ylabel("PSNR (dB)")
        drawing.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize="small")


def table(results: dict[str, Any], task: PhotoTask) -> str:
    """The results as a table of a document: PSNR and SSIM of each condition, and time."""
    names = conditions(task)
    lines = [f"| | {' | '.join(names)} | s a megapixel |", f"| --- | {'--- | ' * len(names)}--- |"]
    for name, scored in results["quality"].items():
        cells = [f"{scored[c]['psnr']['mean']:.2f} / {scored[c]['ssim']['mean']:.3f}" for c in names]
        seconds = results["seconds a megapixel"].get(name)
        time = f"{seconds['median']:.3g}" if seconds else "-"
        lines.append(f"| {name} | {' | '.join(cells)} | {time} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=list(METHODS), required=True)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "photos")
    parser.add_argument("--methods", help="comma-separated")
    parser.add_argument("--speed", action="store_true", help="measure time, not quality")
    parser.add_argument("--draw", action="store_true", help="draw the results, and print them as a table")
    options = parser.parse_args()
    task: PhotoTask = options.task
    file = RESULTS / f"photographs-{task.removeprefix('photo-')}.json"

    def keep(part: str, values: dict[str, Any]) -> dict[str, Any]:
        """Adds to the result file, which another process may have changed meanwhile."""
        results: dict[str, Any] = {"side": SIDE, "quality": {}, "seconds a megapixel": {}}
        if file.exists():
            results = json.loads(file.read_text("utf-8"))
        results[part].update(values)
        write_whole(file, (json.dumps(results, indent=2) + "\n").encode())
        return results

    if options.draw:
        results = keep("quality", {})
        draw(results, task, ROOT / "docs" / "images" / f"{file.stem}.png")
        print(table(results, task))
        return
    names = options.methods.split(",") if options.methods else [*METHODS[task], task]
    methods = {Path(name).stem: METHODS[task].get(name) or ours(name) for name in names}
    if options.speed:
        measured = speed(methods, task)
        keep("seconds a megapixel", {"environment": environment(torch.device("cpu")), **measured})
        return
    with Progress() as progress:
        for name, method in methods.items():
            count = len(tested(options.data))
            bar = progress.add_task(name, total=count * len(conditions(task)))
            scored = measure(method, task, options.data, partial(progress.advance, bar))
            keep("quality", {name: scored})
            for condition, row in scored.items():
                print(f"{name:32} {condition:10} SSIM {row['ssim']['mean']:.4f}  PSNR {row['psnr']['mean']:.2f}")


if __name__ == "__main__":
    main()
