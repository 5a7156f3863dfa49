"""Special cases of formats: orientation, colours, losses, and several frames."""

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from conftest import write_dng
from lnca import LncaError
from lnca.images.exif import ORIENTATION
from lnca.images.formats.raw import is_raw
from lnca.images.photo import SOFTWARE, Photo, upright
from lnca.images.reading import open_photo, read_photo
from lnca.images.writing import save_photo

MAKE, EXPOSURE, EXPOSURE_TIME = 0x010F, 0x8769, 0x829A
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def steps(dtype, height=8, width=12):
    """An RGB array in which no two values are the same."""
    return (np.arange(height * width * 3).reshape(height, width, 3) * 7).astype(dtype)


def described():
    exif = Image.Exif()
    exif[MAKE] = "Camera"
    exif.get_ifd(EXPOSURE)[EXPOSURE_TIME] = 0.25
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_pictures_stand_upright(tmp_path, orientation):
    import tifffile

    frame, exif = steps(np.uint16), Image.Exif()
    exif[ORIENTATION] = orientation
    save_photo(Photo([frame], exif), tmp_path / "a.png")
    tags = [(ORIENTATION, 3, 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", frame, photometric="rgb", extratags=tags, metadata=None)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.getexif()[ORIENTATION] == orientation
    for name in ("a.png", "a.tif"):
        photo = open_photo(tmp_path / name)
        assert np.array_equal(photo.frames[0], upright(frame, orientation)), name
        assert ORIENTATION not in photo.exif


def cmyk_profile():
    """An ICC profile of a press whose cyan is red, and whose other inks are black: 4 channels to Lab by a table of two
    steps a channel, as version 2 has it (`mft1`)."""
    white, red, black = (255, 128, 128), (136, 208, 195), (0, 128, 128)
    corners = itertools.product((0, 1), repeat=4)
    table = [black if any(others) else red if cyan else white for cyan, *others in corners]
    identity = struct.pack(">9i", *(65536 * (row == column) for row in range(3) for column in range(3)))
    content = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity
    content += bytes(range(256)) * 4 + bytes(itertools.chain(*table)) + bytes(range(256)) * 3
    content += bytes(-len(content) % 4)
    tags = struct.pack(">I4sII", 1, b"A2B0", 128 + 16, len(content))
    head = struct.pack(
        ">I4sI4s4s4s12s4s",
        128 + len(tags) + len(content),
        bytes(4),
        0x02400000,
        b"prtr",
        b"CMYK",
        b"Lab ",
        struct.pack(">6H", 2000, 1, 1, 0, 0, 0),
        b"acsp",
    )
    head = head.ljust(68, b"\0") + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + tags + content


@pytest.mark.parametrize(
    ("profile", "colour"), [(cmyk_profile(), (255, 0, 0)), (b"broken", (0, 255, 255)), (None, (0, 255, 255))]
)
def test_cmyk_becomes_rgb_by_its_profile_where_that_can_be_used(tmp_path, profile, colour):
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    cyan.save(tmp_path / "a.jpg", quality=100, icc_profile=profile)
    cyan.save(tmp_path / "a.tif", icc_profile=profile, save_all=True, append_images=[cyan])
    for name, frames in (("a.jpg", 1), ("a.tif", 2)):
        photo = open_photo(tmp_path / name)
        assert (len(photo.frames), photo.notes, photo.icc) == (frames, ["CMYK became RGB"], None)
        for frame in photo.frames:
            assert np.abs(frame.astype(int) - colour).max() < 40, (name, frame[0, 0])


def test_raw_files_are_known_by_what_is_in_them(tmp_path):
    write_dng(tmp_path / "a.dng")
    dng = (tmp_path / "a.dng").read_bytes()
    photo = read_photo(io.BytesIO(dng), "the input")
    assert np.array_equal(photo.frames[0], open_photo(tmp_path / "a.dng").frames[0])
    with pytest.raises(LncaError, match="is not grey or RGB"):
        read_photo(io.BytesIO(dng), "the input", raw=False)
    for head in (
        b"FUJIFILMCCD-RAW 0201",
        b"\0\0\0\x18ftypcrx \0\0\0\1",
        b"II*\0\x10\0\0\0CR\2\0",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
    ):
        assert is_raw(io.BytesIO(head), head)
        with pytest.raises(LncaError, match="the input is broken or truncated"):
            read_photo(io.BytesIO(head * 20), "the input")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_ordinary_tiffs_are_not_taken_for_raw_files(tmp_path, dtype):
    exif = described()
    for frames in ([steps(dtype)], [steps(dtype)] * 2, [steps(dtype)[..., 0]]):
        frames = [frame / np.float32(2016) for frame in frames] if dtype == np.float32 else frames
        save_photo(Photo(frames, exif), tmp_path / "a.tif")
        content = (tmp_path / "a.tif").read_bytes()
        assert not is_raw(io.BytesIO(content), content[:26])
        again = read_photo(io.BytesIO(content), "the input")
        assert all(np.array_equal(a, b) for a, b in zip(again.frames, frames, strict=True))


def test_raw_files_ask_for_their_library(tmp_path, monkeypatch):
    import sys

    write_dng(tmp_path / "a.dng")
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(LncaError, match=r"raw files need rawpy: pip install 'lnca\[io\]'"):
        read_photo(io.BytesIO((tmp_path / "a.dng").read_bytes()), "the input")


@pytest.mark.parametrize(("dtype", "note"), [(np.float16, ["16"]), (np.float32, []), (np.float64, ["64"])])
def test_floating_point_of_other_sizes_becomes_32_bits_and_that_is_said(tmp_path, dtype, note):
    import tifffile

    frame = np.linspace(0, 1, 16 * 24).reshape(16, 24).astype(dtype)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for _ in range(2):
            tiff.write(frame, photometric="minisblack", metadata=None, contiguous=False)
    photo = open_photo(tmp_path / "a.tif")
    assert photo.notes == [f"floating point of {bits} bits became 32" for bits in note]
    assert photo.frames[1].dtype == np.float32
    np.testing.assert_array_equal(photo.frames[1], frame.astype(np.float32))


def gif(*frames, path):
    notes = save_photo(Photo(list(frames), kind="GIF"), path)
    return notes, open_photo(path).frames


def test_what_a_palette_does_not_hold_is_said(tmp_path):
    path, rng = tmp_path / "a.gif", np.random.default_rng(0)
    few = rng.integers(0, 256, (256, 3), np.uint8).reshape(16, 16, 3)
    notes, (again,) = gif(few, path=path)
    assert notes == []
    assert np.array_equal(again, few)
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    notes, (again,) = gif(grey, path=path)
    assert notes == []
    assert np.array_equal(again if again.ndim == 2 else again[..., 0], grey)
    many = rng.integers(0, 256, (32, 32, 3), np.uint8)
    notes, frames = gif(np.tile(few, (2, 2, 1)), many, path=path)
    assert notes == ["colours became at most 256"]
    assert len(frames) == 2
    plain = np.full((16, 16, 4), 255, np.uint8)
    plain[:8] = 0
    notes, (again,) = gif(plain, path=path)
    assert notes == []
    assert np.array_equal(again, plain)
    plain[:8, :8, 3] = 100
    assert "transparency became all or none" in gif(plain, path=path)[0]


def test_times_that_tiff_has_no_room_for_are_said(tmp_path):
    said = ["times and repetitions of the animation were left out"]
    for dtype in (np.uint8, np.uint16):
        frames = [steps(dtype), steps(dtype)[::-1].copy()]
        assert save_photo(Photo(frames, durations=[50, 60]), tmp_path / "a.tif") == said
        assert save_photo(Photo(frames, loop=0), tmp_path / "a.tif") == said
        assert save_photo(Photo(frames), tmp_path / "a.tif") == []
        assert save_photo(Photo(frames[:1], loop=0), tmp_path / "a.tif") == []


def test_grey_in_webp_keeps_its_values_and_nothing_is_said(tmp_path):
    assert save_photo(Photo([np.full((16, 16), 77, np.uint8)]), tmp_path / "a.webp") == []
    assert np.abs(open_photo(tmp_path / "a.webp").frames[0].astype(int) - 77).max() <= 1


@pytest.mark.parametrize(
    ("suffix", "dtype"), [(".webp", np.uint8), (".png", np.uint8), (".tif", np.uint8), (".tif", np.uint16)]
)
def test_what_goes_with_several_frames(tmp_path, suffix, dtype):
    still = suffix == ".tif"
    frames = [steps(dtype, 24, 40), steps(dtype, 24, 40)[::-1].copy()]
    photo = Photo(frames, described(), XMP, ICC, [] if still else [100, 200], None if still else 3)
    assert save_photo(photo.restored(frames, "lnca model"), tmp_path / f"a{suffix}") == []
    again = open_photo(tmp_path / f"a{suffix}")
    assert (len(again.frames), again.durations, again.loop) == (2, photo.durations, photo.loop)
    assert (again.exif[MAKE], again.exif[SOFTWARE], again.xmp, again.icc) == ("Camera", "lnca model", XMP, ICC)
    assert float(again.exif.get_ifd(EXPOSURE)[EXPOSURE_TIME]) == 0.25


def test_the_comment_of_a_gif_has_the_tag(tmp_path):
    frames = [np.full((16, 24, 3), value, np.uint8) for value in (10, 200)]
    for some in (frames, frames[:1]):
        save_photo(Photo(some).restored(some, "lnca model, 3 steps"), tmp_path / "a.gif")
        with Image.open(tmp_path / "a.gif") as picture:
            assert picture.info["comment"] == b"lnca model, 3 steps"
