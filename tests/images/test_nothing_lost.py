"""Everything in a file survives reading and writing, or one phrase reports the loss."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from lnca import LncaError
from lnca.images.exif import EXPOSURE, HEIGHT, INTEROPERABILITY, ORIENTATION, WIDTH, X_RESOLUTION, Y_RESOLUTION
from lnca.images.photo import Photo
from lnca.images.reading import open_photo
from lnca.images.writing import save_photo

MAKE, DESCRIPTION = 0x010F, 270
PAGE_NAME = 285


def noise(*shape, dtype=np.uint8, seed=0):
    generator = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return generator.random(shape, np.float32).astype(dtype)
    return generator.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(height=48, width=64):
    small = Image.fromarray(noise(height // 8, width // 8, 3))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def again(path, to=None):
    """Reads a file and writes it again; returns the written bytes, the notes of both, and the photo that is read
    again."""
    photo = open_photo(path)
    target = path.with_name(f"again{to or path.suffix}")
    notes = photo.notes + save_photo(photo, target)
    return photo, notes, open_photo(target)


# TIFF: channels, alpha, depths, series, tags.


def test_associated_alpha_of_16_bits_is_divided_out(tmp_path):
    path = tmp_path / "a.tif"
    straight = noise(16, 24, 4, dtype=np.uint16)
    straight[..., 3] = np.maximum(straight[..., 3], 1000)
    multiplied = straight.copy()
    multiplied[..., :3] = np.round(straight[..., :3] * (straight[..., 3:] / 65535))
    tifffile.imwrite(path, multiplied, photometric="rgb", extrasamples=["assocalpha"])
    photo, notes, result = again(path)
    assert notes == ["associated alpha became unassociated"]
    assert np.abs(photo.frames[0].astype(int) - straight).max() <= 40
    assert np.array_equal(result.frames[0], photo.frames[0])
    with tifffile.TiffFile(tmp_path / "again.tif") as tiff:
        assert tiff.pages[0].extrasamples == (2,)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("channels", "options"),
    [
        (2, {"photometric": "minisblack", "planarconfig": "separate"}),
        (2, {"photometric": "minisblack", "extrasamples": ["unspecified"], "planarconfig": "contig"}),
        (4, {"photometric": "rgb", "extrasamples": ["unspecified"]}),
    ],
)
def test_channels_that_are_no_alpha_are_refused(tmp_path, dtype, channels, options):
    values = noise(16, 24, channels, dtype=dtype)
    values = np.moveaxis(values, -1, 0).copy() if options.get("planarconfig") == "separate" else values
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    with pytest.raises(LncaError, match=rf"has {channels} channels, and does not say that"):
        open_photo(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("imagej", [True, False])
def test_a_series_with_one_directory_is_read_whole(tmp_path, dtype, imagej):
    """ImageJ writes such files beyond 4 GB."""
    stack = noise(5, 16, 24, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=imagej, truncate=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert len(tiff.pages) == 1
    photo, _, result = again(tmp_path / "a.tif")
    for found in (photo, result):
        assert np.array_equal(np.stack(found.frames), stack)
    with tifffile.TiffFile(tmp_path / "again.tif") as tiff:
        assert tiff.series[0].shape == (5, 16, 24)
        assert tiff.is_imagej == imagej
    with pytest.raises(LncaError, match="the limit is 0 million"):
        open_photo(tmp_path / "a.tif", 16 * 24 * 5 - 1)


def test_a_hyperstack_in_colours_keeps_its_description_and_what_imagej_tells(tmp_path):
    stack = noise(2, 3, 16, 24, dtype=np.uint16)
    told = {"axes": "ZCYX", "Labels": [f"slice {n}" for n in range(6)], "spacing": 3.5, "unit": "um"}
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata=told)
    _, notes, result = again(tmp_path / "a.tif")
    assert notes == []
    assert np.array_equal(np.stack(result.frames).reshape(stack.shape), stack)
    with tifffile.TiffFile(tmp_path / "again.tif") as tiff:
        assert tiff.imagej_metadata["Labels"] == told["Labels"]
        assert tiff.imagej_metadata["spacing"] == 3.5
        assert tiff.series[0].axes == "ZCYX"


def test_pages_keep_each_its_own_depth(tmp_path):
    for dtypes in ((np.uint8, np.uint16, np.uint16), (np.uint16, np.uint8), (np.uint8, np.float32)):
        for shape in ((16, 24), (16, 24, 3)):
            pages = [noise(*shape, dtype=dtype, seed=n) for n, dtype in enumerate(dtypes)]
            with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
                for page in pages:
                    tiff.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", metadata=None)
            photo, notes, result = again(tmp_path / "a.tif")
            assert notes == []
            for found in (photo, result):
                assert [frame.dtype for frame in found.frames] == list(dtypes)
                assert all(np.array_equal(a, b) for a, b in zip(found.frames, pages, strict=True))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pages_keep_their_own_tags(tmp_path, dtype):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for number in range(3):
            tags = [(PAGE_NAME, 2, 0, f"page {number}", True)]
            tiff.write(
                noise(16, 24, 3, dtype=dtype),
                photometric="rgb",
                metadata=None,
                extratags=tags,
                resolution=(100 + number, 200),
                resolutionunit="inch",
                description=f"words {number}",
            )
    again(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "again.tif") as tiff:
        for number, page in enumerate(tiff.pages):
            assert page.tags[PAGE_NAME].value == f"page {number}"
            assert page.tags[DESCRIPTION].value == f"words {number}"
            assert page.resolution == (100 + number, 200)


GEO = [
    (33550, 12, 3, (10.0, 10.0, 0.0), True),
    (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 4.5e6, 0.0), True),
    (34735, 3, 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
    (34737, 2, 0, "WGS 84 / UTM zone 33N|", True),
]


@pytest.mark.parametrize(
    ("dtype", "nodata"), [(np.uint8, 0), (np.uint16, 65535), (np.float32, -9999.0), (np.float32, float("nan"))]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_place_on_the_map_and_pixels_without_a_value_are_kept(tmp_path, dtype, nodata, channels):
    values = noise(16, 24, channels, dtype=dtype)
    values[values == nodata] = 1
    values[:4] = nodata
    values = values[..., 0] if channels == 1 else values
    tags = [*GEO, (42113, 2, 0, f"{nodata:g}", True), (42112, 2, 0, "<GDALMetadata/>", True)]
    photometric = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=tags, metadata=None, photometric=photometric)
    photo, notes, _ = again(tmp_path / "a.tif")
    assert notes == []
    # Pixels without data do not affect the scale, and are not restored.
    assert photo.scale == (0, 1)
    assert (photo.frames[0][:4, :, -1] == 0).all()
    assert photo.frames[0][4:, :, -1].all()
    assert np.array_equal(tifffile.imread(tmp_path / "again.tif"), values, equal_nan=dtype == np.float32)
    with tifffile.TiffFile(tmp_path / "again.tif") as tiff:
        for number, _, _, value, _ in tags:
            assert tiff.pages[0].tags[number].value == value
    assert save_photo(photo, tmp_path / "b.png")[-1] == "the place on the map (GeoTIFF) was left out"


def test_thumbnails_and_pictures_below_pages_are_said(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(noise(32, 48, 3), photometric="rgb", metadata=None, subifds=1)
        tiff.write(noise(16, 24, 3), photometric="rgb", metadata=None, subfiletype=1)
        tiff.write(noise(16, 24, 3), photometric="rgb", metadata=None, subfiletype=1)
    photo = open_photo(tmp_path / "a.tif")
    assert len(photo.frames) == 1
    assert photo.notes == [
        "pictures below a page (SubIFDs) were left out",
        "smaller copies of the picture were left out",
    ]


def test_tags_of_8_bits_and_any_number_are_kept_and_compressed(tmp_path):
    tags = [(65001, 2, 0, "a lab's own", True), (65002, 3, 3, (1, 2, 3), True), (65003, 12, 2, (0.5, 1.5), True)]
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb", extratags=tags, metadata=None
    )
    _, notes, _ = again(tmp_path / "a.tif")
    assert notes == []
    with tifffile.TiffFile(tmp_path / "again.tif") as tiff:
        assert [tiff.pages[0].tags[number].value for number in (65001, 65002, 65003)] == [tag[3] for tag in tags]
        assert tiff.pages[0].compression != 1


# JPEG.


def jpeg(path, image=None, **options):
    (image or smooth()).save(path, "JPEG", **options)
    return path


def test_red_text_keeps_its_colours_and_sampling(tmp_path):
    picture = np.full((64, 64, 3), 255, np.uint8)
    picture[8:56:4, 8:56] = (255, 0, 0)
    path = jpeg(tmp_path / "a.jpg", Image.fromarray(picture), quality=98, subsampling="4:4:4")
    photo, _, result = again(path)
    assert np.abs(result.frames[0].astype(int) - photo.frames[0]).mean() < 1
    with Image.open(path) as before, Image.open(tmp_path / "again.jpg") as after:
        assert after.layer == before.layer
        for number, table in before.quantization.items():
            assert (np.array(after.quantization[number]) <= table).all()


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"quality": 60, "subsampling": "4:2:0"}, [2, 1, 1]),
        ({"quality": 99, "subsampling": "4:2:2"}, [2, 1, 1]),
        ({"quality": 100}, [2, 1, 1]),
        ({"quality": 90, "subsampling": "4:4:4", "progressive": True}, [1, 1, 1]),
    ],
)
def test_sampling_tables_and_progress_of_jpeg(tmp_path, options, wanted):
    again(jpeg(tmp_path / "a.jpg", **options))
    with Image.open(tmp_path / "a.jpg") as before, Image.open(tmp_path / "again.jpg") as after:
        assert [layer[1] for layer in after.layer] == wanted
        assert [layer[:3] for layer in after.layer] == [layer[:3] for layer in before.layer]
        assert bool(after.info.get("progressive")) == options.get("progressive", False)
        for number, table in before.quantization.items():
            assert (np.array(after.quantization[number]) <= table).all()


def test_what_was_never_jpeg_gets_all_its_colours(tmp_path):
    Image.fromarray(noise(16, 16, 3)).save(tmp_path / "a.png")
    again(tmp_path / "a.png", ".jpg")
    with Image.open(tmp_path / "again.jpg") as after:
        assert [layer[1] for layer in after.layer] == [1, 1, 1]


def test_sides_in_exif_and_xmp_are_those_of_the_upright_picture(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION], exif[X_RESOLUTION], exif[Y_RESOLUTION], exif[0x0128] = 6, 300.0, 200.0, 2
    exif.get_ifd(EXPOSURE).update({WIDTH: 64, HEIGHT: 48})
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:D exif:PixelXDimension="64" tiff:ImageLength="48"/>'
        b"<exif:PixelYDimension>48</exif:PixelYDimension></x:xmpmeta>"
    )
    _, _, result = again(jpeg(tmp_path / "a.jpg", exif=exif, xmp=xmp))
    assert result.frames[0].shape == (64, 48, 3)
    sides = result.exif.get_ifd(EXPOSURE)
    assert (sides[WIDTH], sides[HEIGHT]) == (48, 64)
    assert (result.exif[X_RESOLUTION], result.exif[Y_RESOLUTION]) == (200, 300)
    assert b'exif:PixelXDimension="48" tiff:ImageLength="64"' in result.xmp
    assert b"<exif:PixelYDimension>64</" in result.xmp


def test_interoperability_and_makers_notes_are_kept(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(EXPOSURE).update({INTEROPERABILITY: {1: "R03", 2: b"0100"}, 0x927C: b"maker's own", 0xA001: 65535})
    for suffix in (".jpg", ".png", ".tif"):
        _, notes, result = again(jpeg(tmp_path / "a.jpg", exif=exif), suffix)
        assert notes == []
        exposure = result.exif.get_ifd(EXPOSURE)
        assert exposure[0x927C] == b"maker's own"
        assert exposure[INTEROPERABILITY][1] == "R03"


def segment(marker, data):
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def with_segments(path, *segments):
    content = path.read_bytes()
    path.write_bytes(content[:2] + b"".join(segments) + content[2:])
    return path


RESOURCES = b"8BIM\x04\x04\0\0" + struct.pack(">I", 12) + b"\x1c\x02\x78\0\x07caption\0"


def test_comments_and_iptc_of_jpeg_are_kept(tmp_path):
    path = with_segments(jpeg(tmp_path / "a.jpg", comment=b"words"), segment(0xED, b"Photoshop 3.0\0" + RESOURCES))
    _, notes, result = again(path)
    assert notes == []
    assert (result.comments, result.iptc) == ({"Comment": "words"}, RESOURCES)
    with Image.open(tmp_path / "again.jpg") as picture:
        assert picture.info["photoshop"][0x0404].startswith(b"\x1c\x02\x78")
    _, notes, result = again(path, ".tif")
    assert notes == ["comments were left out"]
    assert result.iptc == RESOURCES
    assert again(path, ".bmp")[1] == ["IPTC and comments were left out"]


def test_a_gain_map_is_said_to_be_left_out_and_no_longer_claimed(tmp_path):
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:D hdrgm:Version="1.0" a:b="c"><Container:Directory><rdf:Seq>'
        b'<rdf:li Item:Semantic="GainMap"/></rdf:Seq></Container:Directory></rdf:D></x:xmpmeta>'
    )
    room = io.BytesIO()
    smooth().save(room, "MPO", save_all=True, append_images=[smooth(24, 32)], xmp=xmp)
    (tmp_path / "a.jpg").write_bytes(room.getvalue())
    _, notes, result = again(tmp_path / "a.jpg")
    assert notes == ["further pictures, such as a gain map, were left out"]
    assert b"hdrgm" not in result.xmp
    assert b"Container" not in result.xmp
    assert b'a:b="c"' in result.xmp


@pytest.mark.parametrize(
    ("rest", "note"),
    [
        (b"\0\0\0\x18ftypmp42" + bytes(90), "the film behind the picture was left out"),
        (b"SEFT and more", "data behind the picture were left out"),
        (bytes(500), None),
        (b"", None),
    ],
)
def test_what_lies_behind_a_jpeg_is_said(tmp_path, rest, note):
    path = jpeg(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + rest)
    assert open_photo(path).notes == ([note] if note else [])


@pytest.mark.parametrize(
    ("marker", "data", "note"),
    [
        (0xE1, b"http://ns.adobe.com/xmp/extension/\0rest", "XMP beyond 64 kB was left out"),
        (0xEB, b"JP\0\1rest", "signed claims (C2PA) were left out"),
        (0xE3, b"unheard of", "a segment APP3 that is not known here was left out"),
    ],
)
def test_segments_that_are_not_kept_are_said(tmp_path, marker, data, note):
    path = with_segments(jpeg(tmp_path / "a.jpg"), segment(marker, data))
    assert open_photo(path).notes == [note]


def test_a_thumbnail_is_said_to_be_left_out(tmp_path):
    """The thumbnail shows the unrestored picture."""
    small = io.BytesIO()
    smooth(16, 16).save(small, "JPEG")
    first = struct.pack(">H", 0) + struct.pack(">I", 14)
    entries = struct.pack(">HHII", 0x0201, 4, 1, 44) + struct.pack(">HHII", 0x0202, 4, 1, len(small.getvalue()))
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + first + struct.pack(">H", 2) + entries + bytes(4) + small.getvalue()
    assert open_photo(jpeg(tmp_path / "a.jpg", exif=exif)).notes == ["the thumbnail was left out"]


def test_jpegs_of_12_bits_are_refused_in_a_sentence(tmp_path):
    content = bytearray(jpeg(tmp_path / "a.jpg").read_bytes())
    content[content.index(b"\xff\xc0") + 4] = 12
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(LncaError, match="is a JPEG of 12 bits; convert it"):
        open_photo(tmp_path / "a.jpg")


# Resolution, in all places of a file.


@pytest.mark.parametrize("source", [".jpg", ".png", ".tif", ".bmp"])
@pytest.mark.parametrize("target", [".jpg", ".png", ".tif", ".bmp", ".webp"])
def test_the_resolution_goes_from_any_format_to_any(tmp_path, source, target):
    path = tmp_path / f"a{source}"
    smooth().save(path, dpi=(300, 200))
    _, notes, result = again(path, target)
    assert notes == []
    assert float(result.exif[X_RESOLUTION]) == pytest.approx(300, abs=0.1)
    assert float(result.exif[Y_RESOLUTION]) == pytest.approx(200, abs=0.1)
    if target != ".webp":
        with Image.open(tmp_path / f"again{target}") as picture:
            assert picture.info["dpi"] == pytest.approx((300, 200), abs=0.1)


# PNG.


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunks(path, *chunks):
    content = path.read_bytes()
    path.write_bytes(content[:33] + b"".join(chunks) + content[33:])
    return path


SIGNAL = {
    b"gAMA": struct.pack(">I", 100000),
    b"cHRM": struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000),
    b"cICP": bytes((9, 16, 0, 1)),
    b"mDCV": bytes(24),
    b"cLLI": bytes(8),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", SIGNAL)
def test_what_png_says_of_its_colours_is_kept_or_said(tmp_path, dtype, name):
    save_photo(Photo([noise(16, 24, 3, dtype=dtype)]), tmp_path / "a.png")
    path = with_chunks(tmp_path / "a.png", chunk(name, SIGNAL[name]))
    _, notes, result = again(path)
    assert notes == []
    assert result.signal == {name.decode(): SIGNAL[name]}
    assert chunk(name, SIGNAL[name]) in (tmp_path / "again.png").read_bytes()
    assert "what PNG says of its colours was left out" in again(path, ".jpg")[1]


def test_srgb_in_other_words_needs_no_words(tmp_path):
    smooth().save(tmp_path / "a.png")
    with_chunks(tmp_path / "a.png", chunk(b"sRGB", b"\0"), chunk(b"gAMA", struct.pack(">I", 45455)))
    assert again(tmp_path / "a.png", ".jpg")[1] == []
    assert again(tmp_path / "a.png")[2].signal == {"sRGB": b"\0", "gAMA": struct.pack(">I", 45455)}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_texts_of_png_are_kept(tmp_path, dtype):
    texts = {"Title": "one", "Author": "José", "Long": "x" * 5000, "Greek": "αβγ"}
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", texts["Title"])
    info.add_text("Author", texts["Author"])
    info.add_text("Long", texts["Long"], zip=True)
    info.add_itxt("Greek", texts["Greek"], zip=True)
    save_photo(Photo([noise(16, 24, 3, dtype=dtype)]), tmp_path / "a.png")
    with_chunks(tmp_path / "a.png", *(chunk(name, data) for name, data, *_ in info.chunks))
    _, notes, result = again(tmp_path / "a.png")
    assert notes == []
    assert result.comments == texts
    assert "comments were left out" in again(tmp_path / "a.png", ".webp")[1]
    _, _, result = again(tmp_path / "a.png", ".jpg")
    assert "Greek: αβγ" in result.comments["Comment"]


def test_chunks_that_are_not_kept_are_said(tmp_path):
    smooth().save(tmp_path / "a.png")
    with_chunks(
        tmp_path / "a.png",
        chunk(b"tIME", bytes(7)),
        chunk(b"caBX", b"claims"),
        chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0)),
    )
    assert open_photo(tmp_path / "a.png").notes == [
        "the chunk tIME was left out",
        "the chunk caBX was left out",
        "the shape of pixels (pHYs) was left out",
    ]


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB", "P"])
def test_one_transparent_colour_becomes_alpha(tmp_path, mode):
    grey = np.tile(np.arange(16, dtype=np.uint8) * 16, (16, 1))
    image = {
        "1": lambda: Image.fromarray(grey).convert("1", dither=Image.Dither.NONE),
        "L": lambda: Image.fromarray(grey),
        "I;16": lambda: Image.fromarray(grey.astype(np.uint16) * 257),
        "P": lambda: Image.fromarray(grey).quantize(16),
        "RGB": lambda: Image.fromarray(np.stack([grey] * 3, -1)),
    }[mode]()
    clear = (32, 32, 32) if mode == "RGB" else {"L": 32, "I;16": 32 * 257, "P": image.getpixel((2, 0)), "1": 0}[mode]
    image.save(tmp_path / "a.png", transparency=clear)
    frame = open_photo(tmp_path / "a.png").frames[0]
    assert frame.shape[2] in (2, 4)
    assert (frame[:, 2, -1] == 0).all()
    assert frame[:, 15, -1].all()
    assert frame.dtype == (np.uint16 if mode == "I;16" else np.uint8)


def test_deep_grey_and_deep_colours_with_one_transparent_colour(tmp_path):
    frame = noise(16, 24, 3, dtype=np.uint16)
    save_photo(Photo([frame]), tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    clear = chunk(b"tRNS", frame[3, 5].astype(">u2").tobytes())
    (tmp_path / "a.png").write_bytes(content[:33] + clear + content[33:])
    (found,) = open_photo(tmp_path / "a.png").frames
    assert found.shape == (16, 24, 4)
    assert found[3, 5, 3] == 0
    assert (found[..., 3] == 0).sum() == 1


# Animations.


def boxes(count=4, size=(32, 48), alpha=True):
    """A box that moves over transparency or over grey."""
    frames = []
    for number in range(count):
        frame = np.zeros((*size, 4), np.uint8) if alpha else np.full((*size, 4), (90, 90, 90, 255), np.uint8)
        frame[8:24, 8 * number : 8 * number + 16] = (200, 40 * number, 30, 255)
        frames.append(frame)
    return frames


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("alpha", [True, False])
def test_moving_boxes_leave_no_trails(tmp_path, suffix, alpha):
    frames = boxes(alpha=alpha)
    first, *rest = map(Image.fromarray, frames)
    options = {".webp": {"lossless": True}, ".gif": {"disposal": 2}, ".png": {"disposal": 1}}[suffix]
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=rest, duration=100, loop=0, **options)
    photo, _, result = again(tmp_path / f"a{suffix}")
    for found in (photo, result):
        assert len(found.frames) == 4
        assert found.durations == [100] * 4
        for frame, wanted in zip(found.frames, frames, strict=True):
            seen = wanted[..., 3] > 0
            assert np.array_equal(frame[..., :3][seen], wanted[..., :3][seen])
            if alpha:
                assert np.array_equal(frame[..., 3], wanted[..., 3])


def test_soft_edges_of_an_animated_webp(tmp_path):
    frames = boxes()
    for number, frame in enumerate(frames):
        frame[..., 3] = np.where(frame[..., 3] > 0, 60 * (number + 1), 0)
    first, *rest = map(Image.fromarray, frames)
    first.save(tmp_path / "a.webp", save_all=True, append_images=rest, duration=[40, 50, 60, 70], loop=2, lossless=True)
    photo, notes, result = again(tmp_path / "a.webp")
    assert notes == []
    assert photo.lossless
    assert (result.durations, result.loop) == ([40, 50, 60, 70], 2)
    for found in (photo, result):
        for frame, wanted in zip(found.frames, frames, strict=True):
            assert np.array_equal(frame[..., 3], wanted[..., 3])
            seen = wanted[..., 3] > 0
            assert np.abs(frame[seen].astype(int) - wanted[seen]).max() <= 2


def test_a_picture_before_the_animation_is_kept_or_said(tmp_path):
    cover, first, *rest = map(Image.fromarray, boxes(5, alpha=False))
    cover.save(
        tmp_path / "a.png",
        save_all=True,
        default_image=True,
        append_images=[first, *rest],
        duration=[70, 80, 90, 100],
        loop=3,
    )
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.default_image
    photo, notes, result = again(tmp_path / "a.png")
    assert notes == []
    for found in (photo, result):
        assert (found.cover, found.durations, found.loop) == (True, [0, 70, 80, 90, 100], 3)
        assert [frame[10, 2, 0] > 150 for frame in found.frames] == [True, False, False, False, False]
    _, notes, result = again(tmp_path / "a.png", ".gif")
    assert notes == ["the picture before the animation was left out"]
    assert result.durations == [70, 80, 90, 100]
    assert again(tmp_path / "a.png", ".tif")[1] == [
        "the picture before the animation was left out",
        "times and repetitions of the animation were left out",
    ]


def test_comments_of_a_gif_are_kept_and_the_tag_is_there_once(tmp_path):
    smooth().quantize(16).save(tmp_path / "a.gif", comment=b"words")
    photo = open_photo(tmp_path / "a.gif")
    for _ in range(2):
        save_photo(photo.restored(photo.frames, "lnca model"), tmp_path / "a.gif")
        photo = open_photo(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.info["comment"] == b"words\nlnca model"


# Colours and coding.


def test_grey_with_a_profile_of_its_own_becomes_srgb_where_there_is_no_grey(tmp_path):
    profile = grey_profile(1.0)
    ramp = Image.fromarray(np.tile(np.arange(0, 256, 32, dtype=np.uint8).repeat(16), (16, 1)))
    jpeg(tmp_path / "a.jpg", ramp, quality=100, icc_profile=profile)
    photo, notes, _ = again(tmp_path / "a.jpg")
    assert (photo.icc, notes) == (profile, [])
    photo, notes, result = again(tmp_path / "a.jpg", ".webp")
    assert notes == ["grey with a profile of its own became sRGB"]
    assert result.icc is None
    # Linear grey in sRGB codes.
    light = photo.frames[0] / 255
    wanted = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(result.frames[0][..., 1] - wanted).max() < 6
    for suffix in (".jxl", ".bmp", ".pgm"):
        _, notes, result = again(tmp_path / "a.jpg", suffix)
        assert notes == ["grey with a profile of its own became sRGB"]
        grey = result.frames[0] if result.frames[0].ndim == 2 else result.frames[0][..., 0]
        assert np.abs(grey - wanted).max() < 2


def grey_profile(gamma):
    """An ICC profile of grey with one exponent (version 2)."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    table = struct.pack(">I", 2)
    table += struct.pack(">4sII", b"wtpt", 128 + 28, len(white)) + struct.pack(
        ">4sII", b"kTRC", 128 + 28 + len(white), len(curve)
    )
    content = table + white + curve
    head = struct.pack(
        ">I4sI4s4s4s12s4s",
        128 + len(content),
        bytes(4),
        0x02400000,
        b"mntr",
        b"GRAY",
        b"XYZ ",
        struct.pack(">6H", 2000, 1, 1, 0, 0, 0),
        b"acsp",
    )
    head = head.ljust(68, b"\0") + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + content


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".tga", ".jxl", ".ppm"])
def test_a_wide_profile_that_has_no_room_is_used(tmp_path, suffix):
    """Red of a wide profile is redder than sRGB's."""
    profile = imagecodecs.cms_profile(
        "rgb", whitepoint=(0.3127, 0.329), primaries=[0.64, 0.33, 0.21, 0.71, 0.15, 0.06], gamma=2.2
    )
    deep = suffix in (".jxl", ".ppm")
    colour = np.array([100, 200, 60], np.uint8)
    frame = np.tile(colour, (16, 16, 1)).astype(np.uint16 if deep else np.uint8) * (257 if deep else 1)
    photo = Photo([frame], icc=profile)
    notes = save_photo(photo, tmp_path / f"a{suffix}")
    assert notes[0] == "the colour profile was left out, and the colours became sRGB"
    wanted = ImageCms.profileToProfile(
        Image.fromarray(np.tile(colour, (16, 16, 1))),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
    )
    (found,) = open_photo(tmp_path / f"a{suffix}").frames
    found = found / 257 if deep else found
    assert np.abs(np.asarray(wanted, float)[0, 0] - colour).max() > 10
    assert np.abs(found[..., :3] - np.asarray(wanted)).max() <= 2


