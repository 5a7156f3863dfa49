"""A cell rule in a package of its own: perception by filters, then a small network, as in growing automata.

Each cell sees its neighbourhood through three learned 3x3 filters a channel (Mordvintsev et al., "Growing Neural
Cellular Automata", Distill 2020), and two linear maps turn what it saw into an update.

    pip install examples/own_rule
    lnca train --model lnca --task denoise --recipe lnca-denoise --set model.lnca.rule=perception \
        --data PICTURES --out runs/perception
"""

import torch.nn.functional as F
from torch import Tensor, nn

from lnca.nn.automaton import Automaton

FILTERS = 3
HIDDEN = 128


class Perception(Automaton):
    """Shapes: B batch, H rows and W columns of cells, C channels."""

    def __init__(self, input_channels: int, output_channels: int, hidden_channels: int):
        super().__init__(input_channels, output_channels, hidden_channels)
        self.norm = nn.LayerNorm(self.channels)
        self.filters = nn.Conv2d(self.channels, FILTERS * self.channels, 3, padding=1, groups=self.channels, bias=False)
        self.widen = nn.Linear(FILTERS * self.channels, HIDDEN)
        self.head = nn.Linear(HIDDEN, self.updated_channels)
        # An untrained rule changes nothing, so that many steps of it cannot explode.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def update(self, cells_BHWC: Tensor) -> Tensor:
        """What a step adds to the output and hidden channels of each cell, (B, H, W, output + hidden)."""
        seen = self.filters(self.norm(cells_BHWC).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.head(F.silu(self.widen(seen)))
