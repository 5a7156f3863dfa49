"""The processes that train one model together, and what they tell each other.

Every process draws the whole batch, so that the order of the data and everything random are those of one process, and
computes on its share. Gradients are those of the whole batch's losses: what is not a mean over pictures (the hinge of
equation (4), the range of equation (9), statistics of batch norms) is computed from all shares. Fabric brings devices,
processes and collectives; it wraps no model, because a batch takes several descents through parts of one.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import LncaError

T = TypeVar("T")


class World:
    """One process alone.

    Attributes:
        rank: number of this process, from 0.
        size: how many there are.
    """

    rank, size = 0, 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Which of `count` rows of a batch are this process's.

        Raises:
            LncaError: they cannot be shared equally.
        """
        if count % self.size:
            raise LncaError(
                f"a batch of {count} cannot be shared equally by {self.size} processes; change --batch-size"
            )
        share = count // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def gathered(self, part: Tensor) -> Tensor:
        """The parts of all processes as one batch, without a gradient."""
        return part.detach()

    def mean(self, value: Tensor) -> Tensor:
        """Mean over the processes, element by element, with a gradient."""
        return value

    def summed(self, value: Tensor) -> Tensor:
        """Sum over the processes, without a gradient."""
        return value

    def extremes(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Least and largest over the processes."""
        return low, high

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each by its mean over the processes."""

    def told(self, value: T) -> list[T]:
        """A picklable value of each process, by rank."""
        return [value]


ALONE = World()


class _Mean(torch.autograd.Function):
    """Mean over the processes, which is also what it makes of their gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        result = value.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(result)
        return result / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Mean.forward(ctx, gradient)


class Together(World):
    """One of several processes of a process group that exists."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def gathered(self, part: Tensor) -> Tensor:
        parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(parts, part.detach().contiguous())
        return torch.cat(parts)

    def mean(self, value: Tensor) -> Tensor:
        result: Tensor = _Mean.apply(value)
        return result

    def summed(self, value: Tensor) -> Tensor:
        result = value.detach().clone()
        dist.all_reduce(result)
        return result

    def extremes(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.stack([-low, high])
        dist.all_reduce(both, dist.ReduceOp.MAX)
        return -both[0], both[1]

    def average(self, tensors: Sequence[Tensor]) -> None:
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def told(self, value: T) -> list[T]:
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values


@contextmanager
def launch(device: torch.device, devices: int) -> Iterator[tuple[World, torch.device]]:
    """The world this process belongs to, and its device.

    Started by torchrun or by SLURM's srun, it joins the others; otherwise Fabric starts `devices` - 1 more of the same
    command. Processors speak gloo, GPUs nccl. Leaving it ends the connections: a process that exits with them may
    abort.

    Args:
        device: kind of device.
        devices: of this machine; what torchrun and SLURM say goes before.

    Raises:
        LncaError: Fabric is not installed, or there are not so many GPUs.
    """
    nodes = 1
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    elif "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        nodes = int(os.environ["SLURM_NNODES"])
        devices = int(os.environ["SLURM_NTASKS"]) // nodes
    if devices * nodes == 1:
        yield ALONE, device
        return
    try:
        from lightning.fabric import Fabric
    except ImportError as error:
        raise LncaError("training with several processes needs Fabric: pip install 'lnca[distributed]'") from error
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise LncaError(f"there are {torch.cuda.device_count()} GPUs here, not {devices}")
    fabric = Fabric(accelerator=device.type, devices=devices, num_nodes=nodes, strategy="ddp")
    fabric.launch()
    try:
        yield Together(), fabric.device
    finally:
        dist.destroy_process_group()
