"""Flicker of restored video: how much the error changes from frame to frame, and whether cells that start from the last
frame's cells flicker less or need fewer steps.

Clips are static or panning views of photographs, and frames of a real film (`--clip`), all with independent noise in
every frame. Panning views are compared in the coordinates of the photograph, so that only errors change.

    python benchmarks/flicker.py --data ../shared/data/photos --clip FILM    # benchmarks/results/flicker.json
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import lnca
from lnca.corruption import PAPER_DIFFICULTY, masked_noise
from lnca.evaluation.photographs import chosen_pictures
from lnca.files import write_whole
from lnca.nn.pyramid import Cells, PyramidAutomaton
from lnca.restoration.film import BEFORE, OTHER_SCENE
from lnca.runtime.models import Latent
from lnca.runtime.settling import Settling

RESULTS = Path(__file__).parent / "results" / "flicker.json"
# Side of a frame in pixels, number of frames of a clip, and number of first frames that are not scored.
SIDE, FRAMES, FIRST = 128, 8, 3
# Motion of the panning view in pixels per frame, down and to the right.
PAN = (1, 3)
SIGMA = 25.0
# Largest change of a channel of a settled cell, as in `lnca restore --steps auto`.
TOLERANCE = 0.01

# Restores one frame after the other, (H, W, 3) float32 in [0, 1]; it may keep a state.
RestoreFrame = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Clean and noisy frames, (T, H, W, 3) float32 in [0, 1], and for each frame the first row and column of the part
    that all frames show."""

    name: str
    clean: np.ndarray
    noisy: np.ndarray
    corners: list[tuple[int, int]]

    def still(self, frames: np.ndarray) -> np.ndarray:
        """The aligned part that all frames show: (T, h, w, 3)."""
        down, right = (max(corner[axis] for corner in self.corners) for axis in (0, 1))
        height, width = frames.shape[1] - down, frames.shape[2] - right
        return np.stack(
            [
                frame[top : top + height, left : left + width]
                for frame, (top, left) in zip(frames, self.corners, strict=True)
            ]
        )


def gaussian(frames: np.ndarray, seed: int) -> np.ndarray:
    """Adds independent Gaussian noise to every frame, and rounds to 8 bits, as films do."""
    draw = np.random.default_rng(seed)
    return (255 * frames + draw.normal(0, SIGMA, frames.shape)).round().clip(0, 255).astype(np.float32) / 255


def paper(frames: np.ndarray, seed: int) -> np.ndarray:
    """Adds the paper's noise, at the difficulty of the test."""
    draw = np.random.default_rng(seed)
    return np.stack([masked_noise(frame, PAPER_DIFFICULTY["denoise"], draw) for frame in frames])


def views(path: Path, step: tuple[int, int]) -> np.ndarray:
    """Frames that a moving window cuts from a photograph."""
    with Image.open(path) as file:
        whole = np.asarray(file.convert("RGB"), np.float32) / 255
    frames = [whole[n * step[0] :][:SIDE, n * step[1] :][:, :SIDE] for n in range(FRAMES)]
    assert {frame.shape for frame in frames} == {(SIDE, SIDE, 3)}, f"{path} is too small"
    return np.stack(frames)


def large_enough(path: Path) -> bool:
    """Whether a photograph is large enough for the moving window."""
    with Image.open(path) as file:
        return file.width >= SIDE + PAN[1] * FRAMES and file.height >= SIDE + PAN[0] * FRAMES


