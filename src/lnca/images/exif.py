"""EXIF, XMP and TIFF tags: which of them a restored picture keeps, and which are no longer true."""

import re
import struct
import warnings
from typing import Any, BinaryIO

from PIL import Image

from .photo import SOFTWARE, Photo

ORIENTATION = 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
RESOLUTION = (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)
INCH, CENTIMETRE = 2, 3
# The directory after the first one: that of the thumbnail.
IFD1 = -1
# Subdirectories of the first: exposure and GPS position; and one below that of the exposure.
EXPOSURE, PLACE, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
DIRECTORIES = (EXPOSURE, PLACE)
WIDTH, HEIGHT = 0xA002, 0xA003
ICC_TAG, XMP_TAG, PHOTOSHOP_TAG, IPTC_TAG, LAYERS_TAG = 34675, 700, 34377, 33723, 37724
# Tags of GeoTIFF for the position, and of GDAL, with the value that marks pixels without data.
GDAL_NODATA = 42113
GEO_TAGS = (33550, 33922, 34264, 34735, 34736, 34737, 42112, GDAL_NODATA)
# Tags for the layout of pixels in a file: dimensions, types, compression, strips, tiles, tables, other directories; and
# tags that have a field of their own in `Photo`.
STRUCTURAL = frozenset(
    {
        254,
        255,
        256,
        257,
        258,
        259,
        262,
        263,
        264,
        265,
        266,
        273,
        ORIENTATION,
        277,
        278,
        279,
        280,
        281,
        284,
        288,
        289,
        290,
        291,
        292,
        293,
        317,
        320,
        321,
        322,
        323,
        324,
        325,
        330,
        332,
        334,
        336,
        338,
        339,
        340,
        341,
        342,
        347,
        400,
        *range(512, 522),
        529,
        530,
        531,
        532,
        559,
        XMP_TAG,
        ICC_TAG,
        PHOTOSHOP_TAG,
        LAYERS_TAG,
        EXPOSURE,
        PLACE,
        INTEROPERABILITY,
        50674,
        50675,
    }
)
# Tags to keep from raw files, whose other tags describe the sensor: description, make, model, resolution, software,
# date, artist, copyright, and Windows's title, comment, author, keywords, subject.
DESCRIPTIVE = frozenset(
    {
        0x010E,
        0x010F,
        0x0110,
        *RESOLUTION,
        0x0131,
        0x0132,
        0x013B,
        0x8298,
        *range(0x9C9B, 0x9CA0),
        IPTC_TAG,
    }
)
# Patterns, which `re` compiles when there is XMP, and keeps.
FIELD = rb"""\s*\b%s\s*=\s*["'][^"']*["']|<%s>[^<]*</%s>"""
XMP_ORIENTATION = FIELD % ((rb"tiff:Orientation",) * 3)
XMP_SIZES = [
    (rb"""(\b%s\s*=\s*["']|<%s>)\d+""" % (name, name), axis)
    for axis, names in enumerate(
        ((b"exif:PixelXDimension", b"tiff:ImageWidth"), (b"exif:PixelYDimension", b"tiff:ImageLength"))
    )
    for name in names
]
# Claims in XMP about other pictures after the first, about a film there, and about XMP in other segments.
CLAIMING = rb"(?:hdrgm|HDRGainMap|GCamera|Camera|OpCamera|GDepth|GImage|xmpNote):\w+"
CLAIMS = [
    rb"""\s*\b%s\s*=\s*(?:"[^"]*"|'[^']*')""" % CLAIMING,
    rb"(?s)<(?P<name>%s)\b[^>]*(?:/>|>.*?</(?P=name)>)" % CLAIMING,
    rb"(?s)<(?P<name>G?Container:Directory)\b.*?</(?P=name)>",
]


def xmp_bytes(xmp: str | bytes | None) -> bytes | None:
    """XMP without its orientation, because the pixels are already upright."""
    content = xmp.encode() if isinstance(xmp, str) else xmp
    return None if content is None else re.sub(XMP_ORIENTATION, b"", bytes(content))


def without_claims(xmp: bytes | None) -> bytes | None:
    """XMP without claims about further pictures, films and parts that were left out."""
    for claim in CLAIMS:
        xmp = None if xmp is None else re.sub(claim, b"", xmp)
    return xmp


