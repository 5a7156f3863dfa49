"""An automaton on three lattices (`lnca.nn.pyramid`) row by row: every intermediate picture is made once, from top to
bottom, and its rows are kept as long as something below still needs them. A picture of any height takes the memory of
some rows.

Values are the same to the bit wherever a band of rows, or a strip of columns, begins, since those of a `Convolution`
are.
"""

from collections.abc import Callable, Sequence

import numpy as np

from .arrays import RowReader, shuffled, unshuffled
from .convolution import Band, Convolution
from .engine import Engine
from .layers import by_blocks, convolution, making_blocks, reading_blocks
from .noise_level import LEVEL_CHANNELS, SIDE
from .weights import Weights

# Pixels of a side of the fine lattice's cells.
FINE = 2
# What a noise level of 255 is to the cells: inputs of the first convolution should be of one size.
LEVEL_INPUT_SCALE = 4.0
# The noise level, in 255ths, from which on a correction is taken as it is.
FULL = 2.0
# Pixels to either side that a restored pixel depends on, a step and beside the steps.
STEP_REACH, OTHER_REACH = 32, 8


def reach(steps: int) -> int:
    """Pixels to either side that a restored pixel depends on, at most; a multiple of 8."""
    return STEP_REACH * steps + OTHER_REACH


class RowCache:
    """Rows of an intermediate picture, (B, rows, W, C), made in order, and kept as long as a reader may ask for them.

    Args:
        height: rows in all.
        make: computes rows [begin, end); each call begins where the one before ended.
    """

    def __init__(self, height: int, make: RowReader):
        self.height, self.make = height, make
        self.first = self.end = 0
        self.rows: np.ndarray | None = None
        self.begins: list[int] = []

    def reader(self) -> RowReader:
        """Gives rows [begin, end) to one reader, whose begins never fall."""
        number = len(self.begins)
        self.begins.append(0)

        def read(begin: int, end: int) -> np.ndarray:
            self.begins[number] = begin
            self._forget(min(self.begins))
            if end > self.end:
                fresh = self.make(self.end, end)
                kept = [] if self.rows is None or not self.rows.shape[1] else [self.rows]
                self.rows = np.concatenate([*kept, fresh], 1) if kept else fresh
                self.end = end
            assert self.rows is not None
            return self.rows[:, begin - self.first : end - self.first]

        return read

    def _forget(self, begin: int) -> None:
        """Drops the rows above `begin`."""
        dropped = min(begin, self.end) - self.first
        if self.rows is not None and dropped > 0:
            self.rows = self.rows[:, dropped:]
            self.first += dropped


class BandPyramid:
    """The automaton's steps and what is around them.

    Args:
        weights: its tensors, named as in `lnca.nn.pyramid.PyramidAutomaton`.
        channels: of a cell of the fine, the middle and the coarse lattice.
        rules: how many take turns.
        engine: what runs it; what reads pixels or makes them is never rounded to bfloat16.

    Raises:
        LncaError: a tensor is missing or has another shape; more channels than the kernels have room for.
    """

    def __init__(self, weights: Weights, channels: tuple[int, int, int], rules: int, engine: Engine):
        self.channels, self.aligned = channels, engine.aligned
        pixels = 3 * FINE**2
        encode = convolution(weights.within("encode"), pixels + LEVEL_CHANNELS, channels[0], exact=True)
        decode = convolution(weights.within("decode"), channels[0], pixels, exact=True)
        self.encode = engine.convolution(reading_blocks(encode, FINE, 3))
        self.decode = engine.convolution(making_blocks(decode, FINE))
        self.rules = [BandStep(weights.within(f"rules.{number}"), channels, engine) for number in range(rules)]

    def floats(self, steps: int) -> tuple[int, int]:
        """Numbers that restoring holds of each column of pixels: for every row of a band, and beside the band."""
        fine, middle, coarse = self.channels
        row = steps * (3 * fine / 4 + 3 * middle / 16 + 3 * coarse / 64) + 3 * fine / 4 + 12
        return int(row) + 1, int(24 * row) + 6 * reach(steps)

    def __call__(self, image: RowReader, level: RowReader, height: int, steps: int) -> RowReader:
        """Rows of the restored picture, not clipped; they have to be asked for in order, in multiples of 8.

        Args:
            image: rows (B, rows, W, 3) of the given picture, W a multiple of 8.
            level: rows (B, rows, W / 2, 2) of the levels of the fine lattice's cells, as `spread` gives them.
            height: rows of the picture, a multiple of 8.
        """
        pixels = RowCache(height, image)
        mine, given = pixels.reader(), pixels.reader()

        def inputs(begin: int, end: int) -> np.ndarray:
            blocks = unshuffled(mine(FINE * begin, FINE * end), FINE)
            return np.concatenate([blocks, level(begin, end) * np.float32(LEVEL_INPUT_SCALE / 255)], -1)

        rows = height // FINE
        if steps == 0:
            return given
        fine = chained(self.encode, RowCache(rows, inputs))
        middle: RowCache | None = None
        coarse: RowCache | None = None
        for rule in self.rules[:steps]:
            fine, middle, coarse = rule(fine, middle, coarse)
        corrections = chained(self.decode, fine).reader()

        def restored(begin: int, end: int) -> np.ndarray:
            first, last = begin // FINE, end // FINE
            share = share_of_correction(level(first, last))
            return given(begin, end) + shuffled(corrections(first, last) * share, FINE)

        return restored


