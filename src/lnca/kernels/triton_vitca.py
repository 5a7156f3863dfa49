"""ViTCA's steps in Triton (paper 3.1.2): two launches a step.

The first computes query, key and value of each cell. The second attends to the nine neighbours and finishes the step.
As in the folded weights, channel c of head h is at position c * heads + h.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..nn.vitca import position_code
from ..runtime.folding import Folded
from .packing import Packed, Packer, Settings, power
from .triton_cells import inside, load_rows, normalise, product, store_rows, takes_part, vector, where


@triton.jit
def tokens(
    cells,
    position,
    cell,
    present,
    lattice,
    embed,
    matrices,
    vectors,
    C: tl.constexpr,
    E: tl.constexpr,
    POSITION: tl.constexpr,
):
    """The embedding of cells, with the position code if the rule has one, (BLOCK, E)."""
    x = product(cells, matrices, C, E) + vector(vectors, E)
    if POSITION:
        x += load_rows(position, cell % lattice, present, embed, E)
    return x


@triton.jit(do_not_specialize=["count"])
def vitca_attend(
    cells_pointer,
    qkv,
    position,
    matrices,
    vectors,
    count,
    rows,
    columns,
    channels,
    embed,
    epsilon,
    C: tl.constexpr,
    E: tl.constexpr,
    POSITION: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Computes query, key and value of a block of cells into `qkv`, (3, cells, E)."""
    cell, _, _, present = where(count, rows, columns, BLOCK)
    cells = load_rows(cells_pointer, cell, present, channels, C)
    x = tokens(cells, position, cell, present, rows * columns, embed, matrices, vectors, C, E, POSITION)
    x = normalise(x, embed, epsilon, E)
    for part in tl.static_range(3):
        values = product(x, matrices + C * E + part * E * E, E, E) + vector(vectors + (1 + part) * E, E)
        store_rows(qkv + part * count.to(tl.int64) * E, cell, present, values, E, E)


