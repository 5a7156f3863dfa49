"""A step of NAFCA for exported graphs: few large matrix products, and no copies in memory.

Graph runtimes run one operator after another, each over all cells, so slices, splits and repeats of wide
tensors cost as much as the products. The folded weights need none of these, and give the same cells except for
rounding.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.nafca import NAFCA
from ..runtime.folding import linear
from .cpu import rule_of

TAPS = 9


class GraphNAFCA(nn.Module):
    """`NAFCA.step` for all cells at once; the rule's weights are copied."""

    def __init__(self, rule: NAFCA):
        super().__init__()

        keep, layers, vectors = self._keep, rule_of(rule).linear, rule_of(rule).vectors
        weight, bias = linear(layers["perception_embed"], layers["perception_norm"])
        # The grouped convolution turns channel i into channels 2i and 2i + 1.
        twice = np.arange(weight.shape[1]).repeat(2)
        factor, shift = vectors["widen.weight"], vectors["widen.bias"]
        self._keep_halves("gate", weight[:, twice] * factor, bias[twice] * factor + shift)
        keep("taps", vectors["attention.weight"].T)
        # The output of tap t, taken from its neighbour.
        keep("shift", np.eye(TAPS).reshape(1, TAPS, 3, 3), vectors["attention.bias"])
        keep("perceive", *linear(layers["perception_project"], scale=vectors["beta"]))
        self._keep_halves("update", *linear(layers["update_embed"], layers["update_norm"]))
        keep("project", *linear(layers["update_project"], scale=vectors["gamma"]))
        # Input channels get an increment of zero.
        padding = (rule.input_channels, 0)
        weight, bias = linear(layers["head"], layers["head_norm"])
        keep("head", np.pad(weight, ((0, 0), padding)), np.pad(bias, padding))
        self.epsilon = rule.perception_norm.eps

    def _keep(self, name: str, weight: np.ndarray, bias: np.ndarray | None = None) -> None:
        for kind, x in (("weight", weight), ("bias", bias)):
            if x is not None:
                self.register_buffer(f"{name}_{kind}", torch.from_numpy(np.array(x, np.float32, order="C")))

    def _keep_halves(self, name: str, weight: np.ndarray, bias: np.ndarray) -> None:
        """Stores the linear maps of the two factors of a gate."""
        for number, (part, shift) in enumerate(zip(np.split(weight, 2, 1), np.split(bias, 2), strict=True)):
            self._keep(f"{name}_{number}", part, shift)

    def forward(self, cells_BHWC: Tensor) -> Tensor:
        batch, height, width, channels = cells_BHWC.shape
        x = cells_BHWC.reshape(-1, channels)
        gated = self._gated("gate", x)
        # Taps first, as a convolution expects them.
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
