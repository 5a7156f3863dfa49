"""Writing a picture file as a whole, at its own depth, with what goes with it."""

import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ..errors import LncaError, in_short
from ..files import written_whole
from .photo import DESCRIPTIVE, DIRECTORIES, SOFTWARE, Photo, needed
from .photo_deep import ICC_TAG, XMP_TAG

QUALITY = 95
XMP_KEYWORD = "XML:com.adobe.xmp"
RESOLUTION, RESOLUTION_UNIT = (0x011A, 0x011B), 0x0128
# Little-endian, with the first directory at once.
TIFF_HEAD = b"II*\0\x08\0\0\0"
# By suffix, Pillow's name of the format.
FORMATS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF", ".tif": "TIFF", ".tiff": "TIFF",
    ".bmp": "BMP",
}  # fmt: skip


def save_photo(photo: Photo, path: Path) -> list[str]:
    """Writes a picture file, whole or not at all; the suffix says which format.

    Returns:
        What the format could not hold, one phrase each.

    Raises:
        LncaError: several frames for a format of one, or the file cannot be written.
    """
    with written_whole(path) as temporary, temporary.open("w+b") as file:
        return write_photo(photo, file, FORMATS[path.suffix.lower()], str(path))


def write_photo(photo: Photo, file: BinaryIO, kind: str, name: str) -> list[str]:
    """`save_photo` for an open file and a format of `FORMATS`."""
    if len(photo.frames) > 1 and kind in ("JPEG", "BMP"):
        raise LncaError(f"{name} has room for one frame, not for {len(photo.frames)}; write PNG, WebP, GIF or TIFF")
    if kind != "TIFF" and len({frame.shape[:2] for frame in photo.frames}) > 1:
        raise LncaError(f"{name} has room for frames of one size; write TIFF")
    notes: list[str] = []
    try:
        _write(photo, file, kind, notes)
    except (LncaError, OSError):
        raise
    # Encoders have limits of their own, of sides and of what goes with a picture.
    except Exception as error:
        raise LncaError(f"{name} cannot be written as {kind}: {in_short(error, 120)}") from error
    return notes


def _write(photo: Photo, file: BinaryIO, kind: str, notes: list[str]) -> None:
    frame = photo.frames[0]
    deep = frame.dtype != np.uint8
    # Grey of 16 bits Pillow writes itself.
    simple = frame.dtype == np.uint16 and frame.ndim == 2
    if kind == "TIFF" and len(photo.frames) > 1 and (photo.durations or photo.loop is not None):
        notes.append("times and repetitions of the animation were left out")
    if kind == "TIFF" and deep and not simple:
        _write_deep_tiff(photo, file)
    elif kind == "PNG" and deep and not simple and len(photo.frames) == 1:
        if frame.dtype != np.uint16:
            notes.append("floating point became 16 bits")
        _write_deep_png(photo, file)
    else:
        keeps = simple and (kind == "TIFF" or (kind == "PNG" and len(photo.frames) == 1))
        if deep and not keeps:
            notes.append(f"{'floating point' if frame.dtype.kind == 'f' else '16 bits'} became 8")
        _write_with_pillow(photo, file, kind, np.uint16 if keeps else np.uint8, notes)


def of_depth(frame: np.ndarray, dtype: type[np.uint8] | type[np.uint16]) -> np.ndarray:
    """A frame as uint8 or uint16, rounded."""
    if frame.dtype == dtype:
        return frame
    white = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 1
    wanted = np.iinfo(dtype).max
    return (frame * (wanted / white)).round().astype(dtype)


def _write_with_pillow(
    photo: Photo, file: BinaryIO, kind: str, dtype: type[np.uint8] | type[np.uint16], notes: list[str]
) -> None:
    images = [Image.fromarray(of_depth(frame, dtype)) for frame in photo.frames]
    if kind in ("JPEG", "BMP") and any("A" in image.mode for image in images):
        notes.append("transparency was left out")
        images = [image.convert("L" if image.mode == "LA" else "RGB") for image in images]
    if kind in ("BMP", "GIF") and (photo.icc or photo.xmp or set(photo.exif) - {SOFTWARE}):
        notes.append("EXIF, XMP and the colour profile were left out")
    if kind == "GIF":
        images = [image.convert("RGBA") if image.mode == "LA" else image for image in images]
        notes += _lost_in_palette(images)
    if kind == "WEBP":
        images = [image.convert("RGBA" if "A" in image.mode else "RGB") for image in images]
    options: dict[str, Any] = {"quality": QUALITY}
    if photo.icc:
        options["icc_profile"] = photo.icc
    if kind in ("JPEG", "WEBP", "PNG", "TIFF"):
        options["exif"] = photo.exif
    if photo.xmp and kind in ("JPEG", "WEBP"):
        options["xmp"] = photo.xmp
    if kind == "TIFF":
        # Pillow's own settings for TIFF: no quality but of JPEG's compression.
        del options["quality"]
        exif = photo.exif_copy()
        if photo.xmp:
            exif[XMP_TAG] = photo.xmp
        # libtiff, which compresses, writes no directories below the first; Pillow itself does.
        deeper = any(exif.get_ifd(directory) for directory in DIRECTORIES)
        options |= {"exif": exif.tobytes()} if deeper else {"exif": exif, "compression": "tiff_deflate"}
    if kind == "PNG" and photo.xmp:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt(XMP_KEYWORD, photo.xmp.decode("utf-8", "replace"))
    if kind == "GIF" and SOFTWARE in photo.exif:
        options["comment"] = str(photo.exif[SOFTWARE]).encode()
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
        if photo.durations and kind != "TIFF":
            options["duration"] = photo.durations
        # Without a word a GIF is played once, the others for ever.
        loop = photo.loop if photo.loop is not None or kind == "GIF" else 1
        if loop is not None and kind != "TIFF":
            options["loop"] = loop
    images[0].save(file, kind, **options)