@triton.jit
def local_attention(
    qkv,
    cell,
    row,
    column,
    rows,
    columns,
    count,
    present,
    E: tl.constexpr,
    HEADS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Softmax over the nine neighbours; key and value are zero outside the lattice, (BLOCK, E)."""
    size = count.to(tl.int64) * E
    query = load_rows(qkv, cell, present, E, E)
    largest = tl.full((BLOCK, HEADS), float("-inf"), tl.float32)
    whole = tl.full((BLOCK, HEADS), 0.0, tl.float32)
    mixed = tl.full((BLOCK, E // HEADS, HEADS), 0.0, tl.float32)
    for r in tl.static_range(3):
        for c in tl.static_range(3):
            near = present & inside(row + r - 1, column + c - 1, rows, columns)
            neighbour = cell + (r - 1) * columns + (c - 1)
            key = load_rows(qkv + size, neighbour, near, E, E)
            value = load_rows(qkv + 2 * size, neighbour, near, E, E)
            score = tl.sum(tl.reshape(query * key, (BLOCK, E // HEADS, HEADS)), 1)
            peak = tl.maximum(largest, score)
            before, now = tl.exp(largest - peak), tl.exp(score - peak)
            whole = whole * before + now
            mixed = mixed * before[:, None, :] + now[:, None, :] * tl.reshape(value, (BLOCK, E // HEADS, HEADS))
            largest = peak
    return tl.reshape(mixed / whole[:, None, :], (BLOCK, E))


@triton.jit(do_not_specialize=["step", "count"])
def vitca_finish(
    cells_pointer,
    qkv,
    position,
    keys,
    step,
    threshold,
    matrices,
    vectors,
    count,
    rows,
    columns,
    channels,
    embed,
    epsilon,
    C: tl.constexpr,
    E: tl.constexpr,
    MLP: tl.constexpr,
    HEADS: tl.constexpr,
    POSITION: tl.constexpr,
    MASKED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Attention, projection, MLP and head: finishes step `step` of a block of cells."""
    m_project = matrices + C * E + 3 * E * E
    m_in = m_project + E * E
    m_out = m_in + E * MLP
    m_head = m_out + MLP * E
    v_project = vectors + 4 * E
    v_in = v_project + E
    v_out = v_in + MLP
    v_head = v_out + E

    cell, row, column, present = where(count, rows, columns, BLOCK)
    mixed = local_attention(qkv, cell, row, column, rows, columns, count, present, E, HEADS, BLOCK)
    cells = load_rows(cells_pointer, cell, present, channels, C)
    x = tokens(cells, position, cell, present, rows * columns, embed, matrices, vectors, C, E, POSITION)
    x += product(mixed, m_project, E, E) + vector(v_project, E)
    middle = product(normalise(x, embed, epsilon, E), m_in, E, MLP) + vector(v_in, MLP)
    middle = 0.5 * middle * (1.0 + tl.erf(middle * 0.7071067811865476))
    x += product(middle, m_out, MLP, E) + vector(v_out, E)
    delta = product(normalise(x, embed, epsilon, E), m_head, E, C) + vector(v_head, C)
    if MASKED:
        chosen = takes_part(tl.load(keys + step), row, column, threshold)
        delta = tl.where(chosen[:, None], delta, 0.0)
    store_rows(cells_pointer, cell, present, cells + delta, channels, C)


class VitcaSteps:
    """The launches of a run; see `NafcaSteps`.

    Args:
        position: whether tokens have a position code.
    """

    def __init__(self, folded: Folded, settings: Settings, position: bool):
        self.folded, self.settings, self.position = folded, settings, position
        self.c, self.e = power(settings.channels), power(folded.embed)
        self.mlp = power(folded.maps[4].weight.shape[0])

    def pack(self) -> Packed:
        """The weights in the order in which the kernels read them."""
        embed, qkv, project, mlp_in, mlp_out, head = self.folded.maps
        packer, inputs = Packer(), self.settings.input_channels
        packer.matrix(embed.weight, self.c, self.e)
        for part in range(3):
            packer.matrix(qkv.weight, self.e, self.e, columns=(part, 3))
        packer.matrix(project.weight, self.e, self.e)
        packer.matrix(mlp_in.weight, self.e, self.mlp)
        packer.matrix(mlp_out.weight, self.mlp, self.e)
        packer.matrix(head.weight, self.e, self.c, shift=inputs)
        for bias in (embed.bias, *qkv.bias.reshape(3, -1), project.bias):
            packer.vector(bias, self.e)
        packer.vector(mlp_in.bias, self.mlp)
        packer.vector(mlp_out.bias, self.e)
        packer.vector(head.bias, self.c, shift=inputs)
        return packer.packed()

    def inputs(self, rows: int, columns: int) -> tuple[Tensor, ...]:
        """Further inputs of a run beside cells and keys: the position code of a lattice, if the rule has one."""
        return (position_code(rows * columns, self.folded.embed).float(),) if self.position else ()

    def run(self, weights: Packed, cells: Tensor, keys: Tensor, *code: Tensor) -> None:
        """Runs one step for each key, in place."""
        batch, rows, columns, channels = cells.shape
        count, settings, folded = batch * rows * columns, self.settings, self.folded
        qkv = torch.empty(3, count, self.e, device=cells.device, dtype=weights.matrices.dtype)
        position = code[0] if code else cells
        sizes = {"C": self.c, "E": self.e, "POSITION": self.position, "BLOCK": settings.block}
        grid = (triton.cdiv(count, settings.block),)
        shape = (weights.matrices, weights.vectors, count, rows, columns, channels, folded.embed, folded.epsilon)
        for step in range(len(keys)):
            vitca_attend[grid](cells, qkv, position, *shape, **sizes, num_warps=settings.warps)
            vitca_finish[grid](
                cells,
                qkv,
                position,
                keys,
                step,
                settings.threshold,
                *shape,
                **sizes,
                MLP=self.mlp,
                HEADS=folded.heads,
                MASKED=settings.masked,
                num_warps=settings.warps,
            )
