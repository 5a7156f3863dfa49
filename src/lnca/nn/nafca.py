"""NAFCA, the attention-free rule (paper 3.1.2): a perception block, an update block and a head, all without activation.

After NAFNet (Chen et al., "Simple Baselines for Image Restoration", ECCV 2022, arXiv:2204.04676), made local.
"""

import torch
from torch import Tensor, nn

from .automaton import Automaton, initialise
from .neighbourhood import convolve


def simple_gate(x: Tensor) -> Tensor:
    """First half of the channels times the second half."""
    first, second = x.chunk(2, -1)
    return first * second


class NAFCA(Automaton):
    """The rule of LatentNAFCA.

    Args:
        input_channels, output_channels, hidden_channels, update_rate: see `Automaton`.
        embed: channels E inside the perception block.
        expansion: the update block widens the C channels of a cell to `expansion * C` before its gate.
        dropout: probability of dropout at the end of the perception block and of the update block.
        residual_scale: initial value of beta and gamma, which have one number a channel (0 in the authors' code).
        zero_head: start with a head of zeros, so an untrained rule changes nothing (unlike the authors' code).
    """

    def __init__(
        self,
        input_channels: int,
        output_channels: int,
        hidden_channels: int,
        update_rate: float = 1.0,
        *,
        embed: int = 128,
        expansion: int = 4,
        dropout: float = 0.1,
        residual_scale: float = 0.1,
        zero_head: bool = True,
    ):
        super().__init__(input_channels, output_channels, hidden_channels, update_rate)
        cell = self.channels
        self.perception_norm = nn.LayerNorm(cell, eps=1e-6)
        self.perception_embed = nn.Linear(cell, embed)
        self.widen = nn.Conv2d(embed, 2 * embed, 1, groups=embed)
        self.attention = nn.Conv2d(embed, 1, 3, padding=1)
        self.perception_project = nn.Linear(embed, cell)
        self.beta = nn.Parameter(torch.full((cell,), residual_scale))
        self.update_norm = nn.LayerNorm(cell, eps=1e-6)
        self.update_embed = nn.Linear(cell, expansion * cell)
        self.update_project = nn.Linear(expansion * cell // 2, cell)
        self.gamma = nn.Parameter(torch.full((cell,), residual_scale))
        self.head_norm = nn.LayerNorm(cell, eps=1e-6)
        self.head = nn.Linear(cell, self.updated_channels)
        self.dropout = nn.Dropout(dropout)
        initialise(self)
        if zero_head:
            nn.init.zeros_(self.head.weight)

    def gated(self, x_BHWE: Tensor) -> Tensor:
        """The grouped 1x1 convolution, with two outputs a channel, and its gate: (B, H, W, E) -> (B, H, W, E)."""
        wide = x_BHWE.repeat_interleave(2, -1) * self.widen.weight.flatten() + self.widen.bias  # type: ignore[operator]
        return simple_gate(wide)

    def spatial_attention(self, x_BHWE: Tensor) -> Tensor:
        """Equation (2): x' = x * C(x), with C a convolution with a single 3x3 filter."""
        return x_BHWE * convolve(x_BHWE, self.attention.weight[0], self.attention.bias)  # type: ignore[arg-type]

    def update(self, cells_BHWC: Tensor) -> Tensor:
        x = self.gated(self.perception_embed(self.perception_norm(cells_BHWC)))
        x = self.perception_project(self.spatial_attention(x))
        y = cells_BHWC + self.beta * self.dropout(x)
        x = self.update_project(simple_gate(self.update_embed(self.update_norm(y))))
        z = y + self.gamma * self.dropout(x)
        return self.head(self.head_norm(z))
