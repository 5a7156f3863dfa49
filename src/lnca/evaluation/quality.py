"""SSIM and PSNR of corrupted and restored tiles, mean and spread, and SSIM against the number of steps."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from .. import metrics
from ..corruption import PAPER_DIFFICULTY, Task
from ..data.tile_set import TileSet
from ..nn.model import SteppedModel
from ..randomness import generator

BATCH = 256
CURVE = (0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)


def pairs(tiles: TileSet, task: Task, difficulty: float | None, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields batches of clean and corrupted tiles in [0, 1]; the same for every model and device."""
    tiles.check(task)
    difficulty = PAPER_DIFFICULTY[task] if difficulty is None else difficulty
    for start in range(0, len(tiles), BATCH):
        index = torch.arange(start, min(start + BATCH, len(tiles)))
        yield tiles.pairs(index, task, difficulty, generator("cpu", seed, "evaluation", start))


def evaluate(
    restore: Callable[[Tensor], Tensor],
    tiles: TileSet,
    task: Task,
    difficulty: float | None = None,
    seed: int = 0,
    report: Callable[[int], object] = lambda count: None,
    margin: int = 0,
) -> dict[str, Any]:
    """Scores a restoring function on corrupted tiles.

    Args:
        restore: corrupted (B, 3, 32, 32) in [0, 1] -> restored.
        tiles: see `lnca.data.tile_set.open_tiles`.
        task: "denoise" or "deblur".
        difficulty: intensity or length; the paper's (0.5, 7) if None.
        seed: seed of the corruption, if it is drawn.
        report: called with the number of finished tiles after every batch.
        margin: pixels that are cut off on every side of corrupted tiles before they are restored. With the reach of a
            blur as margin, the rest is part of a larger picture, and has no border that reveals the blur.

    Returns:
        {"tiles": N, "pictures": number of their source pictures, "input": {"ssim": {"mean", "deviation"}, "psnr": ...},
        "output": likewise, "recovered": R}.
    """
    scores: dict[str, dict[str, list[Tensor]]] = {kind: {"ssim": [], "psnr": []} for kind in ("input", "output")}
    for whole in pairs(tiles, task, difficulty, seed):
        clean, corrupted = (x[..., margin : x.shape[-2] - margin, margin : x.shape[-1] - margin] for x in whole)
        for kind, picture in (("input", corrupted), ("output", restore(corrupted))):
            scores[kind]["ssim"].append(metrics.ssim(picture, clean))
            scores[kind]["psnr"].append(metrics.psnr(picture, clean))
        report(len(clean))
    summary = {
        kind: {name: spread(torch.cat(values)) for name, values in by_name.items()} for kind, by_name in scores.items()
    }
    recovered = metrics.recovered(summary["output"]["ssim"]["mean"], summary["input"]["ssim"]["mean"])
    return {"tiles": len(tiles), "pictures": tiles.groups, **summary, "recovered": recovered}


@torch.inference_mode()
def steps_curve(
    model: SteppedModel, tiles: TileSet, task: Task, difficulty: float | None = None, seed: int = 0
) -> dict[int, float]:
    """Mean SSIM of the picture decoded after 0, 1, 2, 4, ..., 128 steps."""
    device = next(model.parameters()).device
    sums = dict.fromkeys(CURVE, 0.0)
    for clean, corrupted in pairs(tiles, task, difficulty, seed):
        for step, restored in zip(CURVE, model.frames(corrupted.to(device), CURVE[-1], only=CURVE), strict=True):
            sums[step] += metrics.ssim(restored.cpu(), clean).sum().item()
    return {step: total / len(tiles) for step, total in sums.items()}


def spread(values: Tensor) -> dict[str, float]:
    """Mean and standard deviation."""
    return {"mean": values.mean().item(), "deviation": values.std().item() if len(values) > 1 else 0.0}
