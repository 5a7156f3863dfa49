"""Steps of a lattice of cells, by the compiled kernels and in numpy."""

import ctypes
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ..errors import LncaError
from ..randomness import derive, uniform_grid_of
from . import threads
from .arrays import Float, aligned, empty
from .bfloat16 import pairs, tiles
from .convolution import padded
from .folding import Folded, Map, fold
from .native import (
    BFLOAT16_SETS,
    FLOAT_P,
    INSTRUCTION_SETS,
    WORD_P,
    CLattice,
    CMap,
    CRule,
    NoKernelError,
    Precision,
    RuleKind,
    address,
    loaded_library,
)
from .rules import Rule, Update, position_code
from .settling import UNSUPPORTED, Settling


class Run(Protocol):
    """Runs the steps of a rule."""

    precision: Precision

    def advance(
        self,
        cells: np.ndarray,
        steps: int,
        seed: int = 0,
        first: int = 0,
        corner: tuple[int, int] = (0, 0),
        settling: Settling | None = None,
    ) -> None:
        """Runs steps in place.

        Args:
            cells: (B, H, W, C), float32, contiguous.
            seed: seed of the update masks.
            first: number of the first step, for the masks.
            corner: row and column of the first cell in a larger lattice, for the masks.
            settling: state of the settled cells, which are skipped; it is updated.

        Raises:
            LncaError: `settling` is given and not supported.
            MemoryError: there is not enough memory for the buffers.
        """


class NativeRun:
    """All steps in one call of the compiled kernels.

    Args:
        rule: its weights are copied.
        precision: precision of the matrix products; state and sums are always float32.
        level: one of `INSTRUCTION_SETS`; the best one if None.

    Raises:
        LncaError: the library was not built, the CPU lacks the instructions, or the rule has no kernel.
    """

    def __init__(self, rule: Rule, precision: Precision = "float32", level: str | None = None):
        loaded = loaded_library()
        best = INSTRUCTION_SETS[loaded.lnca_best()]
        level = level or best
        if INSTRUCTION_SETS.index(level) > INSTRUCTION_SETS.index(best):
            raise NoKernelError(f"this processor has no {level}; the best it has is {best}")
        if precision == "bfloat16" and level not in BFLOAT16_SETS:
            raise NoKernelError(f"bfloat16 needs a processor with AVX-512 BF16; this one runs {level} in float32")
        self.rule, self.precision, self.level = rule, precision, level
        self.vector = loaded.lnca_vector_size(INSTRUCTION_SETS.index(level))
        folded = fold(rule, self.vector)
        if folded is None or not _fits(folded):
            raise NoKernelError(f"there is no fused kernel for a {rule.kind} of these widths; use the plain rule")
        self._kept: list[np.ndarray] = []
        self._description = CRule(
            RuleKind[folded.kind.upper()],
            rule.channels,
            rule.input_channels,
            folded.embed,
            folded.heads,
            folded.epsilon,
            folded.attention_bias,
            (CMap * 6)(*map(self._map, folded.maps)),
            self._floats(folded.extra),
        )

    def _keep(self, array: np.ndarray, dtype: type) -> int:
        """The address of an aligned copy, which lives as long as this object."""
        self._kept.append(aligned(array, dtype))
        return self._kept[-1].ctypes.data

    def _floats(self, array: np.ndarray) -> Any:
        return ctypes.cast(self._keep(array, np.float32), FLOAT_P)

    def _map(self, folded: Map) -> CMap:
        inputs, outputs = folded.weight.shape
        words = self._keep(tiles(folded.weight) if self.level == "amx" else pairs(folded.weight), np.int32)
        return CMap(inputs, outputs, self._floats(folded.weight), self._floats(folded.bias), ctypes.cast(words, WORD_P))

    def advance(
        self,
        cells: np.ndarray,
        steps: int,
        seed: int = 0,
        first: int = 0,
        corner: tuple[int, int] = (0, 0),
        settling: Settling | None = None,
    ) -> None:
        """See `Run`."""
        batch, rows, columns, _ = cells.shape
        if not steps or not cells.size:
            return
        keys = np.array([derive(seed, first + step) & 0xFFFFFFFF for step in range(steps)], np.uint32)
        position = self._position(rows, columns)
        tracked: Sequence[Any] = (None, None, None, 0.0)
        if settling is not None:
            tracked = (*(x.ctypes.data for x in (*settling.buffers, settling.steps)), settling.tolerance)
        lattice = CLattice(
            address(cells),
            batch,
            rows,
            columns,
            keys.ctypes.data_as(WORD_P),
            None if position is None else address(position),
            *corner,
            self.rule.update_rate,
            steps,
            threads.count(),
            self.precision == "bfloat16",
            *tracked,
        )
        if loaded_library().lnca_run(INSTRUCTION_SETS.index(self.level), self._description, lattice):
            raise MemoryError(f"no memory for the steps of a lattice of {columns}x{rows} cells")
        if settling is not None:
            settling.advanced(steps)

    def _position(self, rows: int, columns: int) -> np.ndarray | None:
        if not self.rule.has_position_code:
            return None
        size = self.rule.embed
        code = empty(rows * columns, padded(size, self.vector))
        code[:, :size], code[:, size:] = position_code(rows * columns, size), 0
        return code


