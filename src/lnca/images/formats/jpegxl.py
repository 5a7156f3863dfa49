"""JPEG XL: pixels by imagecodecs, the colour profile by pillow-jxl-plugin, metadata from its ISO boxes."""

import io
from typing import BinaryIO

import numpy as np
from PIL import Image

from ...errors import LncaError
from ..colours import from_light
from ..containers import box, boxes
from ..exif import describe, is_empty, xmp_bytes
from ..photo import Photo, as_floats, needed
from ..pillow import check_size, rest_of
from ..ranges import scaled
from .jxl_header import ALPHA, CODESTREAM, LINEAR, SRGB, Header, read_header, with_transfer
from .record import Format, Part, begins

CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
# The profiles that libjxl makes for sRGB and for grey with the same curve.
PLAIN = ("sRGB", "RGB_D65_SRG_Rel_SRG", "RGB_D65_SRG_Per_SRG", "Gra_D65_Rel_SRG", "Gra_D65_Per_SRG")
# Largest number of bytes of EXIF and of XMP.
MOST = 2**24
KNOWN = (b"JXL ", b"ftyp", b"jxll", b"jxlc", b"jxlp", b"jxli", b"Exif", b"xml ", b"brob", b"jbrd")


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    codecs, plugin = (needed(module, "JPEG XL pictures") for module in ("imagecodecs", "pillow_jxl"))
    content = rest_of(file)
    head = _header(content)
    check_size(head.width, head.height, name, limit)
    if head.extra not in ([], [ALPHA]):
        raise LncaError(f"{name} has channels beyond colours and alpha; save those apart first")
    photo = Photo([], kind="JXL")
    values = codecs.jpegxl_decode(content)
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    still = values.ndim == 2 or (values.ndim == 3 and values.shape[2] <= 4)
    if not still:
        photo.note("only the first frame of an animation in JPEG XL is read")
    photo.frames = [np.ascontiguousarray(values if still else values[0])]
    check_size(photo.frames[0].shape[1], photo.frames[0].shape[0], name, limit)
    if head.transfer == LINEAR:
        photo.frames = [frame if frame.dtype.kind == "f" else as_floats(frame) for frame in photo.frames]
        from_light(photo, name)
    else:
        photo.icc = _profile(plugin.Decoder(num_threads=1)(content)[3])
        scaled(photo, name)
    if content.startswith(CONTAINER):
        for each in boxes(content):
            _take(each.kind, each.data, photo)
    return photo


def _header(content: bytes) -> Header:
    """The header of the codestream; raises `ValueError` if it cannot be read."""
    stream = content
    if content.startswith(CONTAINER):
        parts = [each for each in boxes(content) if each.kind in (b"jxlc", b"jxlp")]
        stream = b"".join(each.data[4 if each.kind == b"jxlp" else 0 :] for each in parts[:8])
    return read_header(stream)


def _profile(icc: bytes | None) -> bytes | None:
    """The profile, if it is not sRGB."""
    if icc is None:
        return None
    from PIL import ImageCms

    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))).strip()
    except (ImageCms.PyCMSError, OSError):
        return icc
    return None if name in PLAIN else icc


def _take(kind: bytes, data: bytes, photo: Photo) -> None:
    if kind == b"brob":
        kind, packed = data[:4], data[4:]
        data = needed("imagecodecs", "JPEG XL pictures").brotli_decode(packed, out=MOST)
    if kind == b"Exif":
        content = Image.Exif()
        # Some encoders leave out the offset at which EXIF begins in the box.
        whole = data.startswith((b"II*\0", b"MM\0*"))
        content.load(data if whole else data[4 + int.from_bytes(data[:4], "big") :])
        describe(photo, content)
    elif kind == b"xml ":
        photo.xmp = xmp_bytes(data)
    elif kind not in KNOWN:
        photo.note(f"the box {kind.decode('latin-1').strip()} was left out")


def write(photo: Photo, file: BinaryIO) -> list[str]:
    codecs = needed("imagecodecs", "JPEG XL pictures")
    content = codecs.jpegxl_encode(np.ascontiguousarray(photo.frames[0]), lossless=True, usecontainer=True)
    parts = list(boxes(content))
    # Before the first box with pixels.
    first = next(number for number, each in enumerate(parts) if each.kind in (b"jxlc", b"jxlp"))
    for number, each in enumerate(parts):
        if number == first:
            _write_beside(photo, file)
        file.write(box(b"jxlc", with_transfer(each.data, SRGB)) if each.kind == b"jxlc" else each.tobytes())
    return []


def _write_beside(photo: Photo, file: BinaryIO) -> None:
    if not is_empty(photo.exif):
        file.write(box(b"Exif", bytes(4) + photo.exif.tobytes().removeprefix(b"Exif\0\0")))
    if photo.xmp:
        file.write(box(b"xml ", photo.xmp))


JXL = Format(
    name="JXL",
    suffixes=(".jxl",),
    media="image/jxl",
    recognise=begins(CODESTREAM, CONTAINER),
    read=read,
    write=write,
    keeps=frozenset({Part.DEEP, Part.FLOAT, Part.ALPHA, Part.EXIF, Part.XMP, Part.RESOLUTION}),
    library="imagecodecs, pillow-jxl-plugin",
)
