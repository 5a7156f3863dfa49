"""TIFF: pages of any bit depth, and series with more planes than pages, as microscopes write them."""

import importlib.util
import itertools
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps

from ...errors import LncaError
from ..colours import divided, values_of
from ..exif import (
    ICC_TAG,
    LAYERS_TAG,
    ORIENTATION,
    PHOTOSHOP_TAG,
    XMP_TAG,
    describe,
    directory_of,
    turn,
    xmp_bytes,
)
from ..photo import CHANNELS, Photo, full_range, has_alpha, needed, no_alpha, of_depth, upright
from ..pillow import array_of, check_size, lazily_opened, save_with_pillow
from ..ranges import scaled
from .record import DESCRIPTION, Format, Part, begins
from .tiff_nodata import hide_nodata, with_nodata
from .tiff_tags import append_tags, tags_for

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SUBFILE, WIDTH, LENGTH, BITS, PHOTOMETRIC, SAMPLES, BELOW, EXTRA, KIND = 254, 256, 257, 258, 262, 277, 330, 338, 339
DESCRIPTION_TAG = 270
REDUCED = 1
MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, SEPARATED = 0, 1, 2, 3, 5
# Number of colour channels, by TIFF's photometric value.
COLOURS = {MIN_IS_WHITE: 1, MIN_IS_BLACK: 1, RGB: 3, PALETTE: 1, SEPARATED: 4}
ASSOCIATED, UNASSOCIATED = 1, 2
# Counts in ImageJ's description.
IMAGES = re.compile(r"images=(\d{1,9})")
# Largest number of thumbnails in a TIFF beyond one a page.
MOST_REDUCED = 64
# Bytes of pixels from which 64-bit offsets are needed, with some reserve.
BIG = 2**32 - 2**26


@dataclass
class Page:
    """A full-size page: its number in the file, and its tags."""

    number: int
    tags: Image.Exif

    def one(self, tag: int, default: Any) -> Any:
        """A tag's value, or the first of several."""
        value = self.tags.get(tag, default)
        return value[0] if isinstance(value, tuple) and value else value

    @property
    def extra(self) -> tuple[int, ...]:
        """The declared types of channels beyond the colours."""
        value = self.tags.get(EXTRA, ())
        return value if isinstance(value, tuple) else (value,)

    @property
    def deep(self) -> bool:
        """Whether it has other values than integers of at most 8 bits."""
        bits = self.tags.get(BITS, 1)
        return max(bits if isinstance(bits, tuple) else (bits,)) > 8 or self.one(KIND, 1) != 1


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    photo = Photo([], kind="TIFF")
    pages = _pages(file, name, limit, photo)
    for page in pages:
        _check_channels(page, name)
    first = pages[0].tags
    photo.icc = bytes(first[ICC_TAG]) if ICC_TAG in first else None
    photo.xmp = xmp_bytes(first.get(XMP_TAG))
    photo.iptc = bytes(first[PHOTOSHOP_TAG]) if PHOTOSHOP_TAG in first else None
    if LAYERS_TAG in first:
        photo.note("Photoshop's layers were left out")
    _read_pixels(file, pages, photo, name, limit)
    if len(pages) > 1 and len(photo.frames) == len(pages):
        photo.pages = [_described(page, photo) for page in pages]
    photo.exif = _described(pages[0], photo)
    hide_nodata(photo)
    return scaled(photo, name)


def _described(page: Page, photo: Photo) -> Image.Exif:
    describe(photo, page.tags, in_tiff=True)
    turn(photo.exif, page.one(ORIENTATION, 1))
    return photo.exif


def _pages(file: BinaryIO, name: str, limit: int, photo: Photo) -> list[Page]:
    """Pages without thumbnails. They are found one by one, since a broken file may seem to have thousands."""
    pages: list[Page] = []
    seen: set[int] = set()
    reduced = pixels = 0
    offset: int | None = None
    for number in itertools.count():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                tags = directory_of(file, offset)
            except Exception as error:
                if not pages:
                    raise
                raise LncaError(f"{name} is broken or truncated (page {number + 1}); get a whole copy of it") from error
        page = Page(number, tags)
        if BELOW in tags:
            photo.note("pictures below a page (SubIFDs) were left out")
        if int(page.one(SUBFILE, 0)) & REDUCED:
            reduced += 1
            photo.note("smaller copies of the picture were left out")
            if reduced > len(pages) + MOST_REDUCED:
                raise LncaError(f"{name} has thumbnails without end; get a whole copy of it")
        else:
            if not {WIDTH, LENGTH} <= set(tags):
                raise LncaError(f"{name} is broken or truncated (a page without a size); get a whole copy of it")
            pixels = check_size(int(page.one(WIDTH, 0)), int(page.one(LENGTH, 0)), name, limit, pixels)
            pages.append(page)
        offset = tags._info.next if tags._info is not None else 0
        if not offset or offset in seen:
            break
        seen.add(offset)
    file.seek(0)
    if not pages:
        raise LncaError(f"{name} has no page; get a whole copy of it")
    return pages


