"""The automaton on three lattices (`lnca.nn.pyramid`), row by row, in bounded memory.

Every feature map is computed once, from top to bottom, and a row is kept only as long as a later layer needs it. Values
are the same to the bit wherever a band of rows or a strip of columns begins, like those of `Convolution`.
"""

from collections.abc import Callable, Sequence

import numpy as np

from .arrays import RowReader, empty, shuffled, unshuffled
from .convolution import Band, Convolution
from .engine import Engine
from .layers import by_blocks, convolution, making_blocks, reading_blocks
from .noise_level import LEVEL_CHANNELS, SIDE
from .weights import Weights

# Computes rows [begin, end) of a feature map, into an array of their shape if one is given and that saves a copy.
RowMaker = Callable[[int, int, np.ndarray | None], np.ndarray]

# Side of a cell of the fine lattice in pixels.
FINE = 2
# The input of the first convolution for a noise level of 255; all its inputs should have a similar range.
LEVEL_INPUT_SCALE = 4.0
# From this noise level on, in 255ths, the whole correction is applied.
FULL_CORRECTION_LEVEL = 2.0
# Radius of the receptive field in pixels: for each step, and for encoder and decoder.
STEP_REACH, OTHER_REACH = 32, 8


def reach(steps: int) -> int:
    """An upper bound of the radius of the receptive field after `steps` steps, in pixels; a multiple of 8."""
    return STEP_REACH * steps + OTHER_REACH


class RowCache:
    """Rows of a feature map, (B, rows, W, C), computed in order, and kept until no reader needs them.

    Args:
        height: total number of rows.
        make: computes rows [begin, end); each call begins where the last one ended.
    """

    def __init__(self, height: int, make: RowMaker):
        self.height, self.make = height, make
        self.first = self.end = 0
        self.rows: np.ndarray | None = None
        self.begins: list[int] = []

    def reader(self) -> RowReader:
        """A function that returns rows [begin, end) to one reader. `begin` must not decrease from call to call."""
        number = len(self.begins)
        self.begins.append(0)

        def read(begin: int, end: int) -> np.ndarray:
            self.begins[number] = begin
            self._forget(min(self.begins))
            if end > self.end:
                self.rows = self._extended(end)
                self.end = end
            assert self.rows is not None
            return self.rows[:, begin - self.first : end - self.first]

        return read

    def _extended(self, end: int) -> np.ndarray:
        """The kept rows, followed by new ones up to `end`."""
        if self.rows is None or not self.rows.shape[1]:
            return self.make(self.end, end, None)
        batch, kept, columns, channels = self.rows.shape
        rows = empty(batch, kept + end - self.end, columns, channels)
        rows[:, :kept], out = self.rows, rows[:, kept:]
        made = self.make(self.end, end, out)
        if made is not out:
            out[:] = made
        return rows

    def _forget(self, begin: int) -> None:
        """Drops the rows above `begin`."""
        dropped = min(begin, self.end) - self.first
        if self.rows is not None and dropped > 0:
            self.rows = self.rows[:, dropped:]
            self.first += dropped


