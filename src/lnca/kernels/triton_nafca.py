"""NAFCA's steps in Triton (paper 3.1.2): one launch a step.

A launch finishes a step with the neighbours' nine taps of equation (2), and then computes the taps for the next step:
cells only exchange nine numbers. The taps alternate between two buffers, because a neighbour may still read the
last ones.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..runtime.folding import Folded
from .packing import Packed, Packer, Settings, power
from .triton_cells import inside, load_rows, normalise, product, store_rows, takes_part, vector, where

TAPS = 9


@triton.jit
def gated(cells, matrices, vectors, channels, epsilon, C: tl.constexpr, HALF: tl.constexpr):
    """Normalisation, embedding and gate of the perception block: even and odd channels, (BLOCK, HALF) each."""
    x = normalise(cells, channels, epsilon, C)
    a = product(x, matrices, C, HALF) + vector(vectors, HALF)
    b = product(x, matrices + C * HALF, C, HALF) + vector(vectors + HALF, HALF)
    gate = vectors + 2 * HALF
    even = (a * vector(gate, HALF) + vector(gate + HALF, HALF)) * (
        b * vector(gate + 2 * HALF, HALF) + vector(gate + 3 * HALF, HALF)
    )
    odd = (a * vector(gate + 4 * HALF, HALF) + vector(gate + 5 * HALF, HALF)) * (
        b * vector(gate + 6 * HALF, HALF) + vector(gate + 7 * HALF, HALF)
    )
    return even, odd


@triton.jit
def attention(taps, cell, row, column, rows, columns, count, present, bias, BLOCK: tl.constexpr):
    """Equation (2)'s single filter: one tap of each of the nine neighbours, (BLOCK,). Taps outside the lattice are
    zero."""
    total = tl.full((BLOCK,), 0.0, tl.float32) + bias
    for r in tl.static_range(3):
        for c in tl.static_range(3):
            near = present & inside(row + r - 1, column + c - 1, rows, columns)
            neighbour = cell + (r - 1) * columns + (c - 1)
            total += tl.load(taps + (3 * r + c) * count + neighbour, near, other=0.0)
    return total


@triton.jit(do_not_specialize=["step", "count"])
def nafca_step(
    cells_pointer,
    taps,
    next_taps,
    keys,
    step,
    threshold,
    matrices,
    vectors,
    count,
    rows,
    columns,
    channels,
    epsilon,
    attention_bias,
    C: tl.constexpr,
    HALF: tl.constexpr,
    WIDE: tl.constexpr,
    TAP: tl.constexpr,
    FINISH: tl.constexpr,
    MASKED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Finishes step `step` of a block of cells, if FINISH, and computes the taps for the next step."""
    cell, row, column, present = where(count, rows, columns, BLOCK)
    cells = load_rows(cells_pointer, cell, present, channels, C)
    m_taps = matrices + 2 * C * HALF
    if FINISH:
        m_project = m_taps + 2 * HALF * TAP
        m_update = m_project + 2 * HALF * C
        m_back = m_update + 2 * C * WIDE
        m_head = m_back + WIDE * C
        v_project = vectors + 10 * HALF
        v_update = v_project + C
        v_back = v_update + 2 * WIDE
        v_head = v_back + C

        even, odd = gated(cells, matrices, vectors, channels, epsilon, C, HALF)
        weight = attention(taps, cell, row, column, rows, columns, count, present, attention_bias, BLOCK)
        mixed = product(even, m_project, HALF, C) + product(odd, m_project + HALF * C, HALF, C)
        y = cells + mixed * weight[:, None] + vector(v_project, C)
        x = normalise(y, channels, epsilon, C)
        first = product(x, m_update, C, WIDE) + vector(v_update, WIDE)
        second = product(x, m_update + C * WIDE, C, WIDE) + vector(v_update + WIDE, WIDE)
        z = y + product(first * second, m_back, WIDE, C) + vector(v_back, C)
        delta = product(normalise(z, channels, epsilon, C), m_head, C, C) + vector(v_head, C)
        if MASKED:
            chosen = takes_part(tl.load(keys + step), row, column, threshold)
            delta = tl.where(chosen[:, None], delta, 0.0)
        cells += delta
        store_rows(cells_pointer, cell, present, cells, channels, C)
    even, odd = gated(cells, matrices, vectors, channels, epsilon, C, HALF)
    own = product(even, m_taps, HALF, TAP) + product(odd, m_taps + HALF * TAP, HALF, TAP)
    tap = tl.arange(0, TAP)[None, :]
    tl.store(next_taps + tap * count + cell[:, None], own, present[:, None] & (tap < 9))


class NafcaSteps:
    """The launches of a run.

    Args:
        folded: the rule's weights.
        settings: the other settings.
    """

    def __init__(self, folded: Folded, settings: Settings):
        self.folded, self.settings = folded, settings
        channels, half = settings.channels, folded.maps[0].weight.shape[1] // 2
        wide = folded.maps[4].weight.shape[0]
        self.c, self.half, self.wide, self.tap = power(channels), power(half), power(wide), power(TAPS)

    def pack(self) -> Packed:
        """The weights in the order in which the kernel reads them."""
        embed, taps, project, update, back, head = self.folded.maps
        packer, inputs = Packer(), self.settings.input_channels
        for part in (0, 1):
            packer.matrix(embed.weight, self.c, self.half, columns=(part, 2))
        for matrix, width in ((taps, self.tap), (project, self.c)):
            for part in (0, 1):
                packer.matrix(matrix.weight, self.half, width, rows=(part, 2))
        for part in (0, 1):
            packer.matrix(update.weight, self.c, self.wide, columns=(part, 2))
        packer.matrix(back.weight, self.wide, self.c)
        packer.matrix(head.weight, self.c, self.c, shift=inputs)
        half = embed.weight.shape[1] // 2
        for bias in (*embed.bias.reshape(2, -1), *self.folded.extra[: 8 * half].reshape(8, half)):
            packer.vector(bias, self.half)
        packer.vector(self.folded.extra[8 * half :], self.c)
        for bias in update.bias.reshape(2, -1):
            packer.vector(bias, self.wide)
        packer.vector(back.bias, self.c)
        packer.vector(head.bias, self.c, shift=inputs)
        return packer.packed()

    def inputs(self, rows: int, columns: int) -> tuple[Tensor, ...]:
        """Further inputs of a run beside cells and keys: none."""
        return ()

    def run(self, weights: Packed, cells: Tensor, keys: Tensor) -> None:
        """Runs one step for each key, in place."""
        batch, rows, columns, channels = cells.shape
        count, settings = batch * rows * columns, self.settings
        taps = torch.empty(2, TAPS, count, device=cells.device)
        for step in range(-1, len(keys)):
            nafca_step[(triton.cdiv(count, settings.block),)](
                cells,
                taps[step % 2],
                taps[(step + 1) % 2],
                keys,
                step,
                settings.threshold,
                weights.matrices,
                weights.vectors,
                count,
                rows,
                columns,
                channels,
                self.folded.epsilon,
                self.folded.attention_bias,
                C=self.c,
                HALF=self.half,
                WIDE=self.wide,
                TAP=self.tap,
                FINISH=step >= 0,
                MASKED=settings.masked,
                BLOCK=settings.block,
                num_warps=settings.warps,
            )
