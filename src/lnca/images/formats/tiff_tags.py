"""Adds tags of any kind to TIFF files after another library has written the pixels."""

import os
import struct
from typing import Any, BinaryIO, NamedTuple

from PIL import TiffTags

from ..exif import DIRECTORIES, ICC_TAG, PHOTOSHOP_TAG, XMP_TAG
from ..photo import SOFTWARE, Photo

# Tags whose type does not follow from their values: byte counts of ImageJ's metadata, and binary data.
TYPES = {50838: TiffTags.LONG, 50839: TiffTags.BYTE, PHOTOSHOP_TAG: TiffTags.BYTE, XMP_TAG: TiffTags.BYTE}


class Layout(NamedTuple):
    """`struct` formats of a directory, all little-endian: its count, its offsets; and the bytes of an entry."""

    head: bytes
    number: str
    place: str
    entry: int
    first: int


CLASSIC = Layout(b"II*\0\x08\0\0\0", "<H", "<I", 12, 4)
BIG = Layout(b"II+\0\x08\0\0\0" + struct.pack("<Q", 16), "<Q", "<Q", 20, 8)


def tags_for(photo: Photo, number: int) -> dict[int, Any]:
    """Tags of a frame; of directories below, a dictionary."""
    if number == 0:
        exif = photo.exif
    elif number < len(photo.pages):
        exif = photo.pages[number]
        exif[SOFTWARE] = photo.exif.get(SOFTWARE, "lnca")
    else:
        return {}
    tags: dict[int, Any] = {tag: exif[tag] for tag in exif if tag not in DIRECTORIES}
    tags.setdefault(SOFTWARE, "lnca")
    tags |= {pointer: below for pointer in DIRECTORIES if (below := exif.get_ifd(pointer))}
    if number == 0:
        beside = {ICC_TAG: photo.icc, XMP_TAG: photo.xmp, PHOTOSHOP_TAG: photo.iptc}
        tags |= {tag: value for tag, value in beside.items() if value}
    return tags


def append_tags(file: BinaryIO, pages: list[dict[int, Any]], big: bool) -> None:
    """Adds tags to the directories of a little-endian TIFF file: each directory is written again at the end of the
    file, with its old and its new entries, after the values of the new entries."""
    layout = BIG if big else CLASSIC
    pointer = layout.first
    for tags in pages:
        entries, following = _entries(file, _number(file, layout.place, pointer), layout)
        entries |= _written(file, tags, layout)
        place = _even_end(file)
        file.write(struct.pack(layout.number, len(entries)) + b"".join(entries[tag] for tag in sorted(entries)))
        next_pointer = file.tell()
        file.write(following)
        file.seek(pointer)
        file.write(struct.pack(layout.place, place))
        pointer = next_pointer


def _number(file: BinaryIO, form: str, at: int) -> int:
    file.seek(at)
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])


def _entries(file: BinaryIO, place: int, layout: Layout) -> tuple[dict[int, bytes], bytes]:
    """A directory's entries by tag, and the offset of the next directory."""
    count = _number(file, layout.number, place)
    entries = [file.read(layout.entry) for _ in range(count)]
    following = file.read(struct.calcsize(layout.place))
    return {struct.unpack_from("<H", entry)[0]: entry for entry in entries}, following


def _written(file: BinaryIO, tags: dict[int, Any], layout: Layout) -> dict[int, bytes]:
    """Writes the values of tags at the end of the file; returns their entries."""
    if not tags:
        return {}
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    directory = ImageFileDirectory_v2(layout.head)
    for tag, value in tags.items():
        if tag in TYPES:
            directory.tagtype[tag] = TYPES[tag]
        directory[tag] = value
    place = _even_end(file)
    file.write(directory.tobytes(place))
    return _entries(file, place, layout)[0]


def _even_end(file: BinaryIO) -> int:
    """The end of a file, padded to an even position, as TIFF requires for directories."""
    end = file.seek(0, os.SEEK_END)
    file.write(bytes(end % 2))
    return end + end % 2
