"""`PyramidAutomaton` on the CPU, row by row: every intermediate picture is made once, from top to bottom, and its
rows are kept as long as something below still needs them. A picture of any height takes the memory of some rows.

Values are the same to the bit wherever a band of rows, or a strip of columns, begins, since those of
`FusedConvolution` are.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..nn.noise_level import SIDE
from ..nn.pyramid import FINE, LOUDEST, DenseRule, PyramidAutomaton, Step, share_of_correction, spread
from .autoencoder import Source
from .convolution import Band, FusedConvolution
from .cpu import Precision
from .residual import moved, shuffled, unshuffled

# Pixels to either side that a restored pixel depends on, a step and beside the steps.
STEP_REACH, OTHER_REACH = 32, 8


class Kept:
    """Rows of an intermediate picture, (B, rows, W, C), made in order, and kept as long as a reader may ask for them.

    Args:
        height: rows in all.
        make: rows [begin, end); called with ends that grow, each beginning where the one before ended.
    """

    def __init__(self, height: int, make: Source):
        self.height, self.make = height, make
        self.first = self.end = 0
        self.rows: Tensor | None = None
        self.begins: list[int] = []

    def reader(self) -> Source:
        """Gives rows [begin, end) to one reader, whose begins never fall."""
        number = len(self.begins)
        self.begins.append(0)

        def read(begin: int, end: int) -> Tensor:
            self.begins[number] = begin
            self._forget(min(self.begins))
            if end > self.end:
                fresh = self.make(self.end, end)
                kept = [] if self.rows is None or not self.rows.shape[1] else [self.rows]
                self.rows = torch.cat([*kept, fresh], 1) if kept else fresh
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


class FusedPyramid:
    """The automaton's steps and what is around them.

    Args:
        model: its weights are copied.
        level: one of `LEVELS`.
        precision: of the convolutions of the rules; what reads pixels or makes them is float32.

    Raises:
        LncaError: more channels than the kernels have room for.
    """

    def __init__(self, model: PyramidAutomaton, level: str, precision: Precision = "float32"):
        self.level, self.precision = level, precision
        self.channels, self.steps = model.channels, len(model.rules)
        pixels = 3 * FINE**2
        self.encode = FusedConvolution(moved(model.encode, FINE, 0, 0, pixels, keep=True), level, "none")
        self.decode = FusedConvolution(moved(model.decode, FINE, 1), level, "none")
        self.rules = [FusedStep(step, level, precision) for step in model.rules if isinstance(step, Step)]

    @staticmethod
    def reach(steps: int) -> int:
        """Pixels to either side that a restored pixel depends on, at most; a multiple of 8."""
        return STEP_REACH * steps + OTHER_REACH

    def floats(self, steps: int) -> tuple[int, int]:
        """Numbers that restoring holds of each column of pixels: for every row of a band, and beside the band."""
        fine, middle, coarse = self.channels
        row = steps * (3 * fine / 4 + 3 * middle / 16 + 3 * coarse / 64) + 3 * fine / 4 + 12
        return int(row) + 1, int(24 * row) + 6 * self.reach(steps)

    def __call__(self, image: Source, level: Source, height: int, steps: int) -> Source:
        """Rows of the restored picture, not clipped; they have to be asked for in order, in multiples of 8.

        Args:
            image: rows (B, rows, W, 3) of the given picture, W a multiple of 8.
            level: rows (B, rows, W / 2, 2) of the levels of the fine lattice's cells, as `spread` gives them.
            height: rows of the picture, a multiple of 8.
        """
        pixels = Kept(height, image)
        mine, given = pixels.reader(), pixels.reader()

        def inputs(begin: int, end: int) -> Tensor:
            blocks = unshuffled(mine(FINE * begin, FINE * end), FINE)
            return torch.cat([blocks, level(begin, end) * (LOUDEST / 255)], -1)

        rows = height // FINE
        if steps == 0:
            return given
        fine = chained(self.encode, Kept(rows, inputs))
        middle: Kept | None = None
        coarse: Kept | None = None
        for rule in self.rules[:steps]:
            fine, middle, coarse = rule(fine, middle, coarse)
        corrections = chained(self.decode, fine).reader()

        def restored(begin: int, end: int) -> Tensor:
            first, last = begin // FINE, end // FINE
            share = share_of_correction(level(first, last), -1)
            return given(begin, end) + shuffled(corrections(first, last) * share, FINE)

        return restored


class FusedStep:
    """A `Step`."""

    def __init__(self, step: Step, level: str, precision: Precision):
        def layer(conv: nn.Conv2d, activation: str = "none") -> FusedConvolution:
            return FusedConvolution(conv, level, activation, precision)  # type: ignore[arg-type]

        def rule(rule: DenseRule) -> tuple[FusedConvolution, FusedConvolution]:
            return layer(rule.perceive, "relu"), layer(rule.act)

        self.to_middle, self.to_coarse = layer(_by_blocks(step.to_middle)), layer(_by_blocks(step.to_coarse))
        self.from_coarse, self.from_middle = layer(moved(step.from_coarse, 2, 1)), layer(moved(step.from_middle, 2, 1))
        self.fine, self.middle, self.coarse = rule(step.fine), rule(step.middle), rule(step.coarse)

    def __call__(self, fine: Kept, middle: Kept | None, coarse: Kept | None) -> tuple[Kept, Kept, Kept]:
        middle = _gathered(self.to_middle, fine, middle)
        coarse = _updated(self.coarse, _gathered(self.to_coarse, middle, coarse))
        middle = _updated(self.middle, _scattered(self.from_coarse, coarse, middle))
        return _updated(self.fine, _scattered(self.from_middle, middle, fine)), middle, coarse


def chained(layer: FusedConvolution, source: Kept, added: Kept | None = None) -> Kept:
    """What a layer makes of a source, and something added to it."""
    read = source.reader()
    beside = added and added.reader()

    def make(begin: int, end: int) -> Tensor:
        low, high = layer.needs(begin, end, source.height)
        other = Band(beside(begin, end), begin, source.height) if beside else None
        return layer(Band(read(low, high), low, source.height), begin, end, other).values

    return Kept(source.height, make)


def _updated(rule: Sequence[FusedConvolution], cells: Kept) -> Kept:
    """Equation (1) on one lattice."""
    perceive, act = rule
    return chained(act, chained(perceive, cells), cells)


def _gathered(layer: FusedConvolution, finer: Kept, cells: Kept | None) -> Kept:
    """Cells that have heard from the next finer lattice."""
    read = finer.reader()
    blocks = Kept(finer.height // 2, lambda begin, end: unshuffled(read(2 * begin, 2 * end), 2))
    return chained(layer, blocks, cells)


def _scattered(layer: FusedConvolution, coarser: Kept, cells: Kept) -> Kept:
    """Cells that have heard from the next coarser lattice."""
    read, mine = chained(layer, coarser).reader(), cells.reader()

    def make(begin: int, end: int) -> Tensor:
        top = begin // 2
        heard = shuffled(read(top, -(-end // 2)), 2)
        return mine(begin, end) + heard[:, begin - 2 * top : end - 2 * top]

    return Kept(cells.height, make)


def _by_blocks(conv: nn.Conv2d) -> nn.Conv2d:
    """A convolution of 2x2 with stride 2 as one of 1x1 over `unshuffled` cells."""
    weight = conv.weight.detach()
    result = nn.Conv2d(4 * weight.shape[1], len(weight), 1)
    assert conv.bias is not None
    result.weight = nn.Parameter(weight.permute(0, 2, 3, 1).flatten(1)[..., None, None])
    result.bias = nn.Parameter(conv.bias.detach())
    return result


def spread_rows(level_BLhw: Tensor) -> Callable[[int, int], Tensor]:
    """`spread` levels, channels last, as rows."""
    wide = spread(level_BLhw).permute(0, 2, 3, 1)
    return lambda begin, end: wide[:, begin:end]


assert SIDE % (4 * FINE) == 0