def film(path: Path) -> np.ndarray:
    """The central part of the first frames of a film."""
    import av

    frames: list[np.ndarray] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            pixels = frame.to_ndarray(format="rgb24")
            top, left = ((whole - SIDE) // 2 for whole in pixels.shape[:2])
            frames.append(pixels[top : top + SIDE, left : left + SIDE].astype(np.float32) / 255)
            if len(frames) == FRAMES:
                break
    return np.stack(frames)


def clips(photographs: list[Path], file: Path | None, noise: Callable[[np.ndarray, int], np.ndarray]) -> Iterator[Clip]:
    """Yields a static and a panning view of every photograph, and the film."""
    for number, path in enumerate(photographs):
        for name, step in (("still", (0, 0)), ("pan", PAN)):
            clean = views(path, step)
            # Row r of the photograph is row r - n * step of frame n.
            corners = [((FRAMES - 1 - n) * step[0], (FRAMES - 1 - n) * step[1]) for n in range(FRAMES)]
            yield Clip(name=name, clean=clean, noisy=noise(clean, number), corners=corners)
    if file is not None:
        clean = film(file)
        yield Clip(name="film", clean=clean, noisy=noise(clean, len(photographs)), corners=[(0, 0)] * FRAMES)


def scores(clip: Clip, restored: np.ndarray) -> dict[str, float]:
    """PSNR, and two measures of flicker in 255ths, root mean squares over all pixels: the standard deviation over time
    of the error, and that of its change between frames."""
    error = 255 * clip.still(restored - clip.clean)[FIRST:].astype(np.float64)
    return {
        "psnr": float(np.mean(10 * np.log10(255**2 / (error**2).mean((1, 2, 3))))),
        "deviation": float(np.sqrt(error.var(0, ddof=1).mean())),
        "change": float(np.sqrt((np.diff(error, axis=0) ** 2).mean())),
    }


def given(frame: np.ndarray) -> np.ndarray:
    """Returns the frame unchanged."""
    return frame


class Levels:
    """photo-denoise, frame by frame.

    Args:
        before: weight of the noise level of the earlier frames in that of a frame; None uses the true level.
        steps: number of steps; the model's own number if None.
    """

    def __init__(self, before: float | None, steps: int | None = None):
        self.restorer, self.before, self.steps = lnca.load("photo-denoise", "cpu"), before, steps
        self.levels: np.ndarray | None = None

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        if self.before is None:
            return self.restorer.restore(frame, self.steps, noise_level=SIGMA)
        levels, last = self.restorer.noise_levels(frame), self.levels
        if last is not None and 1 / OTHER_SCENE < (levels.mean() + 1) / (last.mean() + 1) < OTHER_SCENE:
            levels = self.before * last + (1 - self.before) * levels
        self.levels = levels.astype(np.float32)
        return self.restorer.restore(frame, noise_level=self.levels)


class Mixed:
    """photo-denoise on the mean of a frame and of the last restored frame, with the noise level of that mean."""

    def __init__(self) -> None:
        self.restorer = lnca.load("photo-denoise", "cpu")
        self.last: np.ndarray | None = None

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        mean, level = (frame, SIGMA) if self.last is None else ((frame + self.last) / 2, SIGMA / 2)
        self.last = self.restorer.restore(mean, noise_level=level)
        return self.last


class WarmPyramid:
    """photo-denoise with the true noise level, where the cells start from the final cells of the last frame.

    Args:
        first: number of the first rule for a frame; the first frame uses all rules.
        fine: whether the fine cells, too, start from the last frame's, plus the difference of the two encoded frames;
            otherwise they start from the new frame.
    """

    def __init__(self, first: int, fine: bool):
        module = lnca.load("photo-denoise", "cpu").module
        assert isinstance(module, PyramidAutomaton)
        self.module, self.first, self.fine = module, first, fine
        self.fresh: Cells | None = None
        self.cells: Cells | None = None

    @torch.no_grad()
    def __call__(self, frame: np.ndarray) -> np.ndarray:
        image = torch.from_numpy(frame).permute(2, 0, 1)[None]
        level = torch.full((1, 2, SIDE // 8, SIDE // 8), SIGMA)
        fresh = cells = self.module.seed(image, level)
        first = 0
        if self.cells is not None and self.fresh is not None:
            fine = self.cells.fine + fresh.fine - self.fresh.fine if self.fine else fresh.fine
            cells, first = Cells(fine, self.cells.middle, self.cells.coarse), self.first
        for rule in self.module.rules[first:]:
            cells = rule(cells)
        self.fresh, self.cells = fresh, cells
        return self.module.read(cells, image, level)[0].permute(1, 2, 0).clamp(0, 1).numpy()


class LatentCells:
    """A latent automaton.

    Args:
        steps: number of steps for a frame.
        warm: whether output and hidden channels start from the final ones of the last frame; the first frame takes the
            model's own number of steps.
        settle: whether settled cells are skipped.
    """

    def __init__(self, name: str, steps: int, *, warm: bool, settle: bool = False):
        model = lnca.load(name, "cpu").streamer.model  # type: ignore[attr-defined]
        assert isinstance(model, Latent)
        self.model, self.steps, self.warm, self.settle = model, steps, warm, settle
        self.cells: np.ndarray | None = None
        self.taken: list[float] = []

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        model, image = self.model, np.ascontiguousarray(frame[None])

        def rows(begin: int, end: int) -> np.ndarray:
            return image[:, begin:end]

        cells = model.rule.seed(model.coder.encode(rows, SIDE, 0, SIDE // model.coder.multiple))
        steps = self.steps if self.cells is not None or not self.warm else model.steps
        if self.warm and self.cells is not None:
            cells[..., model.rule.input_channels :] = self.cells[..., model.rule.input_channels :]
        batch, height, width, _ = cells.shape
        settling = Settling(batch, height, width, TOLERANCE) if self.settle else None
        model.run.advance(cells, steps, settling=settling)
        if self.cells is not None:
            self.taken.append(steps if settling is None else float(settling.steps.mean()))
        self.cells = cells

        def latent(begin: int, end: int) -> np.ndarray:
            return np.ascontiguousarray(model.rule.read(cells[:, begin:end]))

        return model.coder.decode(rows, latent, SIDE, 0, SIDE)[0].clip(0, 1)


def photo_methods() -> dict[str, Callable[[], RestoreFrame]]:
    """The methods for Gaussian noise, by name; each starts with a new state."""
    return {
        "given": lambda: given,
        "its own level in each frame": lambda: Levels(0.0),
        "levels that change gently": lambda: Levels(BEFORE),
        "the true level": lambda: Levels(None),
        "the true level, 2 steps": lambda: Levels(None, 2),
        "the true level, 1 step": lambda: Levels(None, 1),
        "coarse cells of before, 3 steps": lambda: WarmPyramid(0, False),
        "all cells of before, 3 steps": lambda: WarmPyramid(0, True),
        "all cells of before, 2 steps": lambda: WarmPyramid(1, True),
        "all cells of before, 1 step": lambda: WarmPyramid(2, True),
        "mean with the restored frame before": lambda: Mixed(),
    }


def latent_methods(name: str, own: int) -> dict[str, Callable[[], RestoreFrame]]:
    """The methods for the paper's noise, by name; each starts with a new state."""
    methods: dict[str, Callable[[], RestoreFrame]] = {"given": lambda: given}
    for steps in (own, own // 2, own // 4, own // 8):
        methods[f"{steps} steps"] = lambda steps=steps: LatentCells(name, steps, warm=False)  # type: ignore[misc]
        methods[f"{steps} steps, cells of before"] = lambda steps=steps: LatentCells(name, steps, warm=True)  # type: ignore[misc]
    methods["until settled"] = lambda: LatentCells(name, own, warm=False, settle=True)
    methods["until settled, cells of before"] = lambda: LatentCells(name, own, warm=True, settle=True)
    return methods


def measured(begin: Callable[[], RestoreFrame], all_clips: list[Clip]) -> dict[str, dict[str, float]]:
    """Mean scores of a method on each kind of clip, and the mean number of steps of a cell."""
    found: dict[str, list[dict[str, float]]] = {}
    for clip in all_clips:
        restore = begin()
        row = scores(clip, np.stack([restore(frame) for frame in clip.noisy]))
        if isinstance(restore, LatentCells):
            row["steps"] = float(np.mean(restore.taken))
        found.setdefault(clip.name, []).append(row)
    return {
        kind: {key: round(float(np.mean([row[key] for row in rows])), 3) for key in rows[0]}
        for kind, rows in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="photographs")
    parser.add_argument("--clip", type=Path, help=f"a film of {SIDE}x{SIDE} pixels or more")
    parser.add_argument("--photographs", type=int, default=2)
    parser.add_argument("--models", nargs="*", default=["photo-denoise", "latent-nafca-denoise"])
    parser.add_argument(
        "--methods", nargs="*", help="parts of the names of the methods to measure; other results are kept"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    paths = [path for path in chosen_pictures(options.data, "test", 0) if large_enough(path)][: options.photographs]
    about = {"photographs": [path.name for path in paths], "clip": options.clip and options.clip.name}
    about |= {"side": SIDE, "frames": FRAMES, "first": FIRST, "pan": PAN, "sigma": SIGMA, "tolerance": TOLERANCE}
    for name in options.models:
        photo = name == "photo-denoise"
        methods = photo_methods() if photo else latent_methods(name, lnca.load(name, "cpu").steps or 0)
        all_clips = list(clips(paths, options.clip, gaussian if photo else paper))
        for method, begin in methods.items():
            if options.methods is not None and not any(part in method for part in options.methods):
                continue
            kinds = measured(begin, all_clips)
            print(f"{method:40}", *(f"{kind} {list(row.values())}" for kind, row in kinds.items()), flush=True)
            before = json.loads(options.out.read_text("utf-8")) if options.out.is_file() else {}
            table = {**before.get(name, {}), method: kinds}
            ordered = {each: table[each] for each in methods if each in table}
            write_whole(options.out, (json.dumps({**before, **about, name: ordered}, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
