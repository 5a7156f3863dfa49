"""Picture files survive reading and writing: pixels at their own bit depth, and metadata."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageSequence

from conftest import write_dng
from lnca import LncaError
from lnca.images.photo import SOFTWARE, Photo, of_depth, upright
from lnca.images.reading import open_photo, read_photo
from lnca.images.writing import save_photo

MAKE, EXPOSURE, PLACE, EXPOSURE_TIME, LATITUDE = 0x010F, 0x8769, 0x8825, 0x829A, 2
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def ramp(dtype, channels=3, height=24, width=40):
    """Every value differs from its neighbours in the last bits."""
    count = height * width * max(channels, 1)
    values = np.arange(count).reshape(height, width, max(channels, 1))
    if dtype == np.float32:
        array = (values / count).astype(np.float32)
    else:
        array = (values * 7 % (np.iinfo(dtype).max + 1)).astype(dtype)
    return array[..., 0] if channels == 0 else array


def described():
    exif = Image.Exif()
    exif[MAKE] = "Camera"
    exif.get_ifd(EXPOSURE)[EXPOSURE_TIME] = 0.25
    exif.get_ifd(PLACE)[LATITUDE] = (48.0, 8.0, 0.0)
    return exif


@pytest.mark.parametrize(
    ("suffix", "dtype", "channels"),
    [
        (".png", np.uint8, 0),
        (".png", np.uint8, 2),
        (".png", np.uint8, 3),
        (".png", np.uint8, 4),
        (".png", np.uint16, 0),
        (".png", np.uint16, 2),
        (".png", np.uint16, 3),
        (".png", np.uint16, 4),
        (".tif", np.uint8, 0),
        (".tif", np.uint8, 2),
        (".tif", np.uint8, 3),
        (".tif", np.uint8, 4),
        (".tiff", np.uint16, 0),
        (".tiff", np.uint16, 2),
        (".tiff", np.uint16, 3),
        (".tiff", np.uint16, 4),
        (".tiff", np.float32, 0),
        (".tiff", np.float32, 2),
        (".tiff", np.float32, 3),
        (".tiff", np.float32, 4),
        (".bmp", np.uint8, 3),
    ],
)
def test_pixels_keep_every_bit(tmp_path, suffix, dtype, channels):
    frame = ramp(dtype, channels)
    assert save_photo(Photo([frame]), tmp_path / f"a{suffix}") == []
    (again,) = open_photo(tmp_path / f"a{suffix}").frames
    assert again.dtype == dtype
    assert np.array_equal(again, frame)


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        (".jpg", np.uint8),
        (".webp", np.uint8),
        (".png", np.uint8),
        (".png", np.uint16),
        (".tif", np.uint8),
        (".tif", np.uint16),
        (".tif", np.float32),
    ],
)
def test_what_goes_with_it_is_copied(tmp_path, suffix, dtype):
    photo = Photo([ramp(dtype)], described(), XMP, ICC)
    save_photo(photo.restored(photo.frames, "lnca model, 3 steps"), tmp_path / f"a{suffix}")
    again = open_photo(tmp_path / f"a{suffix}")
    assert again.exif[MAKE] == "Camera"
    assert again.exif[SOFTWARE] == "lnca model, 3 steps"
    assert float(again.exif.get_ifd(EXPOSURE)[EXPOSURE_TIME]) == 0.25
    assert [float(part) for part in again.exif.get_ifd(PLACE)[LATITUDE]] == [48, 8, 0]
    assert again.xmp == XMP
    assert again.icc == ICC
    assert SOFTWARE not in photo.exif


@pytest.mark.parametrize(("byteorder", "bigtiff"), [("<", False), (">", False), ("<", True)])
def test_exif_of_deep_tiffs_of_others_is_read(tmp_path, byteorder, bigtiff):
    import tifffile

    path, kind, wide = tmp_path / "a.tif", *(("Q", 16) if bigtiff else ("I", 4))
    tags = [(MAKE, 2, 0, "Camera", True), (EXPOSURE - 1, wide, 1, 0, True)]
    tifffile.imwrite(path, ramp(np.uint16), byteorder=byteorder, bigtiff=bigtiff, extratags=tags, metadata=None)
    content = bytearray(path.read_bytes())
    place = len(content)
    entry = content.index(struct.pack(f"{byteorder}HH{kind}", EXPOSURE - 1, wide, 1))
    struct.pack_into(f"{byteorder}HH{kind}{kind}", content, entry, EXPOSURE, wide, 1, place)
    # One entry of single precision, with its value inside the entry.
    directory = struct.pack(f"{byteorder}{'Q' if bigtiff else 'H'}HH{kind}f", 1, EXPOSURE_TIME, 11, 1, 0.25)
    path.write_bytes(content + directory + bytes(12))
    exif = open_photo(path).exif
    assert exif[MAKE] == "Camera"
    assert float(exif.get_ifd(EXPOSURE)[EXPOSURE_TIME]) == 0.25


def test_a_deep_tiff_keeps_its_resolution_and_stays_one_that_others_read(tmp_path):
    import tifffile

    photo = Photo([ramp(np.uint16), ramp(np.uint16)], described())
    photo.exif[0x011A], photo.exif[0x011B], photo.exif[0x0128] = 300, 250, 3
    save_photo(photo, tmp_path / "a.tif")
    exif = open_photo(tmp_path / "a.tif").exif
    assert (exif[0x011A], exif[0x011B], exif[0x0128]) == (300, 250, 3)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert len(tiff.pages) == 2
        assert tiff.pages[0].tags[EXPOSURE].value["ExposureTime"] == 0.25


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_keep_frames_times_and_loops(tmp_path, suffix):
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    frames = [np.full((16, 24, 3), colour, np.uint8) for colour in colours]
    save_photo(Photo(frames, durations=[100, 200, 300], loop=0), tmp_path / f"a{suffix}")
    again = open_photo(tmp_path / f"a{suffix}")
    assert again.durations == [100, 200, 300]
    assert again.loop == 0
    for frame, colour in zip(again.frames, colours, strict=True):
        assert np.abs(frame[..., :3].astype(int) - colour).max() <= 4


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pages_are_kept(tmp_path, dtype):
    pages = [ramp(dtype), ramp(dtype)[::-1].copy()]
    save_photo(Photo(pages), tmp_path / "a.tif")
    again = open_photo(tmp_path / "a.tif")
    assert again.durations == []
    assert all(np.array_equal(a, b) for a, b in zip(again.frames, pages, strict=True))


def test_floating_point_beyond_0_to_1_comes_back_on_its_own_scale(tmp_path):
    frame = ramp(np.float32, 0) * 5000 - 100
    save_photo(Photo([(frame + 100) / 5000], scale=(-100, 5000)), tmp_path / "a.tif")
    photo = open_photo(tmp_path / "a.tif")
    assert photo.frames[0].min() == 0
    assert photo.frames[0].max() == 1
    save_photo(photo, tmp_path / "b.tif")
    import tifffile

    np.testing.assert_allclose(tifffile.imread(tmp_path / "b.tif"), frame, atol=1e-3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright_at_any_depth(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    small = ramp(np.uint8, 3, 8, 12)
    Image.fromarray(small).save(tmp_path / "a.png", exif=exif)
    photo = open_photo(tmp_path / "a.png")
    assert 0x0112 not in photo.exif
    assert np.array_equal(photo.frames[0], upright(small, orientation))
    if orientation == 6:
        assert np.array_equal(photo.frames[0], np.rot90(small, -1))


def test_palettes_black_and_white_and_cmyk(tmp_path):
    picture = Image.fromarray(ramp(np.uint8))
    picture.quantize(8).save(tmp_path / "p.png")
    assert open_photo(tmp_path / "p.png").frames[0].shape == (24, 40, 3)
    see_through = picture.quantize(8)
    see_through.save(tmp_path / "t.png", transparency=3)
    alpha = open_photo(tmp_path / "t.png").frames[0][..., 3]
    assert set(np.unique(alpha)) == {0, 255}
    picture.convert("1").save(tmp_path / "b.png")
    assert set(np.unique(open_photo(tmp_path / "b.png").frames[0])) <= {0, 255}
    picture.convert("CMYK").save(tmp_path / "c.jpg", quality=100)
    photo = open_photo(tmp_path / "c.jpg")
    assert photo.notes == ["CMYK became RGB"]
    assert photo.frames[0].shape == (24, 40, 3)


def test_what_a_format_cannot_hold_is_said(tmp_path):
    assert save_photo(Photo([ramp(np.uint8, 4)]), tmp_path / "a.jpg") == ["transparency was left out"]
    assert save_photo(Photo([ramp(np.uint16)]), tmp_path / "a.jpg") == ["16 bits became 8"]
    assert save_photo(Photo([ramp(np.float32)]), tmp_path / "a.png") == ["floating point became 16 bits"]
    assert open_photo(tmp_path / "a.png").frames[0].dtype == np.uint16
    with pytest.raises(LncaError, match="room for one frame, not for 2; write PNG"):
        save_photo(Photo([ramp(np.uint8)] * 2), tmp_path / "b.jpg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "a.png"]


def test_depths_are_rounded():
    assert of_depth(np.array([0, 128, 129, 65535], np.uint16), np.uint8).tolist() == [0, 0, 1, 255]
    assert of_depth(np.array([0, 1, 255], np.uint8), np.uint16).tolist() == [0, 257, 65535]
    assert of_depth(np.array([0, 0.5, 1], np.float32), np.uint8).tolist() == [0, 128, 255]


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


NOISE = Image.effect_noise((64, 48), 50).convert("RGB")
ANIMATED = saved(NOISE, "GIF", save_all=True, append_images=[NOISE.rotate(10 * turn) for turn in range(1, 10)])


@pytest.mark.parametrize(
    ("name", "content", "limit", "sentence"),
    [
        ("a.png", b"", 10**6, "is empty"),
        ("a.png", b"no picture at all, but text", 10**6, "is not a picture"),
        ("a.png", saved(NOISE, "PNG")[:900], 10**6, "broken or truncated"),
        ("a.tif", b"II*\0" + bytes(40), 10**6, "not a picture|broken or truncated"),
        ("a.gif", ANIMATED, 64 * 48 * 9, "pixels and the limit is 0 million"),
        ("a.png", saved(Image.new("RGB", (7, 20)), "PNG"), 10**6, "is 7x20; a picture needs at least 8x8"),
        ("a.nef", b"no raw file" * 9, 10**6, "broken or truncated"),
    ],
)
def test_what_is_refused(name, content, limit, sentence):
    with pytest.raises(LncaError, match=sentence):
        read_photo(io.BytesIO(content), name, limit)


def test_deep_files_that_are_refused(tmp_path):
    import tifffile

    path = tmp_path / "a.tif"
    for array, sentence in (
        (np.full((16, 16), np.nan, np.float32), "holds NaN or infinite"),
        (np.zeros((16, 16), np.int32), "pixels of type int32"),
        (np.zeros((16, 16, 6), np.uint16), "has 6 channels"),
        (np.zeros((4, 16), np.uint16), "is 16x4; a picture needs"),
    ):
        tifffile.imwrite(path, array, photometric="minisblack", planarconfig="contig" if array.ndim == 3 else None)
        with pytest.raises(LncaError, match=sentence):
            open_photo(path)
    save_photo(Photo([ramp(np.uint16)]), tmp_path / "a.png")
    with pytest.raises(LncaError, match="the limit is 0 million"):
        open_photo(tmp_path / "a.png", 24 * 40 - 1)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LncaError, match="broken or truncated"):
        open_photo(tmp_path / "cut.png")


def test_white_is_white_in_a_tiff_that_has_it_the_other_way_round(tmp_path):
    import tifffile

    values = ramp(np.uint16, 0)
    tifffile.imwrite(tmp_path / "a.tif", 65535 - values, photometric="miniswhite")
    assert np.array_equal(open_photo(tmp_path / "a.tif").frames[0], values)


def test_a_first_frame_counts_where_the_rest_are_other_pictures(tmp_path):
    """The further pictures in a phone's MPO are previews and depth maps."""
    NOISE.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[NOISE])
    with Image.open(tmp_path / "a.jpg") as picture:
        assert len(list(ImageSequence.Iterator(picture))) == 2
    assert len(open_photo(tmp_path / "a.jpg").frames) == 1