def _check_channels(page: Page, name: str) -> None:
    """Raises `LncaError` if there are channels with an unknown meaning."""
    samples = int(page.one(SAMPLES, 1))
    colours = COLOURS.get(page.one(PHOTOMETRIC, MIN_IS_BLACK))
    if colours is None or samples <= colours or samples not in CHANNELS:
        return
    if samples != colours + 1 or page.extra[:1] not in ((ASSOCIATED,), (UNASSOCIATED,)):
        raise LncaError(no_alpha(name, samples))


def _read_pixels(file: BinaryIO, pages: list[Page], photo: Photo, name: str, limit: int) -> None:
    """Reads the frames into `photo`."""
    if _is_series(pages) and (frames := _read_series(file, pages, photo, name, limit)):
        photo.frames = frames
    elif any(page.deep and not _is_deep_grey(page) for page in pages):
        photo.frames = _read_deep(file, pages, photo, name)
    else:
        photo.frames = _read_with_pillow(file, pages, photo, name)


def _is_deep_grey(page: Page) -> bool:
    """Whether it is 16-bit grey, which Pillow reads without loss."""
    plain = page.one(PHOTOMETRIC, MIN_IS_BLACK) == MIN_IS_BLACK and page.one(KIND, 1) == 1
    return plain and page.one(SAMPLES, 1) == 1 and page.one(BITS, 1) == 16


def _read_with_pillow(file: BinaryIO, pages: list[Page], photo: Photo, name: str) -> list[np.ndarray]:
    frames = []
    with lazily_opened(file, "TIFF") as picture:
        for page in pages:
            picture.seek(page.number)
            picture.load()
            if page.extra[:1] == (ASSOCIATED,):
                photo.note("associated alpha became unassociated")
            icc = photo.icc
            frames.append(array_of(ImageOps.exif_transpose(picture), photo, name))
            if page is not pages[-1]:
                photo.icc = icc
    return frames


@contextmanager
def _opened(file: BinaryIO, what: str) -> Iterator[Any]:
    """Opens a file with tifffile and silences its log; everything that matters becomes an error."""
    import logging

    tifffile = needed("tifffile", what)
    logger = logging.getLogger("tifffile")
    before, logger.disabled = logger.disabled, True
    file.seek(0)
    try:
        with tifffile.TiffFile(file) as tiff:
            yield tiff
    finally:
        logger.disabled = before


def _read_deep(file: BinaryIO, pages: list[Page], photo: Photo, name: str) -> list[np.ndarray]:
    with _opened(file, "16 bits and floating point in TIFF") as tiff:
        return [
            upright(_values(tiff.pages[page.number], page, photo, name), page.one(ORIENTATION, 1)) for page in pages
        ]


def _values(found: Any, page: Page, photo: Photo, name: str) -> np.ndarray:
    """Reads the pixels of a page with tifffile."""
    if found.samplesperpixel not in CHANNELS:
        raise LncaError(f"{name} has {found.samplesperpixel} channels; keep 1 to 4 of them")
    if found.photometric not in (MIN_IS_WHITE, MIN_IS_BLACK, RGB) or found.imagedepth != 1:
        raise LncaError(f"{name} is not grey or RGB, or no flat picture; convert it to grey or RGB first")
    _check_type(found.dtype, name)
    values = found.asarray()
    if found.axes.startswith("S"):
        values = np.moveaxis(values, 0, -1)
    if found.axes.replace("S", "") != "YX":
        raise LncaError(f"{name} has axes {found.axes}; give pages of rows and columns")
    return _plane(values, found, page, photo)


def _check_type(dtype: Any, name: str) -> None:
    if dtype is None or dtype.kind not in "fub" or dtype.itemsize > (8 if dtype.kind == "f" else 2):
        raise LncaError(f"{name} has pixels of type {dtype}; convert it to 8 or 16 bits or floating point first")


def _plane(values: np.ndarray, found: Any, page: Page, photo: Photo) -> np.ndarray:
    """Scales values to the full range of their type, with white as the highest, and makes alpha unassociated."""
    if values.dtype.kind == "f":
        if values.dtype.itemsize != 4:
            photo.note(f"floating point of {8 * values.dtype.itemsize} bits became 32")
        values = values.astype(np.float32)
    elif values.dtype.kind == "b":
        values = full_range((values ^ (found.photometric == MIN_IS_WHITE)).astype(np.uint8), 1)
    else:
        white = 2**found.bitspersample - 1
        if found.photometric == MIN_IS_WHITE:
            values = white - values
        if white != np.iinfo(values.dtype).max:
            photo.note(f"{found.bitspersample} bits became {8 * values.dtype.itemsize}")
        values = full_range(values, white)
    if values.ndim == 3 and page.extra[:1] == (ASSOCIATED,):
        photo.note("associated alpha became unassociated")
        values = divided(values)
    return values


