"""The samples of a run: tiles, or crops of photographs, with the noise levels that some phases need."""

import torch
from torch import Tensor

from ..data.crops import CropSet, open_crops
from ..data.splits import Split
from ..data.tile_set import TileSet, open_tiles
from ..degradation import MARGINS
from ..errors import LncaError
from ..runtime.noise_level import SIDE
from .batch import Batch
from .plan import Plan
from .recipe import NoiseLevelPhase, PyramidPhase

# Crops of an epoch, if the recipe does not set them.
CROPS = 10_000


def side(settings: NoiseLevelPhase | PyramidPhase, share: float) -> int:
    """Side of the crops after a `share` of a phase: grows evenly from the first to the last, a multiple of 8."""
    first, last = settings.crops
    return round((first + (last - first) * share) / SIDE) * SIDE


def open_samples(plan: Plan, split: Split, phases: tuple[str, ...], skip_broken: bool = False) -> TileSet | CropSet:
    """The samples of one split.

    Args:
        phases: names of the phases that are trained.
        skip_broken: leave out pictures that cannot be read.

    Raises:
        LncaError: there are no or too few samples, a phase needs crops and the task has tiles, or the size of crops is
            wrong.
    """
    recipe = plan.recipe
    limit = recipe.training_tiles if split == "train" else recipe.validation_tiles
    crops = [c for phase in phases for c in getattr(getattr(recipe, phase), "crops", ())]
    if crops and plan.task != "photo-denoise":
        raise LncaError(f"{plan.model} learns from photographs whose noise is known: use --task photo-denoise")
    if any(crop % SIDE or crop < 2 * SIDE for crop in crops):
        raise LncaError(f"the crops of {plan.model} should be multiples of {SIDE}, of {2 * SIDE} or more, got {crops}")
    if plan.task == "denoise" or plan.task == "deblur":
        if plan.also is not None:
            raise LncaError(f"--also is for photographs; for --task {plan.task}, put all pictures into one folder")
        return open_tiles(plan.data, split, plan.seed, recipe.tile, limit, skip_broken)
    smallest = min(crops, default=recipe.crop)
    samples = open_crops(
        plan.data,
        split,
        plan.seed,
        smallest,
        limit or CROPS,
        MARGINS[plan.task],
        skip_broken=skip_broken,
        also=plan.also,
    )
    for crop in crops:
        samples.of_side(crop)
    return samples


def draw_batch(
    samples: TileSet | CropSet,
    plan: Plan,
    phase: str,
    index: Tensor,
    difficulty: float,
    share: float,
    draw: torch.Generator,
    *,
    augment: bool,
) -> Batch:
    """Draws a batch for a phase, on the device of `draw`.

    Args:
        index: numbers of the samples.
        difficulty: see `Curriculum`.
        share: share of the phase that is done.
        augment: rotate and mirror, and change the colours of photographs.
    """
    here, settings = index.to(draw.device), getattr(plan.recipe, phase)
    if isinstance(samples, CropSet) and isinstance(settings, NoiseLevelPhase | PyramidPhase):
        noisy = samples.of_side(side(settings, share)).noisy(index, draw, augment, settings.plain)
        return Batch(noisy.clean, noisy.noisy, here, level=noisy.level_BCHW)
    return Batch(*samples.pairs(index, plan.task, difficulty, draw, augment=augment), here)
