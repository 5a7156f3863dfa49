"""The batch that a trainer gets, and functions that all trainers use."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from .. import metrics
from ..errors import LncaError
from .world import World


@dataclass
class Batch:
    """Clean tiles (`anchor`), their corrupted versions (`positive`), the tiles' numbers (`sample`), and, if a phase
    needs them, the levels (B, 2, h, w) of their noise in 255ths."""

    anchor: Tensor
    positive: Tensor
    sample: Tensor
    level: Tensor | None = None

    def of(self, rows: slice) -> "Batch":
        """A batch of some of the samples."""
        return Batch(
            self.anchor[rows],
            self.positive[rows],
            self.sample[rows],
            None if self.level is None else self.level[rows],
        )

    def parts(self, count: int) -> Iterator["Batch"]:
        """At most `count` micro-batches, none of them empty."""
        for (rows,) in split([torch.arange(len(self.sample))], count):
            yield self.of(slice(int(rows[0]), int(rows[-1]) + 1))


class Exploded(Exception):
    """A loss that is not a number or too large; the message names the sample that caused it."""


def shared(values: dict[str, Tensor], world: World) -> dict[str, float]:
    """Means over the processes of the values that each computed on its share."""
    means = world.mean(torch.stack([value.detach().float() for value in values.values()]))
    return dict(zip(values, means.tolist(), strict=True))


def derangement(count: int, generator: torch.Generator) -> Tensor:
    """A random permutation of 0 ... count - 1 that moves every element.

    A random cyclic order sends each element to the next one, so one draw is enough for any count >= 2.

    Raises:
        LncaError: `count` is 1.
    """
    if count < 2:
        raise LncaError("a batch of 1 has no negative samples; use a batch size of at least 2")
    order = torch.randperm(count, generator=generator, device=generator.device)
    result = torch.empty_like(order)
    result[order] = order.roll(-1)
    return result


def split(tensors: Sequence[Tensor], parts: int) -> Iterator[tuple[Tensor, ...]]:
    """Micro-batches: tensors of equal length cut into at most `parts` parts, none of them empty."""
    count = min(parts, len(tensors[0]))
    return zip(*(x.tensor_split(count) for x in tensors), strict=True)


class Trainer(Protocol):
    """Trains one phase, batch by batch."""

    def train_batch(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Takes the gradient steps of one batch, which all processes share; returns the total "loss" and its
        unweighted terms for the whole batch.

        Raises:
            Exploded: the loss is not a number or too large.
            NotFinite: a gradient is not a number.
        """

    def restore(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """The restored pictures (B, 3, H, W) that validate the phase."""

    def state_dict(self) -> dict[str, Any]:
        """Everything except the model that a resumed run needs, for any number of processes; all processes must call
        it."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that `state_dict` returned."""


def dissimilarity(image: Tensor, reference: Tensor) -> Tensor:
    """1 - SSIM, mean over pictures."""
    return 1 - metrics.ssim(image.float(), reference).mean()


# Decibels.
MOST = 60.0


def decibels(image: Tensor, reference: Tensor) -> Tensor:
    """PSNR of each picture, (B,), at most 60 dB, so that a picture without error does not dominate a mean."""
    return metrics.psnr(image, reference).clamp(max=MOST)