def _fits(folded: Folded) -> bool:
    """Whether the padded channels of a cell fit the kernels' buffers. Maps whose outputs have two or three parts may be
    two or three times as wide."""
    parts = {"nafca": (2, 1, 1, 2, 1, 1), "vitca": (1, 3, 1, 1, 1, 1)}[folded.kind]
    largest = loaded_library().lnca_largest()
    widths = (max(m.weight.shape[0], m.weight.shape[1] // n) for m, n in zip(folded.maps, parts, strict=True))
    return max(widths) <= largest


class NumpyRun:
    """The steps in numpy, a band of rows at a time.

    Args:
        rule: its weights are copied.
        dtype: precision of the arithmetic within a step. The cells have their own.
    """

    precision: Precision = "float32"
    # Number of cells in a band; the intermediate results of a step stay in the cache.
    BAND = 4096

    def __init__(self, rule: Rule, dtype: Float = np.float32):
        self.rule, self.dtype = rule, dtype
        self._update = Update(rule, dtype)

    def advance(
        self,
        cells: np.ndarray,
        steps: int,
        seed: int = 0,
        first: int = 0,
        corner: tuple[int, int] = (0, 0),
        settling: Settling | None = None,
    ) -> None:
        """See `Run`."""
        if settling is not None:
            raise LncaError(UNSUPPORTED)
        if not cells.size:
            return
        for step in range(first, first + steps):
            self._step(cells, self._mask(cells, seed, step, corner), corner[1])

    def _mask(self, cells: np.ndarray, seed: int, step: int, corner: tuple[int, int]) -> np.ndarray | None:
        """The cells that a step updates, (H, W); None means all."""
        if self.rule.update_rate == 1:
            return None
        rows, columns = cells.shape[1:3]
        draws = uniform_grid_of(seed, step, rows, corner[1] + columns, top=corner[0])
        return draws[:, corner[1] :] < self.rule.update_rate

    def _step(self, cells: np.ndarray, mask: np.ndarray | None, first: int) -> None:
        _, rows, columns, _ = cells.shape
        band = rows if self.rule.has_position_code else max(1, self.BAND // columns)
        above = cells[:, :0].copy()
        for begin in range(0, rows, band):
            end = min(begin + band, rows)
            # One row of context on each side; the row above as it was before this step.
            context, top = np.concatenate([above, cells[:, begin : end + 1]], 1), above.shape[1]
            above = cells[:, end - 1 : end].copy()
            change = self._update(context, first)[:, top : top + end - begin]
            if mask is not None:
                change = change * mask[begin:end, :, None]
            cells[:, begin:end, :, self.rule.input_channels :] += change
