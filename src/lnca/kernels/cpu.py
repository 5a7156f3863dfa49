"""Fused steps on the CPU."""

import ctypes
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import LncaError
from ..nn.autoencoder import Coder
from ..nn.automaton import Automaton
from ..nn.vitca import ViTCA, position_code
from ..randomness import derive
from .bfloat16 import pairs, tiles
from .folding import Folded, Map, fold, padded, versions
from .native import BFLOAT16_LEVELS, FLOAT_P, LEVELS, WORD_P, PlainLattice, PlainMap, PlainRule, address, loaded_library
from .settling import Settling

Precision = Literal["float32", "bfloat16"]

KINDS = {"nafca": 0, "vitca": 1}


class FusedRun:
    """`Automaton.run` in one call.

    Args:
        rule: a NAFCA or ViTCA; its weights are copied, and copied anew when they have changed.
        precision: of the matrix products; state and sums are float32 in any case.
        level: one of `LEVELS`; the best when None.

    Raises:
        LncaError: the library was not built, the processor lacks the instructions, or the rule has no kernel.
    """

    def __init__(self, rule: Automaton, precision: Precision = "float32", level: str | None = None):
        loaded = loaded_library()
        best = LEVELS[loaded.lnca_best()]
        level = level or best
        if LEVELS.index(level) > LEVELS.index(best):
            raise LncaError(f"this processor has no {level}; the best it has is {best}")
        if precision == "bfloat16" and level not in BFLOAT16_LEVELS:
            raise LncaError(f"bfloat16 needs a processor with AVX-512 BF16; this one runs {level} in float32")
        self.rule, self.precision, self.level = rule, precision, level
        self.vector = loaded.lnca_vector_size(LEVELS.index(level))
        self._fold()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy folds its own rule's weights, when it is first used."""
        return _unfolded, (self.rule, self.precision, self.level, self.vector)

    def in_bands(self, coder: Coder) -> Any:
        """The coder around these steps, by fused kernels of the same level; raises as `fused_coder`."""
        from .coders import fused_coder

        return fused_coder(coder, self.level, self.precision)

    def _fold(self) -> None:
        """Copies the rule's weights as they are now."""
        rule = self.rule
        self._versions = self._weights()
        folded = fold(rule, self.vector)
        if folded is None or not self._fits(folded):
            raise LncaError(f"there is no fused kernel for this {type(rule).__name__}; use the plain rule")
        self._kept: list[Tensor] = []
        self._description = PlainRule(
            KINDS[folded.kind], rule.channels, rule.input_channels, folded.embed, folded.heads,
            folded.epsilon, folded.attention_bias,
            (PlainMap * 6)(*map(self._map, folded.maps)), self._floats(folded.extra),
        )  # fmt: skip

    def _fits(self, folded: Folded) -> bool:
        """Whether a cell's padded channels fit the kernel's buffers; maps to two or three parts are that much wider."""
        parts = {"nafca": (2, 1, 1, 2, 1, 1), "vitca": (1, 3, 1, 1, 1, 1)}[folded.kind]
        largest = loaded_library().lnca_largest()
        widths = (max(m.weight.shape[0], m.weight.shape[1] // n) for m, n in zip(folded.maps, parts, strict=True))
        return max(widths) <= largest

    def _weights(self) -> list[tuple[int, int]]:
        """Changes when a weight does."""
        return versions(self.rule.parameters())

    def _keep(self, array: np.ndarray) -> int:
        """Address of a copy; torch's begin at a line of the cache, so that no vector or tile lies across two."""
        self._kept.append(torch.from_numpy(np.ascontiguousarray(array)).clone())
        return self._kept[-1].data_ptr()

    def _floats(self, array: np.ndarray) -> Any:
        return ctypes.cast(self._keep(array.astype(np.float32)), FLOAT_P)

    def _map(self, folded: Map) -> PlainMap:
        inputs, outputs = folded.weight.shape
        words = self._keep(tiles(folded.weight) if self.level == "amx" else pairs(folded.weight))
        return PlainMap(
            inputs, outputs, self._floats(folded.weight), self._floats(folded.bias), ctypes.cast(words, WORD_P)
        )

    def __call__(
        self, cells_BHWC: Tensor, steps: int, seed: int = 0, first: int = 0, corner: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """The cells after `steps` steps; float32, contiguous, on the CPU. For the rest see `advance`."""
        cells = cells_BHWC.detach().float().contiguous().clone()
        self.advance(cells, steps, seed, first, corner)
        return cells

    def advance(
        self, cells: Tensor, steps: int, seed: int = 0, first: int = 0, corner: tuple[int, int] = (0, 0),
        settling: Settling | None = None,
    ) -> None:  # fmt: skip
        """Runs steps in place.

        Args:
            cells: (B, H, W, C), float32, contiguous, on the CPU.
            seed: of the update masks.
            first: number of the first step, for the masks.
            corner: row and column of the first cell in a larger lattice, for the masks.
            settling: leaves out the cells that it says are settled, and is kept up to date.

        Raises:
            MemoryError: there is no memory for the rows the kernel keeps.
        """
        if self._weights() != self._versions:
            self._fold()
        batch, rows, columns, _ = cells.shape
        if not steps or not cells.numel():
            return
        threads = torch.get_num_threads()
        keys = np.array([derive(seed, first + step) & 0xFFFFFFFF for step in range(steps)], np.uint32)
        position = self._position(rows, columns)
        tracked: tuple[Any, ...] = (None, None, None, 0.0)
        if settling is not None:
            tracked = (*(x.data_ptr() for x in (*settling.buffers, settling.steps)), settling.tolerance)
        lattice = PlainLattice(
            address(cells), batch, rows, columns,
            keys.ctypes.data_as(WORD_P), None if position is None else address(position), *corner,
            self.rule.update_rate, steps, threads, self.precision == "bfloat16", *tracked,
        )  # fmt: skip
        if loaded_library().lnca_run(LEVELS.index(self.level), self._description, lattice):
            raise MemoryError(f"no memory for the steps of a lattice of {columns}x{rows} cells")
        if settling is not None:
            settling.advanced(steps)

    def _position(self, rows: int, columns: int) -> Tensor | None:
        if not isinstance(self.rule, ViTCA) or self.rule.position == "none":
            return None
        size = self.rule.embed.out_features
        code = torch.zeros(rows * columns, padded(size, self.vector))
        code[:, :size] = position_code(rows * columns, size)
        return code


def _unfolded(rule: Automaton, precision: Precision, level: str, vector: int) -> FusedRun:
    run = FusedRun.__new__(FusedRun)
    run.rule, run.precision, run.level, run.vector = rule, precision, level, vector
    run._versions = []
    return run
