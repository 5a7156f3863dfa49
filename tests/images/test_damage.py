"""Damage that changes no pixel is repaired and reported; damage that may change pixels is reported; other is
refused."""

import importlib.util
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from conftest import textured
from lnca import LncaError
from lnca.images.eight_bit import decode_picture
from lnca.images.reading import read_photo

strict = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="needs PyAV")
DAMAGED = "the JPEG is damaged, and parts of the picture may be wrong"
DEEP = np.random.default_rng(0).integers(0, 65536, (30, 40, 3), np.uint16)


def png(deep=False):
    """A PNG with a text chunk whose checksum is wrong, and its pixels."""
    if deep:
        imagecodecs = pytest.importorskip("imagecodecs")
        content, pixels = imagecodecs.png_encode(DEEP), DEEP
    else:
        room = io.BytesIO()
        picture = textured(40, 30)
        picture.save(room, "PNG", pnginfo=PngInfo())
        content, pixels = room.getvalue(), np.asarray(picture)
    text = b"tEXtComment\0words"
    return content[:33] + struct.pack(">I", len(text) - 4) + text + b"\1\2\3\4" + content[33:], pixels


def jpeg(**options):
    room = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    Image.fromarray(noise).save(room, "JPEG", quality=90, **options)
    return room.getvalue()


def read(content):
    return read_photo(io.BytesIO(content), "a.xyz")


def pixels_of(content):
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("deep", [False, True])
def test_a_png_with_a_damaged_text_is_read_without_it(deep):
    content, pixels = png(deep)
    photo = read(content)
    assert np.array_equal(photo.frames[0], pixels)
    assert photo.notes == ["damaged parts of the PNG were left out: tEXt"]
    if not deep:
        assert np.array_equal(np.asarray(decode_picture(io.BytesIO(content), "a.png")), pixels)


@pytest.mark.parametrize("kind", [b"IDAT", b"IHDR", b"IEND"])
def test_a_png_with_damage_that_counts_is_refused_by_the_name_of_its_part(kind):
    content = bytearray(png()[0])
    place = content.index(kind)
    length = struct.unpack(">I", content[place - 4 : place])[0]
    content[place + 4 + length] ^= 1
    for reading in (read, lambda broken: decode_picture(io.BytesIO(broken), "a.xyz")):
        with pytest.raises(LncaError, match=f"a.xyz is damaged: the checksum of its part '{kind.decode()}' is wrong"):
            reading(bytes(content))


def test_frames_of_a_png_are_not_left_out():
    room = io.BytesIO()
    textured(40, 30).save(room, "PNG", save_all=True, append_images=[textured(40, 30, 1)])
    content = bytearray(room.getvalue())
    content[content.index(b"fdAT") + 12] ^= 1
    with pytest.raises(LncaError, match="'fdAT'"):
        read(bytes(content))


def test_a_cut_png_is_refused():
    content = png()[0]
    with pytest.raises(LncaError, match="a.xyz"):
        read(content[: len(content) // 2])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 4}, {"subsampling": 0}])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_that_lacks_its_end_is_whole(options, missing):
    content = jpeg(**options)
    photo = read(content[:-missing])
    assert np.array_equal(photo.frames[0], pixels_of(content))
    assert photo.notes == ["the end mark of the JPEG was missing"]


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_jpeg_that_lacks_pixels_is_refused(options, share):
    content = jpeg(**options)
    with pytest.raises(LncaError, match="a.xyz is broken or truncated"):
        read(content[: int(share * len(content))])


def broken(content, seed, count=40):
    """The file with changed bytes in its middle."""
    draw, content = np.random.default_rng(seed), bytearray(content)
    begin = content.index(b"\xff\xda") + 100 + int(draw.integers(len(content) // 3))
    content[begin : begin + count] = draw.integers(0, 255, count, np.uint8).tobytes()
    return bytes(content)


@pytest.mark.parametrize(("options", "least"), [({}, 10), ({"progressive": True}, 10), ({"restart_marker_rows": 2}, 7)])
def test_a_broken_scan_is_noted(options, least):
    """Mostly, since a changed scan may be a valid one."""
    content = jpeg(**options)
    noted = [DAMAGED in read(broken(content, seed)).notes for seed in range(12)]
    assert sum(noted) >= least


@strict
def test_a_broken_scan_is_not_learned_from():
    room = io.BytesIO()
    textured(320, 240).save(room, "JPEG", quality=90)
    refused = []
    for seed in range(12):
        try:
            decode_picture(io.BytesIO(broken(room.getvalue(), seed)), "a.xyz")
        except LncaError as error:
            refused.append(str(error))
    assert f"a.xyz is broken: {DAMAGED}; get a whole copy of it" in refused


@pytest.mark.parametrize("size", [(8, 8), (17, 9), (33, 65)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"subsampling": 0},
        {"subsampling": 1},
        {"subsampling": "4:1:1"},
        {"progressive": True},
        {"optimize": True},
        {"quality": 5},
        {"quality": 100},
        {"keep_rgb": True},
        {"restart_marker_rows": 1},
    ],
)
def test_nothing_is_said_of_whole_jpegs(size, options):
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    for mode in ("RGB", "L", "CMYK"):
        room = io.BytesIO()
        if mode != "RGB" and options.keys() & {"subsampling", "keep_rgb"}:
            continue
        Image.fromarray(noise).convert(mode).save(room, "JPEG", **options)
        # Cameras append further pictures and films after the end.
        for content in (room.getvalue(), room.getvalue() + bytes(99), room.getvalue() + b"behind it" * 30):
            assert not [note for note in read(content).notes if "JPEG" in note]


@pytest.mark.parametrize("quality", [20, 75, 95])
def test_nothing_is_said_of_flat_ones(quality):
    """The last bits of a flat picture hardly matter."""
    for picture in (Image.new("RGB", (200, 150), "white"), textured(200, 150), textured(40, 30).resize((200, 150))):
        picture.paste((0, 0, 0), (0, 100, 200, 150))
        for kind in ("RGB", "L"):
            room = io.BytesIO()
            picture.convert(kind).save(room, "JPEG", quality=quality)
            assert read(room.getvalue()).notes == []


def test_a_picture_in_the_head_is_not_taken_for_the_picture():
    """The EXIF of a camera's JPEG contains a small JPEG with its own scan and end."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x927C] = jpeg()
    room = io.BytesIO()
    textured(200, 150).save(room, "JPEG", exif=exif)
    assert room.getvalue().count(b"\xff\xd9") == 2
    assert read(room.getvalue()).notes == []
    assert read(room.getvalue()[:-2]).notes == ["the end mark of the JPEG was missing"]


def test_checksums_are_of_name_and_content():
    content, _ = png()
    begin = content.index(b"IDAT")
    length = struct.unpack(">I", content[begin - 4 : begin])[0]
    assert (
        zlib.crc32(content[begin : begin + 4 + length])
        == struct.unpack(">I", content[begin + 4 + length : begin + 8 + length])[0]
    )
