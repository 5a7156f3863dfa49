"""Drawings, which a model must not change: coloured text, line art, flat areas, gradients."""

import string
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

# Heights of letters in pixels.
LETTERS = (8, 40)
_CHARACTERS = string.ascii_letters + string.digits + "  .,;:!?%&()+-=/"

Colour = tuple[int, int, int]


class _Numbers:
    """A sequence of uniform random numbers."""

    def __init__(self, draw: torch.Generator) -> None:
        self.values = iter(torch.rand(1024, generator=draw, device=draw.device).tolist())

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * next(self.values)

    def integer(self, low: int, high: int) -> int:
        """An integer from `low` to `high` - 1."""
        return int(self.between(low, high))

    def colour(self) -> Colour:
        """A random colour; half of the colours only have channels of 0 or 255: saturated, black or white."""
        if next(self.values) < 0.5:
            return tuple(255 * self.integer(0, 2) for _ in range(3))  # type: ignore[return-value]
        return tuple(self.integer(0, 256) for _ in range(3))  # type: ignore[return-value]

    def place(self, side: int) -> tuple[float, float]:
        return self.between(-0.1, 1.1) * side, self.between(-0.1, 1.1) * side


def drawing(side: int, draw: torch.Generator) -> np.ndarray:
    """A drawing, uint8 (side, side, 3): a flat background or a gradient, with text, lines or areas on it."""
    numbers = _Numbers(draw)
    picture = _ground(side, numbers)
    canvas = ImageDraw.Draw(picture)
    upon: tuple[Callable[[ImageDraw.ImageDraw, int, _Numbers], None], ...] = (_text, _text, _lines, _areas)
    upon[numbers.integer(0, len(upon))](canvas, side, numbers)
    return np.asarray(picture)


def _ground(side: int, numbers: _Numbers) -> Image.Image:
    first, last = numbers.colour(), numbers.colour()
    if numbers.between(0, 1) < 0.6:
        return Image.new("RGB", (side, side), first)
    along = np.linspace(0, 1, side)
    slope = numbers.between(0, 1)
    share = (slope * along[:, None] + (1 - slope) * along)[..., None]
    return Image.fromarray((np.array(first) * (1 - share) + np.array(last) * share + 0.5).astype(np.uint8))


def _text(canvas: ImageDraw.ImageDraw, side: int, numbers: _Numbers) -> None:
    """Lines of text in one size, in one or several colours."""
    size = numbers.integer(*LETTERS)
    colour, several = numbers.colour(), numbers.between(0, 1) < 0.3
    top = numbers.between(-0.5, 0.5) * size
    while top < side:
        count = min(int(2 * side / size) + 1, 40)
        line = "".join(_CHARACTERS[numbers.integer(0, len(_CHARACTERS))] for _ in range(min(count, 24)))
        canvas.text((numbers.between(-size, size), top), line, numbers.colour() if several else colour, _font(size))
        top += numbers.between(1.1, 1.6) * size + side / 16


def _lines(canvas: ImageDraw.ImageDraw, side: int, numbers: _Numbers) -> None:
    """Line art: straight lines, ellipses and rectangles, 1 to 4 pixels wide."""
    colour = numbers.colour()
    for _ in range(numbers.integer(3, 16)):
        ends, width = [numbers.place(side), numbers.place(side)], numbers.integer(1, 5)
        kind = numbers.integer(0, 4)
        if kind < 2:
            canvas.line(ends, colour, width)
        else:
            (canvas.ellipse, canvas.rectangle)[kind - 2](_box(ends), outline=colour, width=width)


def _areas(canvas: ImageDraw.ImageDraw, side: int, numbers: _Numbers) -> None:
    """Flat areas beside and on top of each other."""
    for _ in range(numbers.integer(2, 9)):
        shape = (canvas.ellipse, canvas.rectangle)[numbers.integer(0, 2)]
        shape(_box([numbers.place(side), numbers.place(side)]), fill=numbers.colour())


def _box(ends: list[tuple[float, float]]) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = ends
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
