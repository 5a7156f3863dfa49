"""Clean drawings instead of photographs: coloured text, line art and saturated flat areas, drawn with Pillow."""

from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 320, 256
TEXT = "The quick brown fox jumps over the lazy dog 0123456789"
COLOURS = ("red", "lime", "blue", "cyan", "magenta", "yellow", "black", "white")


def drawn_pictures() -> dict[str, np.ndarray]:
    """Drawings by name, uint8 (H, W, 3); always the same ones."""
    kinds: dict[str, tuple[str, Callable[[ImageDraw.ImageDraw], None]]] = {
        "black text on white": ("white", partial(_text, colours=("black",))),
        "red text on blue": ("blue", partial(_text, colours=("red",))),
        "coloured text on grey": ("grey", partial(_text, colours=COLOURS)),
        "line art": ("white", _lines),
        "coloured lines": ("navy", partial(_lines, colours=COLOURS)),
        "flat colours": ("white", _patches),
    }
    return {name: _drawn(paper, draw) for name, (paper, draw) in kinds.items()}


def _drawn(paper: str, draw: Callable[[ImageDraw.ImageDraw], None]) -> np.ndarray:
    picture = Image.new("RGB", (WIDTH, HEIGHT), paper)
    draw(ImageDraw.Draw(picture))
    return np.asarray(picture)


def _text(draw: ImageDraw.ImageDraw, colours: tuple[str, ...]) -> None:
    """Lines of text of 10 to 24 pixels, in the built-in font."""
    top = 4
    for line, size in enumerate((10, 12, 14, 14, 16, 18, 20, 24, 14, 12, 10, 14)):
        draw.text((4, top), TEXT, colours[line % len(colours)], ImageFont.load_default(size))
        top += round(1.3 * size)


def _lines(draw: ImageDraw.ImageDraw, colours: tuple[str, ...] = ("black",)) -> None:
    """A fan of lines, circles and a grid, one to three pixels wide."""
    for number in range(16):
        colour, width = colours[number % len(colours)], 1 + number % 3
        draw.line((8, 8, 8 + 9 * number, 120), colour, width)
        corners = (168 + 4 * number, 8 + 4 * number, 312 - 4 * number, 120 - 3 * number)
        draw.ellipse(corners, outline=colour, width=width)
        draw.line((8 + 18 * number, 136, 8 + 18 * number, 248), colour, width)
    for number in range(8):
        draw.line((8, 136 + 16 * number, 278, 136 + 16 * number), colours[number % len(colours)], 1)


def _patches(draw: ImageDraw.ImageDraw) -> None:
    """Touching squares of saturated colours, in four sizes."""
    for row, side in enumerate((64, 32, 16, 8)):
        for column in range(WIDTH // side):
            left, top = column * side, 64 * row
            for step in range(64 // side):
                corner = (left, top + step * side, left + side - 1, top + (step + 1) * side - 1)
                draw.rectangle(corner, COLOURS[(column + 3 * step) % len(COLOURS)])
