"""Weights of a rule, folded: scale and shift of each normalisation, and beta and gamma, go into the linear maps beside
them. Exact algebra, done in float64."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..nn.automaton import Automaton
from ..nn.nafca import NAFCA
from ..nn.vitca import ViTCA


@dataclass(frozen=True)
class Map:
    """A linear map: weight (inputs, outputs) and bias (outputs,), float64, padded with zeros."""

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Folded:
    """A rule as a kernel wants it.

    Args:
        kind: "nafca" or "vitca".
        maps: the six linear maps of a step, in their order.
        extra: NAFCA's gate, four pairs of factor and shift (8, embed / 2), and the projection's bias.
        embed, heads: width of the tokens, heads (ViTCA).
        epsilon: of the normalisations.
        attention_bias: of equation (2) (NAFCA).
    """

    kind: str
    maps: list[Map]
    extra: np.ndarray
    embed: int
    heads: int
    epsilon: float
    attention_bias: float


def versions(tensors: Iterable[Tensor]) -> list[tuple[int, int]]:
    """Changes when a tensor does, so that what was folded from them can be folded anew."""
    return [(x.data_ptr(), x._version) for x in tensors]


def padded(count: int, vector: int) -> int:
    """The next multiple of `vector`."""
    return -(-count // vector) * vector


def fold(rule: Automaton, vector: int) -> Folded | None:
    """The folded weights of a rule for vectors of `vector` numbers; None for a rule that no kernel knows."""
    if type(rule) is NAFCA and rule.perception_embed.out_features % 2 == 0:
        return _fold_nafca(rule, vector)
    if type(rule) is ViTCA and rule.heads & (rule.heads - 1) == 0 and rule.heads <= vector:
        return _fold_vitca(rule, vector)
    return None


def double(x: Tensor) -> Tensor:
    """Weights as they are folded: on the processor, in float64."""
    return x.detach().cpu().double()


def linear(layer: nn.Linear, norm: nn.LayerNorm | None = None, scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Weight (inputs, outputs) and bias of a layer after a normalisation and before a factor for each output."""
    weight = double(layer.weight)
    bias = weight.new_zeros(len(weight)) if layer.bias is None else double(layer.bias)
    if norm is not None:
        bias = bias + weight @ double(norm.bias)
        weight = weight * double(norm.weight)
    if scale is not None:
        bias, weight = bias * double(scale), weight * double(scale)[:, None]
    return weight.T, bias


def _pad(weight: Tensor, bias: Tensor, vector: int) -> Map:
    inputs, outputs = (padded(size, vector) for size in weight.shape)
    wide, long = weight.new_zeros(inputs, outputs), bias.new_zeros(outputs)
    wide[: weight.shape[0], : weight.shape[1]], long[: len(bias)] = weight, bias
    return Map(wide.numpy(), long.numpy())


def _spread(x: Tensor, parts: int, vector: int, dimension: int) -> Tensor:
    """Pads each of the equal parts of a dimension by itself."""
    pieces = []
    for piece in x.chunk(parts, dimension):
        room = list(piece.shape)
        room[dimension] = padded(room[dimension], vector) - room[dimension]
        pieces.append(torch.cat([piece, piece.new_zeros(room)], dimension))
    return torch.cat(pieces, dimension)


def _fold_nafca(rule: NAFCA, vector: int) -> Folded:
    half = rule.perception_embed.out_features // 2
    weight, bias = linear(rule.perception_embed, rule.perception_norm)
    embed = _pad(_spread(weight, 2, vector, 1), _spread(bias, 2, vector, 0), vector)
    # Gated channel j is wide[j] * wide[E + j], and the grouped map makes wide[2i] and wide[2i + 1] of channel i: the
    # even and the odd gated channels each need channels i and E/2 + i.
    assert rule.widen.bias is not None
    factor, shift = (double(x).flatten().reshape(2, half, 2) for x in (rule.widen.weight, rule.widen.bias))
    rows = [part[side, :, parity] for parity in (0, 1) for side in (0, 1) for part in (factor, shift)]
    gate = _spread(torch.stack(rows), 1, vector, 1)
    order = torch.cat([torch.arange(0, 2 * half, 2), torch.arange(1, 2 * half, 2)])
    taps = double(rule.attention.weight[0]).flatten(1)[order]
    project, project_bias = linear(rule.perception_project, scale=rule.beta)
    update, update_bias = linear(rule.update_embed, rule.update_norm)
    maps = [
        embed,
        _pad(_spread(taps, 2, vector, 0), taps.new_zeros(9), vector),
        _pad(_spread(project[order], 2, vector, 0), torch.zeros_like(project_bias), vector),
        _pad(_spread(update, 2, vector, 1), _spread(update_bias, 2, vector, 0), vector),
        _pad(*linear(rule.update_project, scale=rule.gamma), vector),
        _pad(*linear(rule.head, rule.head_norm), vector),
    ]
    extra = torch.cat([gate.flatten(), _spread(project_bias, 1, vector, 0)]).numpy()
    assert rule.attention.bias is not None
    bias_of_attention = double(rule.attention.bias).item()
    return Folded("nafca", maps, extra, 2 * half, 1, rule.perception_norm.eps, bias_of_attention)


def _fold_vitca(rule: ViTCA, vector: int) -> Folded:
    size, heads = rule.embed.out_features, rule.heads
    # Channel c of head h stands at c * heads + h, so that equal lanes of all vectors belong to one head.
    order = torch.arange(size).reshape(heads, -1).T.flatten()
    weight, bias = linear(rule.qkv, rule.attention_norm)
    parts = [(w[:, order], b[order]) for w, b in zip(weight.chunk(3, 1), bias.chunk(3), strict=True)]
    scale = (size // heads) ** -0.5
    parts[0] = (parts[0][0] * scale, parts[0][1] * scale)
    weight, bias = torch.cat([w for w, _ in parts], 1), torch.cat([b for _, b in parts])
    project, project_bias = linear(rule.attention_project)
    maps = [
        _pad(*linear(rule.embed), vector),
        _pad(_spread(weight, 3, vector, 1), _spread(bias, 3, vector, 0), vector),
        _pad(project[order], project_bias, vector),
        _pad(*linear(rule.mlp_in, rule.mlp_norm), vector),
        _pad(*linear(rule.mlp_out), vector),
        _pad(*linear(rule.head, rule.head_norm), vector),
    ]
    return Folded("vitca", maps, np.zeros(0), size, heads, rule.head_norm.eps, 0.0)
