"""Shows how a picture was restored: before and after in one picture, the steps as a film, the steps of each cell."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..errors import LncaError
from ..files import NEW, Stamp, write_whole
from ..images.eight_bit import save_picture

FRAME_MS, LAST_FRAME_MS, RATE = 60, 2000, 16
FILMS = (".gif", ".mp4")


def side_by_side(before: Image.Image, after: Image.Image) -> Image.Image:
    """The left half of one picture and the right half of the other, RGB, with a line between them."""
    result, other = np.array(before.convert("RGB")), np.asarray(after.convert("RGB"))
    middle, line = before.width // 2, max(1, before.width // 400)
    result[:, middle:] = other[:, middle:]
    result[:, middle - line : middle + line] = 255
    return Image.fromarray(result)


def draw_heat_map(steps: np.ndarray, side: int, mask: np.ndarray | None = None) -> Image.Image:
    """A picture of the steps that each cell took: from black for none, over red, to white for the most.

    Args:
        steps: steps of each cell (rows, columns).
        side: side of a cell in pixels.
        mask: where the picture was restored, (height, width); cells without restored pixels are black.
    """
    if mask is not None:
        rows, columns = steps.shape
        covered = np.zeros((rows * side, columns * side), mask.dtype)
        covered[: mask.shape[0], : mask.shape[1]] = mask
        steps = steps * (covered.reshape(rows, side, columns, side).max((1, 3)) > 0)
    scaled = Image.fromarray((255 * steps / max(1, steps.max())).astype(np.uint8))
    coloured = ImageOps.colorize(scaled, "black", "white", "red")
    return coloured.resize((side * scaled.width, side * scaled.height), Image.Resampling.NEAREST)


def save_film(frames: Iterable[Image.Image], path: Path, stamp: Stamp = NEW) -> None:
    """Writes a picture after every step: as a GIF or MP4 film, or, to a path without suffix, as PNG files in a folder.

    Args:
        stamp: permissions and times of the files.

    Raises:
        LncaError: the suffix is wrong, the library for films is missing, or the files cannot be written.
    """
    match path.suffix.lower():
        case ".gif":
            write_whole(path, _gif([frame.convert("RGB") for frame in frames]), stamp=stamp)
        case ".mp4":
            write_whole(path, _mp4(frames), stamp=stamp)
        case "":
            for number, frame in enumerate(frames):
                save_picture(frame, path / f"{number:03d}.png", stamp)
        case _:
            raise LncaError(f"{path} should end in {' or '.join(FILMS)}, or be a folder")


def _gif(frames: list[Image.Image]) -> memoryview:
    """A GIF whose first and last frame stay longer; all frames share one palette, so that nothing flickers."""
    palette = Image.fromarray(np.concatenate([np.asarray(frames[0]), np.asarray(frames[-1])])).quantize(256)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [LAST_FRAME_MS // 2, *[FRAME_MS] * (len(frames) - 2), LAST_FRAME_MS]
    room = io.BytesIO()
    indexed[0].save(room, "GIF", save_all=True, append_images=indexed[1:], duration=durations, loop=0)
    return room.getbuffer()


def _mp4(frames: Iterable[Image.Image]) -> memoryview:
    try:
        import av
    except ImportError as error:
        raise LncaError("MP4 films need av: pip install 'lnca[io]'; or write a .gif") from error
    room = io.BytesIO()
    with av.open(room, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=RATE)
        for number, frame in enumerate(frames):
            # The format requires even sides.
            width, height = (side // 2 * 2 for side in frame.size)
            if not number:
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            picture = frame.convert("RGB").crop((0, 0, width, height))
            film.mux(stream.encode(av.VideoFrame.from_image(picture)))
        film.mux(stream.encode())
    return room.getbuffer()