def _is_series(pages: list[Page]) -> bool:
    """Whether a description says that there may be more planes than pages."""
    text = pages[0].tags.get(DESCRIPTION_TAG, "")
    text = text.decode("latin-1") if isinstance(text, bytes) else str(text)
    metamorph = any(tag in pages[0].tags for tag in (33628, 33629, 33630, 33631))
    return metamorph or text.startswith("ImageJ=") or '"shape":' in text or "<OME" in text


def _more_told(pages: list[Page]) -> bool:
    """Whether ImageJ's description counts more planes than there are pages."""
    told = IMAGES.search(str(pages[0].tags.get(DESCRIPTION_TAG, "")))
    return told is not None and int(told[1]) > len(pages)


def _read_series(file: BinaryIO, pages: list[Page], photo: Photo, name: str, limit: int) -> list[np.ndarray] | None:
    """The planes of a series if it has more planes than pages; otherwise None."""
    if not _more_told(pages) and importlib.util.find_spec("tifffile") is None:
        return None
    with _opened(file, "series of pictures in TIFF") as tiff:
        try:
            (series,) = tiff.series
        # If there are several series, read them as pages.
        except Exception:
            return None
        height, width = pages[0].one(LENGTH, 0), pages[0].one(WIDTH, 0)
        axes = series.axes.upper()
        count = int(np.prod([side for side, axis in zip(series.shape, axes, strict=True) if axis not in "YXS"]))
        if series.is_multifile:
            photo.note("only this file of a series of several is read")
            return None
        if count <= len(pages):
            return None
        if axes.replace("S", "")[-2:] != "YX" or axes.endswith("SYX"):
            raise LncaError(f"{name} has axes {axes}; give planes of rows and columns")
        check_size(width, height * count, name, limit)
        _check_type(series.dtype, name)
        values = series.asarray()
        samples = values.shape[-1:] if axes.endswith("S") else ()
        return [
            upright(_plane(plane, series.keyframe, pages[0], photo), pages[0].one(ORIENTATION, 1))
            for plane in values.reshape(count, height, width, *samples)
        ]


def write(photo: Photo, file: BinaryIO) -> list[str]:
    frames = [values_of(photo, frame) if frame.dtype.kind == "f" else frame for frame in photo.frames]
    if photo.nodata is not None and all(map(has_alpha, frames)):
        frames = [with_nodata(photo, frame) for frame in frames]
    big = sum(frame.nbytes for frame in frames) > BIG
    # If Pillow can write the pixels, no other library is needed.
    simple = {(frame.dtype.kind, frame.dtype.itemsize, frame.dtype == np.uint8 or frame.ndim) for frame in frames}
    if simple in ({("u", 1, True)}, {("u", 2, 2)}):
        images = [Image.fromarray(frame if frame.ndim == 2 else of_depth(frame, np.uint8)) for frame in frames]
        save_with_pillow(images, file, "TIFF", compression="tiff_deflate", big_tiff=big)
    else:
        _write_deep(frames, file, big)
    append_tags(file, [tags_for(photo, number) for number in range(len(frames))], big)
    return []


def _write_deep(frames: list[np.ndarray], file: BinaryIO, big: bool) -> None:
    tifffile = needed("tifffile", "16 bits and floating point in TIFF")
    with tifffile.TiffWriter(file, byteorder="<", bigtiff=big) as tiff:
        for frame in frames:
            channels = 1 if frame.ndim == 2 else frame.shape[2]
            tiff.write(
                frame,
                photometric="rgb" if channels > 2 else "minisblack",
                extrasamples=["unassalpha"] if channels in (2, 4) else None,
                planarconfig="contig" if channels > 1 else None,
                software=False,
                metadata=None,
                compression="zlib",
                contiguous=False,
            )


TIFF = Format(
    name="TIFF",
    suffixes=(".tif", ".tiff"),
    media="image/tiff",
    recognise=begins(*MAGIC),
    read=read,
    write=write,
    keeps=DESCRIPTION | {Part.DEEP, Part.FLOAT, Part.ALPHA, Part.PAGES, Part.IPTC, Part.GEO},
    library="tifffile, imagecodecs (more than 8 bits, except 16-bit grey)",
    frames_differ=True,
    any_values=True,
)
