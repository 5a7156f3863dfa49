"""The paper's two rules (3.1.2) as arrays, and their update in numpy.

Cells are channels-last, (B, H, W, C), and C is split in [input | output | hidden], as in `lnca.nn.automaton`.

Shape suffixes: B batch, H rows, W columns of cells, C channels of a cell, E channels of a token.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ..errors import LncaError
from .arrays import Float
from .convolution import multiplied
from .weights import Weights

Kind = Literal["nafca", "vitca"]

# Epsilon of each rule's normalisations.
LAYER_NORM: dict[Kind, float] = {"nafca": 1e-6, "vitca": 1e-3}
TAPS = 9
# Initial value of the output channels.
INITIAL_OUTPUT = 0.5


class Linear(NamedTuple):
    """A linear map: weight (outputs, inputs) and bias (outputs,), float64. For a normalisation: scale and shift."""

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """A transition function phi of equation (1).

    Args:
        kind: "nafca" or "vitca".
        input_channels, output_channels, hidden_channels: channels of a cell.
        update_rate: probability in (0, 1] that a cell is updated in a step.
        embed: channels of a token.
        linear: linear maps and normalisations by name.
        vectors: other weights by name.
        heads: attention heads (ViTCA).
        has_position_code: whether tokens have a position code (ViTCA).
    """

    kind: Kind
    input_channels: int
    output_channels: int
    hidden_channels: int
    update_rate: float
    embed: int
    linear: dict[str, Linear]
    vectors: dict[str, np.ndarray]
    heads: int = 1
    has_position_code: bool = False

    @property
    def channels(self) -> int:
        """Channels of a cell: input, output and hidden together."""
        return self.input_channels + self.output_channels + self.hidden_channels

    def seed(self, latent_BHWI: np.ndarray) -> np.ndarray:
        """Cells before the first step, (B, H, W, C) float32: the latent (B, H, W, input), output 0.5, hidden 0."""
        cells = np.zeros((*latent_BHWI.shape[:-1], self.channels), np.float32)
        cells[..., : self.input_channels] = latent_BHWI
        cells[..., self.input_channels : self.input_channels + self.output_channels] = INITIAL_OUTPUT
        return cells

    def read(self, cells_BHWC: np.ndarray) -> np.ndarray:
        """The output channels, (B, H, W, output)."""
        return cells_BHWC[..., self.input_channels : self.input_channels + self.output_channels]


def nafca(
    weights: Weights, channels: tuple[int, int, int], update_rate: float = 1.0, *, embed: int, expansion: int
) -> Rule:
    """NAFCA from its tensors.

    Args:
        channels: numbers of input, output and hidden channels.
        update_rate, embed, expansion: see `lnca.nn.nafca.NAFCA`.

    Raises:
        LncaError: a tensor is missing or has a wrong shape.
    """
    inputs, outputs, hidden = channels
    cell = sum(channels)
    layers = {
        "perception_norm": _linear(weights, "perception_norm", cell),
        "perception_embed": _linear(weights, "perception_embed", embed, cell),
    }
    wide = expansion * cell
    layers["perception_project"] = _linear(weights, "perception_project", cell, embed)
    layers["update_norm"] = _linear(weights, "update_norm", cell)
    layers["update_embed"] = _linear(weights, "update_embed", wide, cell)
    layers["update_project"] = _linear(weights, "update_project", cell, wide // 2)
    layers["head_norm"] = _linear(weights, "head_norm", cell)
    layers["head"] = _linear(weights, "head", outputs + hidden, cell)
    vectors = {
        "widen.weight": weights.take("widen.weight", 2 * embed, 1, 1, 1).ravel(),
        "widen.bias": weights.take("widen.bias", 2 * embed),
        "attention.weight": weights.take("attention.weight", 1, embed, 3, 3).reshape(embed, TAPS),
        "attention.bias": weights.take("attention.bias", 1),
        "beta": weights.take("beta", cell),
        "gamma": weights.take("gamma", cell),
    }
    return Rule(
        kind="nafca",
        input_channels=inputs,
        output_channels=outputs,
        hidden_channels=hidden,
        update_rate=update_rate,
        embed=embed,
        linear=layers,
        vectors=vectors,
    )


def vitca(
    weights: Weights,
    channels: tuple[int, int, int],
    update_rate: float = 1.0,
    *,
    embed: int,
    heads: int,
    mlp: int,
    has_position_code: bool,
) -> Rule:
    """ViTCA from its tensors.

    Args:
        channels: numbers of input, output and hidden channels.
        update_rate, embed, heads, mlp: see `lnca.nn.vitca.ViTCA`.
        has_position_code: whether tokens have a position code.

    Raises:
        LncaError: a tensor is missing or has a wrong shape, or `embed` is no multiple of `heads`.
    """
    if not heads or embed % heads:
        raise LncaError(f"embed must be a multiple of heads, got embed={embed} and heads={heads}")
    inputs, outputs, hidden = channels
    layers = {"embed": _linear(weights, "embed", embed, sum(channels))}
    layers["attention_norm"] = _linear(weights, "attention_norm", embed)
    layers["qkv"] = Linear(weights.take("qkv.weight", 3 * embed, embed), np.zeros(3 * embed))
    layers["attention_project"] = _linear(weights, "attention_project", embed, embed)
    layers["mlp_norm"] = _linear(weights, "mlp_norm", embed)
    layers["mlp_in"] = _linear(weights, "mlp_in", mlp, embed)
    layers["mlp_out"] = _linear(weights, "mlp_out", embed, mlp)
    layers["head_norm"] = _linear(weights, "head_norm", embed)
    layers["head"] = _linear(weights, "head", outputs + hidden, embed)
    return Rule(
        kind="vitca",
        input_channels=inputs,
        output_channels=outputs,
        hidden_channels=hidden,
        update_rate=update_rate,
        embed=embed,
        linear=layers,
        vectors={},
        heads=heads,
        has_position_code=has_position_code,
    )


def _linear(weights: Weights, name: str, *shape: int) -> Linear:
    weight = weights.take(f"{name}.weight", *shape)
    return Linear(weight, weights.take(f"{name}.bias", len(weight)))


class Update:
    """The transition function of a rule in numpy: cells (B, H, W, C) -> increment (B, H, W, output + hidden).

    Args:
        rule: its weights are copied.
        dtype: precision of all numbers.
    """

    def __init__(self, rule: Rule, dtype: Float = np.float32):
        self.rule, self.dtype = rule, dtype
        self._linear = {
            name: Linear(np.ascontiguousarray(layer.weight.T, dtype), layer.bias.astype(dtype))
            for name, layer in rule.linear.items()
        }
        self._vectors: dict[str, np.ndarray] = {name: vector.astype(dtype) for name, vector in rule.vectors.items()}
        update: dict[Kind, Callable[[np.ndarray], np.ndarray]] = {"nafca": self._nafca, "vitca": self._vitca}
        self._update, self._first = update[rule.kind], 0

    def __call__(self, cells_BHWC: np.ndarray, first: int = 0) -> np.ndarray:
        """The increment. `first` is the number of the first column of cells in the whole lattice."""
        self._first = first
        return self._update(cells_BHWC.astype(self.dtype, copy=False))

    def _map(self, name: str, x: np.ndarray) -> np.ndarray:
        weight, bias = self._linear[name]
        return multiplied(x, weight, self._first) + bias

    def _norm(self, name: str, x: np.ndarray) -> np.ndarray:
        factor, shift = self._linear[name]
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(-1, keepdims=True) + self.dtype(LAYER_NORM[self.rule.kind]))
        return centred / deviation * factor.ravel() + shift

    def _nafca(self, cells_BHWC: np.ndarray) -> np.ndarray:
        vectors = self._vectors
        x = self._map("perception_embed", self._norm("perception_norm", cells_BHWC))
        x = _gated(np.repeat(x, 2, -1) * vectors["widen.weight"] + vectors["widen.bias"])
        # Equation (2): x' = x * C(x), with C a convolution with a single filter. Each cell computes nine products, one
        # for each neighbour.
        taps = multiplied(x, vectors["attention.weight"], self._first)
        attention = vectors["attention.bias"] + sum(
            near[..., tap : tap + 1] for tap, near in enumerate(neighbours(taps))
        )
        y = cells_BHWC + vectors["beta"] * self._map("perception_project", x * attention)
        x = self._map("update_project", _gated(self._map("update_embed", self._norm("update_norm", y))))
        z = y + vectors["gamma"] * x
        return self._map("head", self._norm("head_norm", z))

    def _vitca(self, cells_BHWC: np.ndarray) -> np.ndarray:
        x = self._map("embed", cells_BHWC)
        if self.rule.has_position_code:
            rows, columns = x.shape[1:3]
            x = x + position_code(rows * columns, self.rule.embed).reshape(rows, columns, -1).astype(self.dtype)
        x = x + self._map("attention_project", self._attention(self._norm("attention_norm", x)))
        x = x + self._map("mlp_out", _gelu(self._map("mlp_in", self._norm("mlp_norm", x))))
        return self._map("head", self._norm("head_norm", x))

    def _attention(self, x_BHWE: np.ndarray) -> np.ndarray:
        """Self-attention of each cell over its 3x3 neighbourhood; outside the lattice keys and values are zero."""
        heads, shape = self.rule.heads, x_BHWE.shape
        query, keys, values = np.split(multiplied(x_BHWE, self._linear["qkv"].weight, self._first), 3, -1)
        split = (*shape[:-1], heads, shape[-1] // heads)
        query = query.reshape(split) * self.dtype(split[-1] ** -0.5)
        scores = np.stack([(query * key.reshape(split)).sum(-1) for key in neighbours(keys)], -1)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        weights = scores / scores.sum(-1, keepdims=True)
        attended = sum(
            weights[..., number, None] * value.reshape(split) for number, value in enumerate(neighbours(values))
        )
        return np.asarray(attended).reshape(shape)


def neighbours(values_BHWC: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the values of the nine neighbours of every cell, (B, H, W, C) each, row by row from the upper left one;
    zeros outside the lattice."""
    height, width = values_BHWC.shape[1:3]
    padded = np.pad(values_BHWC, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for row in range(3):
        for column in range(3):
            yield padded[:, row : row + height, column : column + width]


def position_code(cells: int, channels: int) -> np.ndarray:
    """The 1-D sinusoidal code over the flattened cell index, (cells, channels), float64; see `lnca.nn.vitca`. The
    frequencies are rounded to float32, as there."""
    index, decay = np.arange(cells)[:, None], np.float32(-math.log(10_000) / channels)
    exponents = (np.arange(first, channels, 2, dtype=np.float32) * decay for first in (0, 1))
    even, odd = (np.exp(each.astype(float)).astype(np.float32).astype(float) for each in exponents)
    sines, cosines = np.sin(index * even), np.cos(index * odd)
    return np.concatenate([sines[:, :1], cosines, sines[:, 1:]], -1)


def _gated(x: np.ndarray) -> np.ndarray:
    """The first half of the channels times the second half."""
    first, second = np.split(x, 2, -1)
    return first * second


def _gelu(x: np.ndarray) -> np.ndarray:
    """GELU: x Phi(x), with the standard normal distribution function Phi."""
    return x * (1 + erf(x / math.sqrt(2))) / 2


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, with the dtype of `x`."""
    flat = np.asarray(x, np.float64)
    # Exact to 1.2e-7, as float32 is: the Chebyshev fit `erfcc` of Press et al., "Numerical Recipes".
    t = 1 / (1 + np.abs(flat) / 2)
    terms = (
        -1.26551223,
        1.00002368,
        0.37409196,
        0.09678418,
        -0.18628806,
        0.27886807,
        -1.13520398,
        1.48851587,
        -0.82215223,
        0.17087277,
    )
    power = np.polynomial.polynomial.polyval(t, terms) - flat * flat
    rest = t * np.exp(power)
    return np.where(flat >= 0, 1 - rest, rest - 1).astype(np.asarray(x).dtype)
