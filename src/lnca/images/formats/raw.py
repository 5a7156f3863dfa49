"""Raw files of cameras: developed, and only read."""

import itertools
from typing import Any, BinaryIO

from ..exif import DESCRIPTIVE, XMP_TAG, describe, directory_of, xmp_bytes
from ..photo import Photo, needed
from ..pillow import check_size, lazily_opened
from .record import Format, Part
from .tiff import MAGIC, MOST_REDUCED

# First bytes of raw files of Fujifilm, Olympus and Panasonic; bytes of Canon's files at 4 and at 8.
RAW_MAGIC = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
CR3_MAGIC, CR2_MAGIC = b"ftypcrx", b"CR"
# What distinguishes a raw file from other TIFF: a tag of DNG, and the photometric values of a mosaic and of linear raw.
DNG_VERSION, SENSOR = 50706, (32803, 34892)


def recognise(head: bytes) -> bool:
    """Whether only raw files begin with these bytes."""
    return (
        head.startswith(RAW_MAGIC)
        or head[4:].startswith(CR3_MAGIC)
        or (head.startswith(MAGIC) and head[8:10] == CR2_MAGIC)
    )


def is_raw(file: BinaryIO, head: bytes) -> bool:
    """Whether a file is a camera's raw file, by its first bytes or, if it begins like TIFF, by its pages."""
    if recognise(head):
        return True
    if not head.startswith(MAGIC):
        return False
    try:
        import logging

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
    """Whether a page is DNG, or it or one of its subpictures is sensor data."""
    below = itertools.islice(page.pages or (), MOST_REDUCED)
    return DNG_VERSION in page.tags or any(each.photometric in SENSOR for each in (page, *below))


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    """Reads a raw file, developed to 16 bits with the camera's white balance."""
    rawpy = needed("rawpy", "raw files")
    with rawpy.imread(file) as raw:
        check_size(raw.sizes.iwidth, raw.sizes.iheight, name, limit)
        photo = Photo([raw.postprocess(use_camera_wb=True, output_bps=16)])
    photo.note("the raw data were developed; what is told of the sensor was left out")
    file.seek(0)
    # The pixels are already developed; read only the tags of the picture.
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