class BandStep:
    """One step of all lattices.

    Args:
        weights, channels, engine: see `BandPyramid`; the tensors as of `lnca.nn.pyramid.Step`.
    """

    def __init__(self, weights: Weights, channels: tuple[int, int, int], engine: Engine):
        fine, middle, coarse = channels

        def rule(name: str, width: int) -> tuple[Convolution, Convolution]:
            perceive = convolution(weights.within(f"{name}.perceive"), width, width, activation="relu")
            act = convolution(weights.within(f"{name}.act"), width, width)
            return engine.convolution(perceive), engine.convolution(act)

        def scattered(name: str, inputs: int, outputs: int) -> Convolution:
            return engine.convolution(making_blocks(convolution(weights.within(name), inputs, 4 * outputs, 1), 2))

        self.to_middle = engine.convolution(by_blocks(weights.within("to_middle"), fine, middle))
        self.to_coarse = engine.convolution(by_blocks(weights.within("to_coarse"), middle, coarse))
        self.from_coarse, self.from_middle = (
            scattered("from_coarse", coarse, middle),
            scattered("from_middle", middle, fine),
        )
        self.fine, self.middle, self.coarse = rule("fine", fine), rule("middle", middle), rule("coarse", coarse)

    def __call__(
        self, fine: RowCache, middle: RowCache | None, coarse: RowCache | None
    ) -> tuple[RowCache, RowCache, RowCache]:
        middle = _gathered(self.to_middle, fine, middle)
        coarse = _updated(self.coarse, _gathered(self.to_coarse, middle, coarse))
        middle = _updated(self.middle, _scattered(self.from_coarse, coarse, middle))
        return _updated(self.fine, _scattered(self.from_middle, middle, fine)), middle, coarse


def chained(layer: Convolution, source: RowCache, added: RowCache | None = None) -> RowCache:
    """What a layer makes of a source, and something added to it."""
    read = source.reader()
    beside = added and added.reader()

    def make(begin: int, end: int) -> np.ndarray:
        low, high = layer.needs(begin, end, source.height)
        other = Band(beside(begin, end), begin, source.height) if beside else None
        return layer(Band(read(low, high), low, source.height), begin, end, other).values

    return RowCache(source.height, make)


def _updated(rule: Sequence[Convolution], cells: RowCache) -> RowCache:
    """Equation (1) on one lattice."""
    perceive, act = rule
    return chained(act, chained(perceive, cells), cells)


def _gathered(layer: Convolution, finer: RowCache, cells: RowCache | None) -> RowCache:
    """Cells that have heard from the next finer lattice."""
    read = finer.reader()
    blocks = RowCache(finer.height // 2, lambda begin, end: unshuffled(read(2 * begin, 2 * end), 2))
    return chained(layer, blocks, cells)


def _scattered(layer: Convolution, coarser: RowCache, cells: RowCache) -> RowCache:
    """Cells that have heard from the next coarser lattice."""
    read, mine = chained(layer, coarser).reader(), cells.reader()

    def make(begin: int, end: int) -> np.ndarray:
        top = begin // 2
        heard = shuffled(read(top, -(-end // 2)), 2)
        return mine(begin, end) + heard[:, begin - 2 * top : end - 2 * top]

    return RowCache(cells.height, make)


def spread_rows(level_BLhw: np.ndarray) -> Callable[[int, int], np.ndarray]:
    """`spread` levels, channels last, as rows."""
    wide = spread(level_BLhw)
    return lambda begin, end: wide[:, begin:end]


def spread(level_BLhw: np.ndarray) -> np.ndarray:
    """A map of levels for the fine lattice's cells, four times as high and wide, (B, 4 h, 4 w, 2): between cells it is
    linear, so that edges of cells do not show."""
    channels_last = np.asarray(level_BLhw, np.float32).transpose(0, 2, 3, 1)
    return _interpolated(_interpolated(channels_last, 1), 2)


def _interpolated(x: np.ndarray, axis: int) -> np.ndarray:
    """Four places for each along an axis; those beyond the middles of the outer ones are as these are."""
    size, factor = x.shape[axis], SIDE // FINE
    place = np.clip((np.arange(size * factor, dtype=np.float32) + 0.5) / factor - 0.5, 0, size - 1)
    below = place.astype(int)
    shape = [1] * x.ndim
    shape[axis] = -1
    share = (place - below).astype(np.float32).reshape(shape)
    return x.take(below, axis) * (1 - share) + x.take(np.minimum(below + 1, size - 1), axis) * share


def share_of_correction(level: np.ndarray) -> np.ndarray:
    """How much of a correction is taken: all of it where brightness or colour noise is `FULL` or more, and none where
    there is none, so that clean pictures stay.

    Args:
        level: with the two levels along the last axis, which is kept.
    """
    return np.clip(level.max(-1, keepdims=True) / np.float32(FULL), 0, 1)


assert SIDE % (4 * FINE) == 0