def describe(photo: Photo, content: Image.Exif, wanted: frozenset[int] | None = None, in_tiff: bool = False) -> None:
    """Copies the tags of a file that a restored picture keeps into `photo.exif`.

    Args:
        wanted: tags of the first directory; None for all that are not structural.
        in_tiff: the next directory is a page, not a thumbnail.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            photo.exif, lost = _goes_on(content, wanted)
            if not in_tiff and content.get_ifd(IFD1):
                photo.note("the thumbnail was left out")
        # Tags that cannot be read are left out; the picture is still restored.
        except Exception:
            photo.exif, lost = Image.Exif(), 1
    if lost:
        photo.note("tags of EXIF that cannot be read were left out")


def _goes_on(content: Image.Exif, wanted: frozenset[int] | None) -> tuple[Image.Exif, int]:
    """EXIF that can be written, and the number of tags that cannot."""
    exif, lost = Image.Exif(), 0
    for tag in sorted(content):
        if tag in STRUCTURAL or (wanted is not None and tag not in wanted):
            continue
        try:
            _try_writing({tag: content[tag]})
            exif[tag] = content[tag]
        except Exception:
            lost += 1
    for pointer in DIRECTORIES:
        directory = dict(content.get_ifd(pointer))
        if INTEROPERABILITY in directory:
            directory[INTEROPERABILITY] = dict(content.get_ifd(INTEROPERABILITY))
        for tag in list(directory):
            try:
                _try_writing({pointer: {tag: directory[tag]}})
            except Exception:
                lost += 1
                del directory[tag]
        if directory:
            exif.get_ifd(pointer).update(directory)
    return exif, lost


def _try_writing(tags: dict[int, Any]) -> None:
    exif = Image.Exif()
    for tag, value in tags.items():
        if isinstance(value, dict):
            exif.get_ifd(tag).update(value)
        else:
            exif[tag] = value
    exif.tobytes()


def directory_of(file: BinaryIO, offset: int | None = None) -> Image.Exif:
    """The directory at an offset, or the first one, of a file with TIFF structure: TIFF and many raw files."""
    file.seek(0)
    head = file.read(16)
    content = Image.Exif()
    content.endian, content.bigtiff = "<" if head[:2] == b"II" else ">", 43 in head[2:4]
    kind, place = ("Q", 8) if content.bigtiff else ("I", 4)
    if offset is None:
        (offset,) = struct.unpack_from(content.endian + kind, head, place)
    content.load_from_fp(file, offset)
    return content


def turn(exif: Image.Exif, orientation: int) -> None:
    """Swaps the resolutions of a picture whose rows became columns."""
    if orientation >= 5 and X_RESOLUTION in exif and Y_RESOLUTION in exif:
        exif[X_RESOLUTION], exif[Y_RESOLUTION] = exif[Y_RESOLUTION], exif[X_RESOLUTION]


def set_size(photo: Photo) -> None:
    """Sets the sizes in EXIF and XMP, if present, to those of the upright picture."""
    height, width = photo.frames[0].shape[:2]
    exposure = photo.exif.get_ifd(EXPOSURE)
    for tag, size in ((WIDTH, width), (HEIGHT, height)):
        if tag in exposure:
            exposure[tag] = size
    for pattern, axis in XMP_SIZES:
        if photo.xmp is not None:
            photo.xmp = re.sub(pattern, rb"\g<1>%d" % (width, height)[axis], photo.xmp)


def set_resolution(photo: Photo, dpi: Any) -> None:
    """Adds a resolution in pixels an inch, across and down, to EXIF if that has none."""
    try:
        across, down = (float(each) for each in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return
    if across > 0 and down > 0 and X_RESOLUTION not in photo.exif:
        for tag, value in zip(RESOLUTION, (round(across, 4), round(down, 4), INCH), strict=True):
            photo.exif[tag] = value


def resolution_of(exif: Image.Exif) -> tuple[float, float] | None:
    """Pixels an inch, across and down; None if unknown."""
    try:
        across, down = (float(exif[tag]) for tag in (X_RESOLUTION, Y_RESOLUTION))
        unit = {INCH: 1.0, CENTIMETRE: 2.54}[int(exif.get(RESOLUTION_UNIT, INCH))]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across * unit, down * unit) if across > 0 and down > 0 else None


def is_empty(exif: Image.Exif) -> bool:
    return not len(exif) and not any(exif.get_ifd(pointer) for pointer in DIRECTORIES)


def tags_of(exif: Image.Exif) -> set[int]:
    """The tags except software, resolution and GeoTIFF position."""
    told = {tag for tag in exif if tag not in (SOFTWARE, *RESOLUTION, *GEO_TAGS, *DIRECTORIES)}
    return told | {pointer for pointer in DIRECTORIES if exif.get_ifd(pointer)}
