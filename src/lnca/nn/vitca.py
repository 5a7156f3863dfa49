"""ViTCA, the rule with 3x3 local self-attention (Tesfaldet et al., NeurIPS 2022, arXiv:2211.01233; paper 3.1.2)."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .automaton import Automaton, initialise
from .neighbourhood import neighbours


def position_code(cells: int, channels: int) -> Tensor:
    """The 1-D sinusoidal code over the flattened cell index, (cells, channels).

    Its columns have the order of the authors' code: first sine, all cosines, the other sines.
    """
    index = torch.arange(cells, dtype=torch.float64)[:, None]
    sines = torch.sin(index * torch.exp(torch.arange(0, channels, 2) * (-math.log(10_000) / channels)))
    cosines = torch.cos(index * torch.exp(torch.arange(1, channels, 2) * (-math.log(10_000) / channels)))
    return torch.cat([sines[:, :1], cosines, sines[:, 1:]], -1)


class ViTCA(Automaton):
    """The rule of LatentViTCA: embedding, localised multi-head self-attention, MLP and head.

    Args:
        input_channels, output_channels, hidden_channels, update_rate: see `Automaton`.
        embed: channels E of a token.
        heads: attention heads; they divide `embed`.
        mlp: hidden channels of the MLP.
        position: "sinusoidal" adds the paper's code of the flattened cell index, which ties the rule to the size of the
            lattice in training; "none" keeps the rule local, for images of any size.
    """

    def __init__(
        self,
        input_channels: int,
        output_channels: int,
        hidden_channels: int,
        update_rate: float = 1.0,
        *,
        embed: int = 128,
        heads: int = 4,
        mlp: int = 64,
        position: Literal["sinusoidal", "none"] = "sinusoidal",
    ):
        super().__init__(input_channels, output_channels, hidden_channels, update_rate)
        if embed % heads:
            raise ValueError(f"embed must be a multiple of heads, got embed={embed} and heads={heads}")
        if position not in ("sinusoidal", "none"):
            raise ValueError(f'position must be "sinusoidal" or "none", got {position!r}')
        self.heads = heads
        self.position = position
        self.embed = nn.Linear(self.channels, embed)
        self.attention_norm = nn.LayerNorm(embed, eps=1e-3)
        self.qkv = nn.Linear(embed, 3 * embed, bias=False)
        self.attention_project = nn.Linear(embed, embed)
        self.mlp_norm = nn.LayerNorm(embed, eps=1e-3)
        self.mlp_in = nn.Linear(embed, mlp)
        self.mlp_out = nn.Linear(mlp, embed)
        self.head_norm = nn.LayerNorm(embed, eps=1e-3)
        self.head = nn.Linear(embed, self.updated_channels)
        initialise(self)
        nn.init.zeros_(self.head.weight)

    def tokens(self, cells_BHWC: Tensor) -> Tensor:
        """Cells (B, H, W, C) -> tokens (B, H, W, E), with the position code if the rule has one."""
        tokens = self.embed(cells_BHWC)
        if self.position == "none":
            return tokens
        height, width = cells_BHWC.shape[1:3]
        return tokens + position_code(height * width, tokens.shape[-1]).to(tokens).unflatten(0, (height, width))

    def local_attention(self, x_BHWE: Tensor) -> Tensor:
        """Self-attention of each cell over its 3x3 neighbourhood, (B, H, W, E) -> (B, H, W, E).

        Outside the lattice keys and values are zero after projection, so a border cell's softmax has nine terms too.
        """
        query, keys, values = (x.unflatten(-1, (self.heads, -1)) for x in self.qkv(x_BHWE).chunk(3, -1))
        query = query * query.shape[-1] ** -0.5
        shape = x_BHWE.shape
        scores = [(query * key.unflatten(-1, (self.heads, -1))).sum(-1) for key in neighbours(keys.flatten(-2))]
        weights = torch.stack(scores, -1).softmax(-1).to(values.dtype)
        mixed = torch.zeros_like(values)
        for index, value in enumerate(neighbours(values.flatten(-2))):
            mixed = mixed + weights[..., index, None] * value.unflatten(-1, (self.heads, -1))
        return mixed.reshape(shape)

    def update(self, cells_BHWC: Tensor) -> Tensor:
        x = self.tokens(cells_BHWC)
        x = x + self.attention_project(self.local_attention(self.attention_norm(x)))
        x = x + self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(x))))
        return self.head(self.head_norm(x))