class BandPyramid:
    """Encoder, steps and decoder of the automaton.

    Args:
        weights: the tensors, named as in `lnca.nn.pyramid.PyramidAutomaton`.
        channels: channels of a cell of the fine, the middle and the coarse lattice.
        rules: number of rules; each step uses the next one.
        engine: computes the convolutions. The layers that read or write pixels never use bfloat16.

    Raises:
        LncaError: a tensor is missing or has a wrong shape, or there are more channels than the kernels support.
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
        """Floats in memory for each column of pixels: for each row of a band, and for the rows beyond the band."""
        fine, middle, coarse = self.channels
        row = steps * (3 * fine / 4 + 3 * middle / 16 + 3 * coarse / 64) + 3 * fine / 4 + 12
        return int(row) + 1, int(24 * row) + 6 * reach(steps)

    def __call__(self, image: RowReader, level: RowReader, height: int, steps: int) -> RowReader:
        """A reader of the rows of the restored picture, (B, rows, W, 3), not clipped. Rows must be read in order, in
        multiples of 8.

        Args:
            image: gives rows of the given picture, (B, rows, W, 3) in [0, 1], W a multiple of 8.
            level: gives rows of the noise levels of the fine lattice's cells, (B, rows, W / 2, 2), see `spread`.
            height: number of rows of the picture, a multiple of 8.
            steps: number of steps; 0 returns the given picture.
        """
        pixels = RowCache(height, lambda begin, end, _: image(begin, end))
        read_inputs, read_given = pixels.reader(), pixels.reader()

        def inputs(begin: int, end: int, _: np.ndarray | None) -> np.ndarray:
            blocks = unshuffled(read_inputs(FINE * begin, FINE * end), FINE)
            return np.concatenate([blocks, level(begin, end) * np.float32(LEVEL_INPUT_SCALE / 255)], -1)

        rows = height // FINE
        if steps == 0:
            return read_given
        fine = chained(self.encode, RowCache(rows, inputs))
        middle: RowCache | None = None
        coarse: RowCache | None = None
        for rule in self.rules[:steps]:
            fine, middle, coarse = rule(fine, middle, coarse)
        corrections = chained(self.decode, fine).reader()

        def restored(begin: int, end: int) -> np.ndarray:
            first, last = begin // FINE, end // FINE
            share = share_of_correction(level(first, last))
            return read_given(begin, end) + shuffled(corrections(first, last) * share, FINE)

        return restored


class BandStep:
    """One step of all lattices.

    Args:
        weights: the tensors, named as in `lnca.nn.pyramid.Step`.
        channels, engine: see `BandPyramid`.
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
    """The output of a layer, row by row, plus `added` if given."""
    read = source.reader()
    read_added = added and added.reader()

    def make(begin: int, end: int, out: np.ndarray | None) -> np.ndarray:
        low, high = layer.needs(begin, end, source.height)
        addend = Band(read_added(begin, end), begin, source.height) if read_added else None
        return layer(Band(read(low, high), low, source.height), begin, end, addend, out).values

    return RowCache(source.height, make)


def _updated(rule: Sequence[Convolution], cells: RowCache) -> RowCache:
    """Equation (1) on one lattice: cells + phi(cells)."""
    perceive, act = rule
    return chained(act, chained(perceive, cells), cells)


def _gathered(layer: Convolution, finer: RowCache, cells: RowCache | None) -> RowCache:
    """The cells plus messages from the next finer lattice."""
    read = finer.reader()
    blocks = RowCache(finer.height // 2, lambda begin, end, _: unshuffled(read(2 * begin, 2 * end), 2))
    return chained(layer, blocks, cells)


def _scattered(layer: Convolution, coarser: RowCache, cells: RowCache) -> RowCache:
    """The cells plus messages from the next coarser lattice."""
    read, read_cells = chained(layer, coarser).reader(), cells.reader()

    def make(begin: int, end: int, out: np.ndarray | None) -> np.ndarray:
        top = begin // 2
        messages = shuffled(read(top, -(-end // 2)), 2)
        return np.add(read_cells(begin, end), messages[:, begin - 2 * top : end - 2 * top], out)

    return RowCache(cells.height, make)


def spread_rows(level_BLhw: np.ndarray) -> Callable[[int, int], np.ndarray]:
    """A reader of the rows of `spread` levels."""
    wide = spread(level_BLhw)
    return lambda begin, end: wide[:, begin:end]


def spread(level_BLhw: np.ndarray) -> np.ndarray:
    """The levels for the cells of the fine lattice, four times as high and wide: (B, 2, h, w) -> (B, 4 h, 4 w, 2). They
    are interpolated linearly, so that edges of cells do not show."""
    channels_last = np.asarray(level_BLhw, np.float32).transpose(0, 2, 3, 1)
    return _interpolated(_interpolated(channels_last, 1), 2)


def _interpolated(x: np.ndarray, axis: int) -> np.ndarray:
    """Linear interpolation along one axis, by a factor of 4; constant beyond the centres of the outermost positions."""
    size, factor = x.shape[axis], SIDE // FINE
    position = np.clip((np.arange(size * factor, dtype=np.float32) + 0.5) / factor - 0.5, 0, size - 1)
    below = position.astype(int)
    shape = [1] * x.ndim
    shape[axis] = -1
    weight = (position - below).astype(np.float32).reshape(shape)
    return x.take(below, axis) * (1 - weight) + x.take(np.minimum(below + 1, size - 1), axis) * weight


def share_of_correction(level: np.ndarray) -> np.ndarray:
    """The share of a correction that is applied: 1 if brightness or colour noise is at least `FULL_CORRECTION_LEVEL`,
    and 0 without noise, so that clean pictures do not change.

    Args:
        level: the two levels, in 255ths, lie along the last axis, which is kept.
    """
    return np.clip(level.max(-1, keepdims=True) / np.float32(FULL_CORRECTION_LEVEL), 0, 1)


assert SIDE % (4 * FINE) == 0
