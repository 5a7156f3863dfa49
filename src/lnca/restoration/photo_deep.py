"""Pictures of more than 8 bits, which Pillow would make 8 bits of: PNG, TIFF and cameras' raw files."""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from ..errors import LncaError
from .image_io import check_size, lazily_opened
from .photo import ORIENTATION, Photo, exif_of, exif_of_tiff, needed, upright_xmp, xmp_of
from .pictures import CHANNELS

MIN_IS_WHITE = 0
# TIFF's kinds of colours: grey either way round, and RGB.
PHOTOMETRIC = (MIN_IS_WHITE, 1, 2)
ICC_TAG, XMP_TAG = 34675, 700
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# First bytes of raw files of Fujifilm, Olympus and Panasonic; what Canon's have behind 4 and behind 8.
RAW_MAGIC = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
CR3_MAGIC, CR2_MAGIC = b"ftypcrx", b"CR"
# What tells a raw file from other TIFF: a tag of DNG, and the kinds of colours of a mosaic and of what is made of one.
DNG_VERSION, SENSOR = 50706, (32803, 34892)
# Thumbnails in a TIFF beyond one a page.
MOST_REDUCED = 64


def read_deep_png(file: BinaryIO, name: str, limit: int) -> Photo:
    with lazily_opened(file) as picture:
        check_size(*picture.size, name, limit)
        xmp, icc, exif = xmp_of(picture), picture.info.get("icc_profile"), picture.getexif()
        orientation = exif.get(ORIENTATION, 1)
        photo = Photo([], exif_of(picture), xmp, icc, kind="PNG")
        if getattr(picture, "n_frames", 1) > 1:
            photo.note("only the first frame of an animation of 16 bits is read")
    file.seek(0)
    values = needed("imagecodecs", "colours of 16 bits in PNG").png_decode(file.read())
    photo.frames.append(upright(values, orientation))
    return photo


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Rows and columns as EXIF's orientation, 1 to 8, says."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


@contextmanager
def _silent() -> Iterator[None]:
    """Without what tifffile logs of odd files: what matters becomes an error."""
    logger = logging.getLogger("tifffile")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _first_page_is(what: Callable[[Any], bool], file: BinaryIO) -> bool:
    """Whether something is so of a TIFF file's first page; not where tifffile is not here, or cannot read it."""
    try:
        import tifffile
    except ImportError:
        return False
    try:
        with _silent(), tifffile.TiffFile(file) as tiff:
            return what(tiff.pages[0])
    except Exception:
        return False
    finally:
        file.seek(0)


def is_deep_tiff(file: BinaryIO) -> bool:
    """Whether a TIFF file is for tifffile: other than 8 bits, where that library is here."""
    return _first_page_is(lambda page: page.dtype is not None and page.dtype not in (np.uint8, bool), file)


def is_raw(file: BinaryIO, head: bytes) -> bool:
    """Whether a file is a camera's raw file, by its first bytes or, of those that begin as TIFF does, its pages."""
    if head.startswith(RAW_MAGIC) or head[4:].startswith(CR3_MAGIC):
        return True
    return head.startswith(TIFF_MAGIC) and (head[8:10] == CR2_MAGIC or _first_page_is(_of_raw_file, file))


def _of_raw_file(page: Any) -> bool:
    """Whether a page is of DNG, or it or a picture below it is what a sensor saw."""
    below = itertools.islice(page.pages or (), MOST_REDUCED)
    return DNG_VERSION in page.tags or any(each.photometric in SENSOR for each in (page, *below))


def read_deep_tiff(file: BinaryIO, name: str, limit: int) -> Photo:
    import tifffile

    with _silent(), tifffile.TiffFile(file) as tiff:
        photo, pages = Photo([]), _full_size(tiff.pages, name)
        first = next(pages)
        photo.frames = [
            upright(values, tag(page, ORIENTATION, 1))
            for page, values in _pages(itertools.chain([first], pages), photo, name, limit)
        ]
        profile = tag(first, ICC_TAG, None)
        photo.icc, photo.xmp = None if profile is None else bytes(profile), upright_xmp(tag(first, XMP_TAG, None))
    photo.exif = exif_of_tiff(file)
    return scaled(photo, name)