def test_an_orientation_in_xmp_is_not_left_behind(tmp_path):
    """Other programs would rotate the upright picture again."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" a:b="c"/></x:xmpmeta>'
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ramp(np.uint8, 3, 16, 32)).save(tmp_path / "a.jpg", exif=exif, xmp=xmp)
    photo = open_photo(tmp_path / "a.jpg")
    assert photo.xmp == xmp.replace(b' tiff:Orientation="6"', b"")
    save_photo(photo, tmp_path / "b.jpg")
    assert open_photo(tmp_path / "b.jpg").frames[0].shape == (32, 16, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_pixel_limit_counts_pages_of_any_size(tmp_path, dtype):
    pages = [ramp(dtype, 3, 8, 8), *[ramp(dtype, 3, 100, 100)] * 3]
    save_photo(Photo(pages), tmp_path / "a.tif")
    assert len(open_photo(tmp_path / "a.tif", 30064).frames) == 4
    with pytest.raises(LncaError, match="the limit is 0 million"):
        open_photo(tmp_path / "a.tif", 30063)


def test_pillows_own_limit_does_not_stand_in_the_way(tmp_path, monkeypatch):
    save_photo(Photo([ramp(np.uint8)] * 2), tmp_path / "a.tif")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert len(open_photo(tmp_path / "a.tif").frames) == 2
    assert Image.MAX_IMAGE_PIXELS == 10


def test_deep_tiffs_of_other_colours_and_depths(tmp_path):
    import tifffile

    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(np.uint16, 4), photometric="separated", planarconfig="contig")
    with pytest.raises(LncaError, match="is not grey or RGB"):
        open_photo(path)
    values = ramp(np.uint16, 0) % 4096
    tifffile.imwrite(path, values, bitspersample=12, photometric="minisblack")
    photo = open_photo(path)
    assert photo.notes == ["12 bits became 16"]
    np.testing.assert_allclose(photo.frames[0] / 65535, values / 4095, atol=1e-4)


def test_alpha_is_not_scaled_with_floating_point_colours(tmp_path):
    import tifffile

    frame = ramp(np.float32, 4) * 10
    frame[..., 3] = 1
    tifffile.imwrite(tmp_path / "a.tif", frame, photometric="rgb", extrasamples=["unassalpha"])
    photo = open_photo(tmp_path / "a.tif")
    assert (photo.frames[0][..., 3] == 1).all()
    assert photo.frames[0][..., :3].max() == 1


@pytest.mark.parametrize(
    ("frames", "xmp", "name", "sentence"),
    [
        ([np.zeros((8, 17000, 3), np.uint8)], None, "a.webp", "cannot be written as WEBP"),
        ([np.zeros((8, 70000, 3), np.uint8)], None, "a.gif", "cannot be written as GIF"),
        ([ramp(np.uint8)], b"x" * 70000, "a.jpg", "cannot be written as JPEG: XMP data is too long"),
        ([ramp(np.uint8), ramp(np.uint8, 3, 9, 9)], None, "a.gif", "room for frames of one size; write TIFF"),
    ],
)
def test_what_an_encoder_cannot_do_is_said_and_leaves_nothing(tmp_path, frames, xmp, name, sentence):
    with pytest.raises(LncaError, match=sentence):
        save_photo(Photo(frames, xmp=xmp), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_goes_with_it_and_has_no_room_is_said(tmp_path):
    photo = Photo([ramp(np.uint8)], described(), XMP, ICC)
    assert save_photo(photo, tmp_path / "a.bmp") == ["EXIF, XMP and the colour profile were left out"]


def test_an_animation_that_is_played_once_is_played_once(tmp_path):
    frames = [np.full((16, 24, 3), value, np.uint8) for value in (10, 200)]
    save_photo(Photo(frames, durations=[50, 60]), tmp_path / "a.gif")
    photo = open_photo(tmp_path / "a.gif")
    assert photo.loop is None
    save_photo(photo, tmp_path / "a.webp")
    assert open_photo(tmp_path / "a.webp").loop == 1


def test_a_raw_file_is_developed_to_16_bits(tmp_path):
    write_dng(tmp_path / "a.dng")
    photo = open_photo(tmp_path / "a.dng")
    (frame,) = photo.frames
    assert (frame.shape, frame.dtype) == ((48, 64, 3), np.uint16)
    assert (photo.kind, photo.exif[MAKE]) == ("TIFF", "Camera")
    assert (np.diff(frame[24, 4:60, 1].astype(int)) >= 0).all()
    assert (frame[24, 8:56, 0] < frame[24, 8:56, 1]).all()
    np.testing.assert_allclose(frame[24, 8:56, 1].astype(int), frame[24, 8:56, 2], atol=1500)
    with pytest.raises(LncaError, match="the limit is 0 million"):
        open_photo(tmp_path / "a.dng", 48 * 64 - 1)


def test_without_the_libraries_no_depth_is_lost_in_silence(tmp_path, monkeypatch):
    import sys

    save_photo(Photo([ramp(np.uint16)]), tmp_path / "rgb.tif")
    save_photo(Photo([ramp(np.uint16)]), tmp_path / "rgb.png")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(LncaError, match=r"need imagecodecs: pip install 'lnca\[io\]'"):
        open_photo(tmp_path / "rgb.png")
    with pytest.raises(LncaError, match="need tifffile"):
        open_photo(tmp_path / "rgb.tif")
    for name in ("grey.tif", "grey.png"):
        save_photo(Photo([ramp(np.uint16, 0)]), tmp_path / name)
        assert np.array_equal(open_photo(tmp_path / name).frames[0], ramp(np.uint16, 0))
