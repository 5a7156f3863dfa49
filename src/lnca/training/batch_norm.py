"""Batch norm with statistics over all processes, or with frozen statistics."""

import torch
from torch import Tensor, nn

from .world import World


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """`BatchNorm2d` whose statistics in training are those of all processes' pictures (torch's own needs a GPU)."""

    world: World

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x_BCHW)
        mean = self.world.mean(x_BCHW.mean((0, 2, 3)))
        centred = x_BCHW - mean[:, None, None]
        variance = self.world.mean(centred.square().mean((0, 2, 3)))
        count = x_BCHW.numel() // x_BCHW.shape[1] * self.world.size
        with torch.no_grad():
            assert self.momentum is not None
            assert self.running_mean is not None
            assert self.running_var is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale[:, None, None] + self.bias[:, None, None]


def synchronise(model: nn.Module, world: World) -> None:
    """Replaces the batch norms of a model by synchronised ones; parameters and buffers stay the same tensors."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d and world.size > 1:
                norm = SynchronisedBatchNorm(child.num_features, child.eps, child.momentum)
                norm.world = world
                norm.weight, norm.bias = child.weight, child.bias
                norm.running_mean, norm.running_var = child.running_mean, child.running_var
                norm.num_batches_tracked = child.num_batches_tracked
                setattr(parent, name, norm)