def _lost_in_palette(images: list[Image.Image]) -> list[str]:
    """What a palette of 256 colours for each frame, one of them transparent, does not hold; one phrase each."""
    notes = []
    coloured = [image for image in images if image.mode != "L"]
    if any(image.getcolors(256) is None or _in_palette(image) != image.tobytes() for image in coloured):
        notes.append("colours became at most 256")
    if any(set(image.getchannel("A").tobytes()) - {0, 255} for image in images if image.mode == "RGBA"):
        notes.append("transparency became all or none")
    return notes


def _in_palette(image: Image.Image) -> bytes:
    """The pixels of an image, as a palette has them."""
    return image.convert("P", palette=Image.Palette.ADAPTIVE).convert(image.mode).tobytes()


def _write_deep_png(photo: Photo, file: BinaryIO) -> None:
    frame = of_depth(photo.frames[0], np.uint16)
    content = needed("imagecodecs", "colours of 16 bits in PNG").png_encode(np.ascontiguousarray(frame))
    # After the header, which has a length of its own: signature 8, chunk 25 bytes.
    file.write(content[:33])
    if photo.icc:
        file.write(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(photo.icc)))
    exif = photo.exif.tobytes().removeprefix(b"Exif\0\0")
    if len(photo.exif):
        file.write(_chunk(b"eXIf", exif))
    if photo.xmp:
        file.write(_chunk(b"iTXt", XMP_KEYWORD.encode() + b"\0\0\0\0\0" + photo.xmp))
    file.write(content[33:])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _write_deep_tiff(photo: Photo, file: BinaryIO) -> None:
    tifffile = needed("tifffile", "16 bits and floating point in TIFF")
    low, span = photo.scale
    tags: list[tuple[int, int, int, Any, bool]] = []
    if photo.icc:
        tags.append((ICC_TAG, 7, len(photo.icc), photo.icc, True))
    if photo.xmp:
        tags.append((XMP_TAG, 1, len(photo.xmp), photo.xmp, True))
    for number in DESCRIPTIVE:
        value = photo.exif.get(number)
        if isinstance(value, str) and number != SOFTWARE:
            tags.append((number, 2, 0, value, True))
        elif isinstance(value, bytes):
            tags.append((number, 1, len(value), value, True))
    across, down = (photo.exif.get(number) for number in RESOLUTION)
    with tifffile.TiffWriter(file, byteorder="<") as tiff:
        for frame in photo.frames:
            values = (frame * span + low).astype(np.float32) if frame.dtype.kind == "f" else frame
            channels = 1 if frame.ndim == 2 else frame.shape[2]
            tiff.write(
                values,
                photometric="rgb" if channels > 2 else "minisblack",
                extrasamples=["unassalpha"] if channels in (2, 4) else None,
                planarconfig="contig" if channels > 1 else None,
                resolution=(float(across), float(down)) if across and down else None,
                resolutionunit=photo.exif.get(RESOLUTION_UNIT) if across and down else None,
                software=str(photo.exif.get(SOFTWARE, "lnca")),
                extratags=tags, metadata=None, compression="zlib", contiguous=False,
            )  # fmt: skip
    directories = {pointer: found for pointer in DIRECTORIES if (found := photo.exif.get_ifd(pointer))}
    if directories:
        _append_directories(file, directories)


def _append_directories(file: BinaryIO, directories: dict[int, dict[int, Any]]) -> None:
    """Puts directories of EXIF, which tifffile does not write, behind a little-endian TIFF file, and behind them its
    first directory again, with entries that say where they are."""
    file.seek(4)
    (first,) = struct.unpack("<I", file.read(4))
    file.seek(first)
    (count,) = struct.unpack("<H", file.read(2))
    entries = [file.read(12) for _ in range(count)]
    following = file.read(4)
    for pointer, content in directories.items():
        directory = ImageFileDirectory_v2(TIFF_HEAD, group=pointer)
        directory.update(content)
        place = _even_end(file)
        file.write(directory.tobytes(place))
        entries.append(struct.pack("<HHII", pointer, 4, 1, place))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    place = _even_end(file)
    file.write(struct.pack("<H", len(entries)) + b"".join(entries) + following)
    file.seek(4)
    file.write(struct.pack("<I", place))


def _even_end(file: BinaryIO) -> int:
    """The end of a file, made even, as TIFF wants it of a directory."""
    end = file.seek(0, os.SEEK_END)
    file.write(bytes(end % 2))
    return end + end % 2