def test_lossless_webp_stays_lossless_and_hidden_colours_too(tmp_path):
    frame = noise(16, 24, 4)
    frame[:8, :, 3] = 0
    Image.fromarray(frame).save(tmp_path / "a.webp", lossless=True, exact=True)
    _, notes, result = again(tmp_path / "a.webp")
    assert notes == []
    assert np.array_equal(result.frames[0], frame)


def test_a_profile_in_a_bmp_is_read(tmp_path):
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = noise(16, 16, 3)
    head = struct.pack("<IiiHHIIiiII", 124, 16, 16, 1, 24, 0, 768, 11811, 11811, 0, 0)
    head += bytes(16) + b"DEBM" + bytes(48) + struct.pack("<IIII", 4, 124 + 768, len(icc), 0)
    content = head + pixels[::-1, :, ::-1].tobytes() + icc
    (tmp_path / "a.bmp").write_bytes(b"BM" + struct.pack("<IHHI", 14 + len(content), 0, 0, 14 + 124) + content)
    photo, notes, _ = again(tmp_path / "a.bmp", ".png")
    assert np.array_equal(photo.frames[0], pixels)
    assert (photo.icc, notes) == (icc, [])
    assert again(tmp_path / "a.bmp")[1] == ["the colour profile was left out"]
