"""The residual coder in bands of rows, for pictures of any height."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.deconvolution import SIDE, Deconvolution
from ..nn.echoes import CHANNELS, FAR
from ..nn.residual import Refinement, ResidualCoder
from ..nn.surroundings import reach, surroundings
from ..nn.wiener import WienerFilters, with_mean
from .autoencoder import Source
from .blur import blurred, with_room
from .convolution import Activation, Band, FusedConvolution
from .cpu import Precision
from .echoes import fused_echoes, workspace

# Cells whose Wiener filters are in memory at a time, but at least a row of them.
AT_ONCE = 512
# Vectors that a thread multiplies at a time.
AT_A_TIME = 32


class FusedRefinement(FusedConvolution):
    """A `Refinement`: the input is added to the output."""

    def __call__(self, band: Band, begin: int, end: int, added: Band | None = None) -> Band:
        return super().__call__(band, begin, end, band)


class FusedDeconvolution:
    """A deconvolution in bands.

    Args:
        deconvolution: its weights are copied.
        level: one of `LEVELS`.
    """

    def __init__(self, deconvolution: Deconvolution, level: str):
        self.level = level
        self.border, self.taps = deconvolution.border, deconvolution.bank.shape[1]
        self.mixture = _product(deconvolution.bank, level)
        self.reach = deconvolution.reach
        # Pictures, and of each cell the kernel, the turned one and scores.
        self.floats = 30 + 3 * sum(deconvolution.bank.shape) // SIDE**2
        self.row = 0
        self.iterations = list(zip(deconvolution.rates.tolist(), deconvolution.momenta.tolist(), strict=True))

    def __call__(self, image: Tensor, scores: Tensor, begin: int, end: int) -> Tensor:
        """Rows [begin, end), counted from the image's first, from rows of the image and of its cells' scores.

        Rows that lie within `reach` of an end of the image are wrong, but where that is the picture's own border.
        """
        kernels = _multiplied(self.mixture, scores.softmax(-1))
        turned = kernels.flip(-1)

        def blur(x: Tensor, kernels: Tensor) -> Tensor:
            return blurred(with_room(x, self.taps, self.border), kernels, self.level)

        x = ahead = image
        for rate, momentum in self.iterations:
            better = (ahead + rate * blur(image - blur(ahead, kernels), turned)).clamp_(0, 1)
            ahead, x = better + momentum * (better - x), better
        return x[:, begin:end]


class FusedWiener:
    """Wiener filters in bands; arguments as of `FusedDeconvolution`."""

    def __init__(self, filters: WienerFilters, level: str):
        self.level, self.filters = level, filters
        self.reach = filters.reach
        # Pictures, and of each cell the scores; of a row of cells the filters, some of them three times.
        self.floats = 9 * filters.pictures + 4 * filters.inputs // SIDE**2
        self.row = 3 * filters.pictures * filters.window**2 // SIDE
        self.times = [partial(_multiplied, _product(matrix, level)) for matrix in filters.products()]

    def __call__(self, image: Tensor, scores: Tensor, begin: int, end: int) -> Tensor:
        """As of `FusedDeconvolution`; only the scores of the cells of rows [begin, end) are looked at."""
        taps = self.filters.window**2
        padded = with_room(image, taps, self.filters.border)
        top, bottom = begin // SIDE, -(-end // SIDE)
        # Filters are large: some rows of cells at a time.
        at_once = max(1, AT_ONCE // (scores.shape[0] * scores.shape[2]))
        lines = []
        for row in range(top, bottom, at_once):
            below = min(row + at_once, bottom)
            around = padded[:, row * SIDE : below * SIDE + 2 * self.reach]
            here = scores[:, row:below]
            filtered = [blurred(around, each, self.level) for each in self._of(here)]
            given = image[:, row * SIDE : below * SIDE]
            lines.append(with_mean(given, filtered, here[..., len(self.filters.bank) + 1 :]))
        return torch.cat(lines, 1)[:, begin - top * SIDE : end - top * SIDE]

    def _of(self, scores_BhwK: Tensor) -> list[Tensor]:
        """`WienerFilters.filters`."""
        kernels = len(self.filters.bank)
        shares, moved = scores_BhwK[..., :kernels], scores_BhwK[..., kernels : kernels + 1]
        with torch.no_grad():
            return self.filters.inverted(shares.softmax(-1), moved, self.times)


class FusedResidualCoder:
    """A residual coder in evaluation mode; attributes, errors and other arguments as of `FusedAutoencoder`.

    Args:
        precision: of its convolutions, see `FusedConvolution`; what reads pixels, and a deconvolution, is float32.
    """

    def __init__(self, coder: ResidualCoder, level: str, precision: Precision = "float32"):
        def layers(maps: Iterable[nn.Module], *activations: Activation) -> list[FusedConvolution]:
            convolutions = [layer for layer in maps if isinstance(layer, nn.Conv2d)]
            return [
                FusedConvolution(conv, level, how, precision)
                for conv, how in zip(convolutions, activations, strict=True)
            ]

        self.level = level
        self.multiple, self.shrink, self.places = SIDE, coder.shrink, SIDE // coder.shrink
        first, _, last = coder.features
        # Pixels need more than the eight bits of bfloat16.
        self.features = [FusedConvolution(moved(first, coder.shrink, 0), level, "swish"), *layers([last], "none")]
        first, _, last = coder.gather
        gather = layers(
            [moved(first, self.places, 0, 0, coder.width * self.places**2, keep=True), last], "swish", "none"
        )
        self.scales = coder.scales
        self.around = reach(coder.scales) if coder.scales else 0
        self.gather = _with_refinements(gather, coder.gather_context, level, precision)
        self.echoes, self.heard = coder.echoes, reach(coder.echoes) if coder.echoes else 0
        first, _, last = coder.scatter
        path_outputs = coder.width * coder.places

        def scatter(last: nn.Conv2d) -> list[FusedConvolution]:
            return _with_refinements(layers([first, last], "swish", "none"), coder.scatter_context, level, precision)

        self.scatter = scatter(moved(last, self.places, 1, 0, path_outputs))
        self.deconvolution: FusedDeconvolution | FusedWiener | None = None
        if isinstance(coder.deconvolution, WienerFilters):
            self.deconvolution = FusedWiener(coder.deconvolution, level)
        elif coder.deconvolution is not None:
            self.deconvolution = FusedDeconvolution(coder.deconvolution, level)
        self.scores = scatter(moved(last, 1, 1, path_outputs)) if coder.deconvolution else []
        self.kernels = len(coder.deconvolution.bank) if coder.deconvolution else 0
        self.listen = [] if coder.listen is None else layers(coder.listen, "swish", "swish", "none")
        first, _, middle, _, last = coder.correct
        kept = 2 * coder.width
        correct = layers([moved(first, coder.shrink, 0, kept, keep=True), middle, moved(last, coder.shrink, 1)],
                         "swish", "swish", "none")  # fmt: skip
        self.correct = _with_refinements(correct, coder.correct_depth, level, precision)
        # Pixels beyond a band that are joined and corrected, that are looked at for them, and for a deconvolution.
        depth = (5 + len(coder.correct_depth)) * coder.shrink + SIDE * len(coder.scatter_context)
        near, far = depth + SIDE * self.around, self.deconvolution.reach if self.deconvolution else 0
        # Pixels whose echoes are needed beyond a band, and what echoes need beyond those.
        hearing = 2 * self.heard * SIDE + FAR if self.echoes else 0
        hearing += 2 * far if self.listen else 0
        self.border = max(2 * -(-(near + far) // SIDE), hearing // SIDE) + 2
        # Floats of each pixel: image, result and what is scattered, joined and corrected; what a deconvolution needs,
        # or the echoes, alone and beside the rest; and what echoes are made of.
        here = 9 + 8 * coder.width // coder.shrink**2
        heard, sound = (2 * CHANNELS // SIDE**2, 9 + workspace()) if self.echoes else (0, 0)
        beyond = max(self.deconvolution.floats if self.deconvolution else 0, heard + sound)
        self.floats = here + beyond
        self.halo = 2 * ((depth + SIDE) * here + (near + far + SIDE) * beyond) + hearing * sound
        self.row = self.deconvolution.row if self.deconvolution else 0
        self.halo += self.row

    def encode(self, image: Source, height: int, begin: int, end: int) -> Tensor:
        """Latent rows [begin, end), (B, rows, W', C), of a picture of `height` rows (a multiple of 4)."""

        def cells(top: int, bottom: int) -> Tensor:
            features = self._features(image, height, top * self.places, bottom * self.places)
            cells = self._with_surroundings(unshuffled(features, self.places), image, height, top, bottom)
            return torch.cat([cells, self._heard(image, height, top, bottom)], -1) if self.echoes else cells

        return _chain(self.gather, cells, height // SIDE, begin, end).values

    def decode(self, image: Source, latent: Source, height: int, begin: int, end: int) -> Tensor:
        """Rows [begin, end), (B, rows, W, 3) in [0, 1], of the decoded picture.

        Args:
            image: gives rows of the corrupted picture.
            latent: gives rows of the cells' output.
            height: rows of the picture, a multiple of 4.
        """
        positions = height // self.shrink
        corrected: list[Tensor] = []

        said = _Kept(partial(_chain, self.listen, partial(self._heard, image, height), height // SIDE))

        def cells(top: int, bottom: int) -> Tensor:
            cells = self._with_surroundings(latent(top, bottom), image, height, top, bottom)
            if not self.listen:
                return cells
            return torch.cat([cells, said(top, bottom)[..., : self.kernels].softmax(-1)], -1)

        def joined(first: int, last: int) -> Tensor:
            parts = [self._features(image, height, first, last)]
            if self.deconvolution is None:
                corrected.append(image(begin, end))
            else:
                above, below = first * self.shrink, last * self.shrink
                reach = self.deconvolution.reach
                top, bottom = max(above - reach, 0) // SIDE, -(-min(below + reach, height) // SIDE)
                scores = _chain(self.scores, cells, height // SIDE, top, bottom).values
                if self.listen:
                    scores = scores + said(top, bottom)
                rows = image(top * SIDE, bottom * SIDE)
                sharp = self.deconvolution(rows, scores, above - top * SIDE, below - top * SIDE)
                parts.append(unshuffled(sharp, self.shrink))
                corrected.append(sharp[:, begin - above : end - above, :, : rows.shape[-1]])
            top, bottom = first // self.places, -(-last // self.places)
            path = shuffled(_chain(self.scatter, cells, height // SIDE, top, bottom).values, self.places)
            parts.insert(1, path[:, first - top * self.places : last - top * self.places])
            return torch.cat(parts, -1)

        x = _chain(self.correct, joined, positions, begin // self.shrink, end // self.shrink)
        return (corrected.pop() + shuffled(x.values, self.shrink)).clamp_(0, 1)

    def _with_surroundings(self, cells: Tensor, image: Source, height: int, top: int, bottom: int) -> Tensor:
        """Rows of cells [top, bottom), and what is around them."""
        if not self.scales:
            return cells
        first, last = max(top - self.around, 0), min(bottom + self.around, height // SIDE)
        means = surroundings(image(first * SIDE, last * SIDE), self.scales)
        return torch.cat([cells, means[:, top - first : bottom - first]], -1)

    def _heard(self, image: Source, height: int, top: int, bottom: int) -> Tensor:
        """What rows of cells [top, bottom) hear."""
        first, last = max(top - self.heard, 0), min(bottom + self.heard, height // SIDE)
        rows = image(first * SIDE, min(last * SIDE + FAR + 1, height))
        return fused_echoes(rows, self.echoes, last - first, top - first, bottom - first, self.level)

    def _features(self, image: Source, height: int, begin: int, end: int) -> Tensor:
        """Rows of the path's positions."""

        def pixels(low: int, high: int) -> Tensor:
            return unshuffled(image(low * self.shrink, high * self.shrink), self.shrink)

        return _chain(self.features, pixels, height // self.shrink, begin, end).values


class _Kept:
    """Rows of a band, of which the last ones that were made are kept for those who ask for some of them again."""

    def __init__(self, make: Callable[[int, int], Band]):
        self.make = make
        self.band: Band | None = None

    def __call__(self, begin: int, end: int) -> Tensor:
        band = self.band
        if band is None or begin < band.first or end > band.first + band.values.shape[1]:
            band = self.band = self.make(begin, end)
        return band.values[:, begin - band.first : end - band.first]


def unshuffled(x_BHWC: Tensor, side: int) -> Tensor:
    """Each block of side x side positions becomes one, its channels by row, column and channel."""
    batch, rows, columns, channels = x_BHWC.shape
    blocks = x_BHWC.reshape(batch, rows // side, side, columns // side, side * channels).transpose(2, 3)
    return blocks.reshape(batch, rows // side, columns // side, -1)


def shuffled(x_BHWC: Tensor, side: int) -> Tensor:
    """The inverse of `unshuffled`."""
    batch, rows, columns, _ = x_BHWC.shape
    return (
        x_BHWC.reshape(batch, rows, columns, side, -1).transpose(2, 3).reshape(batch, rows * side, columns * side, -1)
    )


def _with_refinements(
    layers: list[FusedConvolution], refinements: Iterable[nn.Module], level: str, precision: Precision
) -> list[FusedConvolution]:
    """Layers with refinements before the last of them."""
    inner = [
        FusedRefinement(part.conv, level, "swish", precision) for part in refinements if isinstance(part, Refinement)
    ]
    return [*layers[:-1], *inner, layers[-1]]


def _chain(layers: Sequence[FusedConvolution], source: Source, height: int, begin: int, end: int) -> Band:
    """Rows [begin, end) of what layers, one after the other, make of rows of a source that has `height` of them."""
    ranges = [(begin, end)]
    for layer in reversed(layers):
        ranges.append(layer.needs(*ranges[-1], height))
    first, last = ranges.pop()
    band = Band(source(first, last), first, height)
    for layer in layers:
        band = layer(band, *ranges.pop())
    return band


def _product(matrix: Tensor, level: str) -> FusedConvolution:
    """What multiplies by a matrix (inputs, outputs)."""
    layer = nn.Conv2d(matrix.shape[0], matrix.shape[1], 1)
    layer.weight = nn.Parameter(matrix.detach().T[..., None, None])
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return FusedConvolution(layer, level, "none")


def _multiplied(product: FusedConvolution, x: Tensor) -> Tensor:
    """x (..., inputs) times the matrix of a `_product`; the same to the bit whatever else is in x."""
    flat = x.reshape(-1, x.shape[-1])
    rows = -(-len(flat) // AT_A_TIME)
    band = Band(F.pad(flat, (0, 0, 0, rows * AT_A_TIME - len(flat))).view(1, rows, AT_A_TIME, -1), 0, rows)
    return product(band, 0, rows).values.flatten(0, 2)[: len(flat)].view(*x.shape[:-1], -1)


def moved(
    layer: nn.Module, side: int, dimension: int, begin: int = 0, end: int | None = None, *, keep: bool = False
) -> nn.Conv2d:
    """A convolution whose inputs (`dimension` 0) or outputs (1) `begin` to `end` are ordered as `unshuffled` does, not
    by channel first as `pixel_unshuffle` does; without the others, or with those as they are."""
    assert isinstance(layer, nn.Conv2d)

    def ordered(x: Tensor) -> Tensor:
        part = x[begin:end]
        part = part.unflatten(0, (-1, side, side)).movedim(0, 2).flatten(0, 2) if len(part) else part
        return torch.cat([x[:begin], part, x[len(x) if end is None else end :]]) if keep else part

    weight = layer.weight.detach()
    assert layer.bias is not None
    bias = layer.bias.detach()
    if dimension:
        weight, bias = ordered(weight), ordered(bias)
    else:
        weight = ordered(weight.transpose(0, 1)).transpose(0, 1)
    result = nn.Conv2d(weight.shape[1], weight.shape[0], layer.kernel_size, padding=layer.padding)  # type: ignore[arg-type]
    result.weight, result.bias = nn.Parameter(weight), nn.Parameter(bias)
    return result