def tag(page: Any, number: int, default: Any) -> Any:
    """A tag of a tifffile page."""
    found = page.tags.get(number)
    return default if found is None else found.value


def _full_size(pages: Iterable[Any], name: str) -> Iterator[Any]:
    """Pages without thumbnails, each found when the one before has been read: a broken file may seem to have thousands,
    which take long to find."""
    full = reduced = 0
    for page in pages:
        if not getattr(page, "is_reduced", False):
            full += 1
            yield page
            continue
        reduced += 1
        if reduced > full + MOST_REDUCED:
            raise LncaError(f"{name} has thumbnails without end; get a whole copy of it")
    if not full:
        raise LncaError(f"{name} has no page; get a whole copy of it")


def _pages(pages: Iterable[Any], photo: Photo, name: str, limit: int) -> Iterator[tuple[Any, np.ndarray]]:
    pixels = 0
    for page in pages:
        pixels = check_size(page.imagewidth, page.imagelength, name, limit, pixels)
        if page.samplesperpixel not in CHANNELS:
            raise LncaError(f"{name} has {page.samplesperpixel} channels; keep 1 to 4 of them")
        if page.photometric not in PHOTOMETRIC or page.imagedepth != 1:
            raise LncaError(f"{name} is not grey or RGB, or no flat picture; convert it to grey or RGB first")
        if page.dtype.kind not in "fu" or page.dtype.itemsize > (8 if page.dtype.kind == "f" else 2):
            raise LncaError(
                f"{name} has pixels of type {page.dtype}; convert it to 8 or 16 bits or floating point first"
            )
        values = page.asarray()
        if page.axes.startswith("S"):
            values = np.moveaxis(values, 0, -1)
        if page.axes.replace("S", "") != "YX":
            raise LncaError(f"{name} has axes {page.axes}; give pages of rows and columns")
        if values.dtype.kind == "f":
            if values.dtype.itemsize != 4:
                photo.note(f"floating point of {8 * values.dtype.itemsize} bits became 32")
            yield page, values.astype(np.float32)
            continue
        white, full = 2**page.bitspersample - 1, np.iinfo(values.dtype).max
        if page.photometric == MIN_IS_WHITE:
            values = white - values
        if white != full:
            photo.note(f"{page.bitspersample} bits became {8 * values.dtype.itemsize}")
            values = (values * (full / white)).round().clip(0, full).astype(values.dtype)
        yield page, values


def colours_of(frame: np.ndarray) -> np.ndarray:
    """A view of a frame without its alpha channel."""
    return frame[..., :-1] if frame.ndim == 3 and frame.shape[2] in (2, 4) else frame


def scaled(photo: Photo, name: str) -> Photo:
    """Floating-point frames brought to [0, 1], all by the same scale, where they go beyond it."""
    if photo.frames[0].dtype.kind != "f":
        return photo
    if not all(np.isfinite(frame).all() for frame in photo.frames):
        raise LncaError(f"{name} holds NaN or infinite values; replace them first")
    low = min(float(colours_of(frame).min()) for frame in photo.frames)
    high = max(float(colours_of(frame).max()) for frame in photo.frames)
    photo.frames = [frame.copy() for frame in photo.frames]
    if low < 0 or high > 1:
        photo.scale = (low, (high - low) or 1.0)
        for frame in photo.frames:
            colours = colours_of(frame)
            colours[...] = (colours - low) / photo.scale[1]
    for frame in photo.frames:
        frame.clip(0, 1, out=frame)
    return photo


def read_raw(file: BinaryIO, name: str, limit: int) -> Photo:
    """A camera's raw file, developed to 16 bits with the camera's white balance."""
    rawpy = needed("rawpy", "raw files")
    with rawpy.imread(file) as raw:
        check_size(raw.sizes.iwidth, raw.sizes.iheight, name, limit)
        photo = Photo([raw.postprocess(use_camera_wb=True, output_bps=16)])
    file.seek(0)
    if file.read(4) in TIFF_MAGIC:
        photo.exif = exif_of_tiff(file)
        return photo
    try:
        with lazily_opened(file) as picture:
            photo.exif = exif_of(picture)
    # Pillow knows few raw formats, and only the EXIF is wanted of it.
    except Exception:
        pass
    return photo
