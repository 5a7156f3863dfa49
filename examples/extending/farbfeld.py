"""farbfeld: 16 bits a channel, red, green, blue and alpha, nothing else."""

import struct
from typing import BinaryIO

import numpy as np

from ...errors import LncaError
from ..photo import Photo, has_alpha, of_depth, without_alpha
from ..pillow import check_size
from .record import Format, Part, begins

MAGIC, HEAD = b"farbfeld", struct.Struct(">8sII")
WHITE = 65535


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        raise LncaError(f"{name} is broken or truncated (its header); get a whole copy of it")
    _, width, height = HEAD.unpack(head)
    check_size(width, height, name, limit)
    content = file.read(8 * width * height)
    if len(content) < 8 * width * height:
        raise LncaError(f"{name} is broken or truncated (too few pixels); get a whole copy of it")
    pixels = np.frombuffer(content, ">u2").astype(np.uint16).reshape(height, width, 4)
    opaque = (pixels[..., 3] == WHITE).all()
    return Photo([np.ascontiguousarray(pixels[..., :3]) if opaque else pixels], kind="FARBFELD")


def write(photo: Photo, file: BinaryIO) -> list[str]:
    (frame,) = photo.frames
    frame = of_depth(frame, np.uint16)
    pixels = np.full((*frame.shape[:2], 4), WHITE, ">u2")
    # Grey is three equal colours.
    colours = without_alpha(frame)
    pixels[..., :3] = colours if colours.ndim == 3 else colours[..., None]
    if has_alpha(frame):
        pixels[..., 3] = frame[..., -1]
    file.write(HEAD.pack(MAGIC, frame.shape[1], frame.shape[0]) + pixels.tobytes())
    return []


FARBFELD = Format(
    name="FARBFELD",
    suffixes=(".ff",),
    media="image/x-farbfeld",
    recognise=begins(MAGIC),
    read=read,
    write=write,
    keeps=frozenset({Part.DEEP, Part.ALPHA}),
    colour_only=True,
)
