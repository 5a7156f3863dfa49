"""Cameras' raw files, which are developed, and read only."""

import itertools
import logging
from typing import Any, BinaryIO

from ..exif import DESCRIPTIVE, XMP_TAG, describe, directory_of, xmp_bytes
from ..photo import Photo, needed
from ..pillow import check_size, lazily_opened
from .record import Format, Part
from .tiff import MAGIC, MOST_REDUCED

# First bytes of raw files of Fujifilm, Olympus and Panasonic; what Canon's have behind 4 and behind 8.
RAW_MAGIC = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
CR3_MAGIC, CR2_MAGIC = b"ftypcrx", b"CR"
# What tells a raw file from other TIFF: a tag of DNG, and the kinds of colours of a mosaic and of what is made of one.
DNG_VERSION, SENSOR = 50706, (32803, 34892)


def recognise(head: bytes) -> bool:
    """Whether the first bytes are those of raw files alone."""
    return (
        head.startswith(RAW_MAGIC)
        or head[4:].startswith(CR3_MAGIC)
        or (head.startswith(MAGIC) and head[8:10] == CR2_MAGIC)
    )


def is_raw(file: BinaryIO, head: bytes) -> bool:
    """Whether a file is a camera's raw file, by its first bytes or, of those that begin as TIFF does, its pages."""
    if recognise(head):
        return True
    if not head.startswith(MAGIC):
        return False
    try:
        import tifffile
    except ImportError:
        return False
    logger = logging.getLogger("tifffile")
    before, logger.disabled = logger.disabled, True
    try:
        with tifffile.TiffFile(file) as tiff:
            return _of_raw_file(tiff.pages[0])
    except Exception:
        return False
    finally:
        logger.disabled = before
        file.seek(0)


def _of_raw_file(page: Any) -> bool:
    """Whether a page is of DNG, or it or a picture below it is what a sensor saw."""
    below = itertools.islice(page.pages or (), MOST_REDUCED)
    return DNG_VERSION in page.tags or any(each.photometric in SENSOR for each in (page, *below))


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    """A raw file, developed to 16 bits with the camera's white balance."""
    rawpy = needed("rawpy", "raw files")
    with rawpy.imread(file) as raw:
        check_size(raw.sizes.iwidth, raw.sizes.iheight, name, limit)
        photo = Photo([raw.postprocess(use_camera_wb=True, output_bps=16)])
    photo.note("the raw data were developed; what is told of the sensor was left out")
    file.seek(0)
    # Only what is told of the picture is wanted of what has been developed already.
    try:
        if file.read(4) in MAGIC:
            content = directory_of(file)
            photo.xmp = xmp_bytes(content.get(XMP_TAG))
            describe(photo, content, DESCRIPTIVE, in_tiff=True)
        else:
            file.seek(0)
            with lazily_opened(file) as picture:
                describe(photo, picture.getexif(), DESCRIPTIVE, in_tiff=True)
    except Exception:
        photo.note("EXIF that cannot be read was left out")
    return photo


RAW = Format(
    name="RAW",
    suffixes=(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
    media="image/x-raw",
    recognise=recognise,
    read=read,
    keeps=frozenset({Part.DEEP, Part.EXIF, Part.XMP}),
    library="rawpy",
    coded="developed",
)
