"""The processes that train one model together, and their communication.

Every process draws the whole batch, so the order of the data and all random numbers are those of one process. It then
computes on its share. Gradients are those of the whole batch's losses: values that are not means over pictures (the
hinge of equation (4), the range of equation (9), statistics of batch norms) are computed from all shares. Fabric
provides devices, processes and collectives. It wraps no model, because a batch takes several gradient steps through
parts of a model.
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
    """A world of a single process.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank, size = 0, 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and prints messages."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """The rows of a batch of `count` that this process computes.

        Raises:
            LncaError: the rows cannot be shared equally.
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
        """Minimum of `low` and maximum of `high` over the processes."""
        return low, high

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its mean over the processes, in place."""

    def told(self, value: T) -> list[T]:
        """Sends a picklable value to all processes; returns the values of all, by rank."""
        return [value]


ALONE = World()


class _Mean(torch.autograd.Function):
    """Mean over the processes; the backward pass averages the gradients too."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        result = value.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(result)
        return result / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Mean.forward(ctx, gradient)


class Together(World):
    """A world of several processes, in an existing process group."""

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

    If torchrun or SLURM's srun started this process, it joins the others. Otherwise Fabric starts `devices` - 1 more
    processes with the same command. CPUs use gloo, GPUs nccl. Leaving the context closes the connections: a process
    that exits with open connections may abort.

    Args:
        device: kind of device.
        devices: number of processes on this machine; torchrun and SLURM override it.

    Raises:
        LncaError: Fabric is not installed, or there are too few GPUs.
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
