"""Picture files that are read and refused, and writing whole files."""

import io
import struct
import zlib

import pytest
from PIL import Image

from disks import failing
from lnca import LncaError
from lnca.images.eight_bit import check_output, find_pictures, open_picture, save_picture


def encoded(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def png_header(width, height):
    """A PNG that declares a size and has no pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


GREEN = Image.new("RGB", (64, 48), "green")
BROKEN = {
    "empty.png": (b"", "is empty"),
    "text.png": (b"this is no picture", "is not a picture"),
    "truncated.png": (encoded(Image.effect_noise((64, 48), 50), "PNG")[:900], "broken or truncated"),
    "truncated.jpg": (encoded(Image.effect_noise((64, 48), 50), "JPEG")[:900], "broken or truncated"),
    "bomb.png": (png_header(30_000, 30_000), "has 900 million pixels and the limit is 500 million"),
    "zero.png": (png_header(0, 10), "broken or truncated|not a picture|at least 8x8"),
    "small.png": (encoded(Image.new("RGB", (7, 20)), "PNG"), "is 7x20; a picture needs at least 8x8"),
    "deep.png": (encoded(Image.new("I;16", (20, 20)), "PNG"), "has pixels of 16 bits"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_cannot_be_restored_are_said_why(tmp_path, name):
    content, sentence = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LncaError, match=sentence):
        open_picture(tmp_path / name)


def test_a_tiff_with_five_channels(tmp_path):
    """One strip of five 8-bit samples a pixel, little-endian."""
    side, samples = 8, 5
    entries = [
        (256, 3, 1, side),
        (257, 3, 1, side),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 512),
        (277, 3, 1, samples),
        (278, 3, 1, side),
        (279, 4, 1, side * side * samples),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries) + bytes(4)
    content = (b"II*\x00" + struct.pack("<I", 8) + directory).ljust(512, b"\0") + bytes(side * side * samples)
    (tmp_path / "five.tif").write_bytes(content)
    with pytest.raises(LncaError, match="five.tif"):
        open_picture(tmp_path / "five.tif")


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(LncaError, match="does not exist"):
        open_picture(tmp_path / "nothing.png")
    with pytest.raises(LncaError, match="is a folder; give a file"):
        open_picture(tmp_path)


def test_the_pixel_limit_can_be_raised_and_lowered(tmp_path):
    GREEN.save(tmp_path / "a.png")
    assert open_picture(tmp_path / "a.png", 64 * 48).size == (64, 48)
    with pytest.raises(LncaError, match="raise it with --max-pixels"):
        open_picture(tmp_path / "a.png", 64 * 48 - 1)


def test_pictures_stand_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    GREEN.save(tmp_path / "a.jpg", exif=exif)
    assert open_picture(tmp_path / "a.jpg").size == (48, 64)


def test_pictures_are_found_below_and_sorted(tmp_path):
    for name in ("b.png", "a/c.JPG", "a/text.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_pictures(tmp_path) == [tmp_path / "a" / "c.JPG", tmp_path / "b.png"]
    with pytest.raises(LncaError, match="holds no picture"):
        find_pictures(tmp_path / "b.png" if False else make_empty(tmp_path))
    with pytest.raises(LncaError, match="is not a folder"):
        find_pictures(tmp_path / "b.png")


def make_empty(folder):
    (folder / "empty").mkdir()
    return folder / "empty"


def test_outputs_are_checked_before(tmp_path):
    GREEN.save(tmp_path / "a.png")
    with pytest.raises(LncaError, match="exists; add --overwrite"):
        check_output(tmp_path / "a.png", overwrite=False)
    with pytest.raises(LncaError, match="should end in one of .jpg"):
        check_output(tmp_path / "a.xyz", overwrite=True)
    check_output(tmp_path / "a.png", overwrite=True)


def test_jpeg_gets_what_it_can_hold(tmp_path):
    save_picture(Image.new("RGBA", (9, 9)), tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as saved:
        assert saved.mode == "RGB"


def test_a_full_disk_leaves_the_old_picture_and_nothing_else(tmp_path):
    save_picture(GREEN, tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    with failing("write"), pytest.raises(LncaError, match="cannot write .*a.png: No space left on device"):
        save_picture(Image.new("RGB", (9, 9)), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
