"""A step of NAFCA for exported graphs: few large products, and nothing that is moved about in memory.

Runtimes on graphs run one operator after another, each over all cells, so that slices, splits and repeats of wide
tensors cost as much as the products. The folded weights need none of them, and make the same cells to rounding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.nafca import NAFCA
from .folding import double, linear

TAPS = 9


class GraphNAFCA(nn.Module):
    """`NAFCA.step` for all cells at once; the rule's weights are copied."""

    def __init__(self, rule: NAFCA):
        super().__init__()

        keep = self._keep
        weight, bias = linear(rule.perception_embed, rule.perception_norm)
        assert rule.widen.bias is not None
        assert rule.attention.bias is not None
        # The grouped map makes channels 2i and 2i + 1 of channel i.
        twice = torch.arange(weight.shape[1]).repeat_interleave(2)
        factor = double(rule.widen.weight).flatten()
        self._keep_halves("gate", weight[:, twice] * factor, bias[twice] * factor + double(rule.widen.bias))
        keep("taps", double(rule.attention.weight[0]).flatten(1).T)
        # Output of tap t, taken from the neighbour it belongs to.
        keep("shift", torch.eye(TAPS).reshape(1, TAPS, 3, 3), double(rule.attention.bias))
        keep("perceive", *linear(rule.perception_project, scale=rule.beta))
        self._keep_halves("update", *linear(rule.update_embed, rule.update_norm))
        keep("project", *linear(rule.update_project, scale=rule.gamma))
        # Input channels get an increment of zero.
        keep("head", *(F.pad(x, (rule.input_channels, 0)) for x in linear(rule.head, rule.head_norm)))
        self.epsilon = rule.perception_norm.eps

    def _keep(self, name: str, weight: Tensor, bias: Tensor | None = None) -> None:
        for kind, x in (("weight", weight), ("bias", bias)):
            if x is not None:
                self.register_buffer(f"{name}_{kind}", x.float().contiguous())

    def _keep_halves(self, name: str, weight: Tensor, bias: Tensor) -> None:
        """The maps of the two factors of a gate."""
        for number, (part, shift) in enumerate(zip(weight.chunk(2, 1), bias.chunk(2), strict=True)):
            self._keep(f"{name}_{number}", part, shift)

    def forward(self, cells_BHWC: Tensor) -> Tensor:
        batch, height, width, channels = cells_BHWC.shape
        x = cells_BHWC.reshape(-1, channels)
        gated = self._gated("gate", x)
        # Taps first, as a convolution wants them.
        taps = torch.mm(self.get_buffer("taps_weight"), gated.T).reshape(TAPS, batch, height, width).transpose(0, 1)
        shift, bias = self.get_buffer("shift_weight"), self.get_buffer("shift_bias")
        attention = F.conv2d(taps, shift, bias, padding=1).reshape(-1, 1)
        y = x + (torch.mm(gated, self.get_buffer("perceive_weight")) * attention + self.get_buffer("perceive_bias"))
        z = y + self._mapped("project", self._gated("update", y))
        return (x + self._mapped("head", self._normal(z))).reshape(cells_BHWC.shape)

    def _normal(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], eps=self.epsilon)

    def _mapped(self, name: str, x: Tensor) -> Tensor:
        return torch.addmm(self.get_buffer(f"{name}_bias"), x, self.get_buffer(f"{name}_weight"))

    def _gated(self, name: str, x: Tensor) -> Tensor:
        normal = self._normal(x)
        return self._mapped(f"{name}_0", normal) * self._mapped(f"{name}_1", normal)
