"""Folds the weights of a rule: scale and shift of the normalisations, beta and gamma become part of the neighbouring
linear maps. This is exact, and computed in float64."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .convolution import padded
from .rules import LAYER_NORM, Linear, Rule


@dataclass(frozen=True)
class Map:
    """A linear map: weight (inputs, outputs) and bias (outputs,), float64, padded with zeros."""

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Folded:
    """The weights of a rule in the form that the kernels read.

    Args:
        kind: "nafca" or "vitca".
        maps: the six linear maps of a step, in order.
        extra: for NAFCA the gate's factors and shifts, alternating, (8, embed / 2), and the bias of the projection.
        embed: channels of a token.
        heads: attention heads (ViTCA).
        epsilon: epsilon of the normalisations.
        attention_bias: bias of equation (2) (NAFCA).
    """

    kind: str
    maps: list[Map]
    extra: np.ndarray
    embed: int
    heads: int
    epsilon: float
    attention_bias: float


class Plain(NamedTuple):
    """A linear map that is not padded: weight (inputs, outputs) and bias (outputs,)."""

    weight: np.ndarray
    bias: np.ndarray


def fold(rule: Rule, vector: int) -> Folded | None:
    """The folded weights of a rule, padded to multiples of `vector` numbers; None if there is no kernel for its
    widths."""
    if rule.kind == "nafca":
        return _fold_nafca(rule, vector) if rule.embed % 2 == 0 else None
    fits = rule.heads & (rule.heads - 1) == 0 and rule.heads <= vector
    return _fold_vitca(rule, vector) if fits else None


def linear(layer: Linear, norm: Linear | None = None, scale: np.ndarray | None = None) -> Plain:
    """A layer, folded with the normalisation before it and the factor of each output (outputs,) after it."""
    weight, bias = layer
    if norm is not None:
        bias = bias + weight @ norm.bias
        weight = weight * norm.weight
    if scale is not None:
        bias, weight = bias * scale, weight * scale[:, None]
    return Plain(weight.T, bias)


def _pad(weight: np.ndarray, bias: np.ndarray, vector: int) -> Map:
    inputs, outputs = (padded(size, vector) for size in weight.shape)
    wide, long = np.zeros((inputs, outputs)), np.zeros(outputs)
    wide[: weight.shape[0], : weight.shape[1]], long[: len(bias)] = weight, bias
    return Map(wide, long)


def _spread(x: np.ndarray, parts: int, vector: int, axis: int) -> np.ndarray:
    """Splits an axis into equal parts, and pads each to a multiple of `vector`."""
    padded_parts = []
    for piece in np.split(x, parts, axis):
        padding = [(0, 0)] * piece.ndim
        padding[axis] = (0, padded(piece.shape[axis], vector) - piece.shape[axis])
        padded_parts.append(np.pad(piece, padding))
    return np.concatenate(padded_parts, axis)


def _fold_nafca(rule: Rule, vector: int) -> Folded:
    half, layers, vectors = rule.embed // 2, rule.linear, rule.vectors
    weight, bias = linear(layers["perception_embed"], layers["perception_norm"])
    embed = _pad(_spread(weight, 2, vector, 1), _spread(bias, 2, vector, 0), vector)
    # Gated channel j is wide[j] * wide[E + j], and the grouped map computes wide[2i] and wide[2i + 1] from channel i:
    # both the even and the odd gated channels need channels i and E/2 + i.
    factor, shift = (vectors[f"widen.{name}"].reshape(2, half, 2) for name in ("weight", "bias"))
    rows = [part[side, :, parity] for parity in (0, 1) for side in (0, 1) for part in (factor, shift)]
    gate = _spread(np.stack(rows), 1, vector, 1)
    order = np.concatenate([np.arange(0, 2 * half, 2), np.arange(1, 2 * half, 2)])
    taps = vectors["attention.weight"][order]
    project, project_bias = linear(layers["perception_project"], scale=vectors["beta"])
    update, update_bias = linear(layers["update_embed"], layers["update_norm"])
    maps = [
        embed,
        _pad(_spread(taps, 2, vector, 0), np.zeros(9), vector),
        _pad(_spread(project[order], 2, vector, 0), np.zeros_like(project_bias), vector),
        _pad(_spread(update, 2, vector, 1), _spread(update_bias, 2, vector, 0), vector),
        _pad(*linear(layers["update_project"], scale=vectors["gamma"]), vector),
        _pad(*linear(layers["head"], layers["head_norm"]), vector),
    ]
    extra = np.concatenate([gate.ravel(), _spread(project_bias, 1, vector, 0)])
    return Folded(
        kind="nafca",
        maps=maps,
        extra=extra,
        embed=2 * half,
        heads=1,
        epsilon=LAYER_NORM["nafca"],
        attention_bias=float(vectors["attention.bias"][0]),
    )


def _fold_vitca(rule: Rule, vector: int) -> Folded:
    size, heads, layers = rule.embed, rule.heads, rule.linear
    # Channel c of head h is at position c * heads + h, so that a lane of all vectors belongs to one head.
    order = np.arange(size).reshape(heads, -1).T.ravel()
    weight, bias = linear(layers["qkv"], layers["attention_norm"])
    parts = [(w[:, order], b[order]) for w, b in zip(np.split(weight, 3, 1), np.split(bias, 3), strict=True)]
    scale = (size // heads) ** -0.5
    parts[0] = (parts[0][0] * scale, parts[0][1] * scale)
    weight, bias = np.concatenate([w for w, _ in parts], 1), np.concatenate([b for _, b in parts])
    project, project_bias = linear(layers["attention_project"])
    maps = [
        _pad(*linear(layers["embed"]), vector),
        _pad(_spread(weight, 3, vector, 1), _spread(bias, 3, vector, 0), vector),
        _pad(project[order], project_bias, vector),
        _pad(*linear(layers["mlp_in"], layers["mlp_norm"]), vector),
        _pad(*linear(layers["mlp_out"]), vector),
        _pad(*linear(layers["head"], layers["head_norm"]), vector),
    ]
    return Folded(
        kind="vitca",
        maps=maps,
        extra=np.zeros(0),
        embed=size,
        heads=heads,
        epsilon=LAYER_NORM["vitca"],
        attention_bias=0.0,
    )
