"""Files of other programs and libraries, and our files read by them."""

import importlib.util
import io
import sys

import imagecodecs
import numpy as np
import OpenEXR
import pillow_heif
import pillow_jxl
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from conftest import textured
from lnca import LncaError
from lnca.images.colours import codes_of, light_of, values_of
from lnca.images.containers import box, boxes
from lnca.images.exif import X_RESOLUTION
from lnca.images.formats import BY_NAME
from lnca.images.formats.jxl_header import SRGB, read_header
from lnca.images.photo import Photo
from lnca.images.reading import open_photo, read_photo
from lnca.images.writing import save_photo, write_photo

MAKE = 0x010F
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(**more):
    made = Image.Exif()
    made[MAKE] = "Camera"
    for tag, value in more.items():
        made[int(tag[1:])] = value
    return made


def noise(*shape, dtype=np.uint8, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def written(photo, kind):
    room = io.BytesIO()
    return write_photo(photo, room, kind, "the picture"), room.getvalue()


def read(content, name="a"):
    return read_photo(io.BytesIO(content), name)


# HEIC and AVIF.


def heic(*frames, **options):
    made = pillow_heif.HeifFile()
    for frame in frames:
        mode = {2: "L", 3: "RGB"}[frame.ndim] + (";16" if frame.dtype == np.uint16 else "")
        made.add_frombytes(mode, frame.shape[1::-1], frame.tobytes())
    room = io.BytesIO()
    made.save(room, **options)
    return room.getvalue()


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_heic_is_read_and_written_with_all_it_has(bits):
    deep = np.asarray(textured(64, 48)).astype(np.uint16) * 257
    content = heic(deep, quality=-1, bit_depth=bits, chroma=444, exif=exif().tobytes(), xmp=XMP)
    photo = read(content)
    assert photo.frames[0].dtype == np.uint16
    assert np.abs(photo.frames[0].astype(int) - deep).mean() < 0.004 * 65535
    assert photo.frames[0].max() <= 65535
    notes, again = written(photo, "HEIC")
    assert notes == ["16 bits became 12"]
    result = pillow_heif.open_heif(again, convert_hdr_to_8bit=False)
    assert result.info["bit_depth"] == 12
    assert result.info["xmp"] == XMP
    assert read(again).exif[MAKE] == "Camera"
    assert np.abs(read(again).frames[0].astype(int) - deep).mean() < 0.006 * 65535


def test_a_heic_of_several_pictures_keeps_them_all():
    frames = [np.asarray(textured(64, 48)), np.asarray(textured(40, 32, 1))]
    photo = read(heic(*frames, quality=95))
    assert [frame.shape for frame in photo.frames] == [(48, 64, 3), (32, 40, 3)]
    notes, again = written(photo, "HEIC")
    assert notes == []
    assert [image.size for image in pillow_heif.open_heif(again)] == [(64, 48), (40, 32)]
    with pytest.raises(LncaError, match="the limit is 0 million"):
        read_photo(io.BytesIO(again), "a", 64 * 48)


def test_sampling_and_colours_of_heic_stay():
    picture = np.asarray(textured(64, 48))
    told = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6, "full_range_flag": 1}
    for chroma in (420, 444):
        photo = read(heic(picture, quality=95, chroma=chroma, **told))
        assert photo.signal == {"cICP": bytes((12, 13, 0, 1))}
        again = pillow_heif.open_heif(written(photo, "HEIC")[1])
        assert again.info["chroma"] == chroma
        assert again.info["nclx_profile"]["color_primaries"] == 12
    assert "what PNG says of its colours was left out" in written(photo, "JPEG")[0]
    assert read(written(photo, "PNG")[1]).signal == photo.signal


def test_orientation_of_heic_is_applied_once():
    picture = np.asarray(textured(64, 48))
    room = io.BytesIO()
    pillow_heif.register_heif_opener()
    Image.fromarray(picture).save(room, "HEIF", quality=95, exif=exif(_274=6).tobytes())
    photo = read(room.getvalue())
    assert photo.frames[0].shape == (64, 48, 3)
    assert np.abs(photo.frames[0].astype(int) - np.rot90(picture, -1)).mean() < 10
    with Image.open(io.BytesIO(written(photo, "PNG")[1])) as again:
        assert again.size == (48, 64)
        assert 274 not in again.getexif()


@pytest.mark.parametrize(("bits", "orientation"), [(8, 1), (10, 1), (12, 6)])
def test_avif_of_any_depth_is_read(bits, orientation):
    picture = np.asarray(textured(64, 48))
    if bits == 8:
        room = io.BytesIO()
        Image.fromarray(picture).save(
            room, "AVIF", quality=95, subsampling="4:4:4", exif=exif(_274=orientation), xmp=XMP
        )
        content = room.getvalue()
    else:
        values = np.round(picture / 255 * (2**bits - 1)).astype(np.uint16)
        content = imagecodecs.avif_encode(values, level=98, bitspersample=bits)
    photo = read(content)
    assert photo.frames[0].dtype == (np.uint8 if bits == 8 else np.uint16)
    white = np.iinfo(photo.frames[0].dtype).max
    assert np.abs(photo.frames[0] / white - picture / 255).mean() < 0.02
    notes, again = written(photo, "AVIF")
    assert notes == (["16 bits became 8"] if bits > 8 else [])
    if bits == 8:
        assert (read(again).exif[MAKE], read(again).xmp) == ("Camera", XMP)
        assert read(again).sampling == "4:4:4"


def test_an_animated_avif_keeps_its_frames_and_times():
    first, *rest = (Image.fromarray(noise(32, 48, 3, seed=n) // 2) for n in range(3))
    room = io.BytesIO()
    first.save(room, "AVIF", save_all=True, append_images=rest, duration=[100, 200, 300])
    photo = read(room.getvalue())
    assert (len(photo.frames), photo.durations, photo.loop) == (3, [100, 200, 300], 0)
    again = read(written(photo, "AVIF")[1])
    assert (len(again.frames), again.durations) == (3, [100, 200, 300])


# JPEG XL.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl_of_others(dtype, container):
    pixels = noise(24, 40, 3, dtype=np.uint16)
    pixels = (pixels / 65535).astype(np.float32) if dtype == np.float32 else pixels.astype(dtype)
    photo = read(bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, usecontainer=container)))
    assert photo.icc is None
    if dtype == np.uint8:
        assert np.array_equal(photo.frames[0], pixels)
    else:
        # The library marks these as linear light.
        full = 1 if dtype == np.float32 else 65535
        np.testing.assert_allclose(values_of(photo, photo.frames[0]), pixels / full, atol=1e-5)
    with pytest.raises(LncaError, match="the limit is 0 million"):
        read_photo(io.BytesIO(bytes(imagecodecs.jpegxl_encode(pixels, lossless=True))), "a", 24 * 40 - 1)


@pytest.mark.parametrize("packed", [False, True])
def test_exif_and_xmp_of_jpeg_xl_by_its_plugin(packed):
    room = io.BytesIO()
    Image.fromarray(noise(24, 40, 3)).save(
        room, "JXL", lossless=True, exif=exif().tobytes(), xmp=XMP, use_container=True, compress_metadata=packed
    )
    photo = read(room.getvalue())
    assert (photo.exif[MAKE], photo.xmp) == ("Camera", XMP)
    notes, again = written(photo, "JXL")
    assert notes == []
    with Image.open(io.BytesIO(again)) as picture:
        assert picture.getexif()[MAKE] == "Camera"
        assert np.array_equal(np.array(picture), photo.frames[0])
    assert pillow_jxl.Decoder(num_threads=1)(again)[1].width == 40


def test_the_size_in_a_head_of_jpeg_xl():
    for width, height in ((8, 8), (256, 256), (40, 24), (64, 48), (1000, 37), (300, 8), (24, 16), (160, 90)):
        content = imagecodecs.jpegxl_encode(np.zeros((height, width), np.uint8), usecontainer=False)
        assert read_header(bytes(content))[:2] == (width, height)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_deep_pictures_are_written_as_srgb(dtype, channels):
    pixels = (noise(16, 24, channels, dtype=np.uint16) / (1 if dtype == np.uint16 else 65535)).astype(dtype)
    _, content = written(Photo([pixels[..., 0] if channels == 1 else pixels]), "JXL")
    (stream,) = (each.data for each in boxes(content) if each.kind == b"jxlc")
    assert read_header(stream).transfer == SRGB
    icc = pillow_jxl.Decoder(num_threads=1)(content)[3]
    name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))).strip()
    assert name in ("sRGB", "Gra_D65_Rel_SRG")
    assert np.array_equal(imagecodecs.jpegxl_decode(content).reshape(pixels.shape), pixels)


# JPEG 2000.


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_2000_of_any_depth(bits, channels):
    values = noise(24, 40, channels, dtype=np.uint16) >> (16 - bits)
    values = values[..., 0] if channels == 1 else values
    values = values.astype(np.uint8) if bits == 8 else values
    content = bytes(imagecodecs.jpeg2k_encode(values, level=0, bitspersample=bits, reversible=True, codecformat="jp2"))
    photo = read(content)
    white = np.iinfo(photo.frames[0].dtype).max
    np.testing.assert_allclose(photo.frames[0] / white, values / (2**bits - 1), atol=1e-4)
    notes, again = written(photo, "JP2")
    assert notes == []
    assert np.array_equal(imagecodecs.jpeg2k_decode(again), photo.frames[0])


def test_what_lies_in_the_boxes_of_jpeg_2000():
    photo = Photo([noise(24, 40, 3)], exif(_282=300.0, _283=200.0, _296=2), XMP, ICC)
    notes, content = written(photo, "JP2")
    assert notes == []
    again = read(content)
    assert (again.exif[MAKE], again.xmp, again.icc) == ("Camera", XMP, ICC)
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.info["dpi"] == pytest.approx((300, 200), rel=0.001)
        assert np.array_equal(np.array(picture), photo.frames[0])
    assert read(content + box(b"asoc", b"rest")).notes == ["the box asoc was left out"]


# OpenEXR and Radiance.


def exr(channels, **header):
    room = io.BytesIO()
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}, channels).write(
        room
    )
    return room.getvalue()


def light(*shape, brightest=40.0, dtype=np.float32):
    values = np.random.default_rng(0).random(shape) ** 3 * brightest
    values.flat[0] = brightest
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("brightest", [0.5, 40.0, 6000.0])
def test_light_of_openexr_comes_back(dtype, channels, brightest):
    values = light(24, 40, channels, brightest=brightest, dtype=dtype)
    if channels == 4:
        values[..., 3] = np.linspace(0, 1, 40)
    name = {1: "Y", 3: "RGB", 4: "RGBA"}[channels]
    photo = read(exr({name: values[..., 0].copy() if channels == 1 else values}))
    for frame in photo.frames:
        assert frame.dtype == np.float32
        assert frame.min() >= 0
        assert frame.max() <= 1
    notes, content = written(photo, "EXR")
    assert notes == []
    again = OpenEXR.File(io.BytesIO(content)).channels()[name].pixels
    assert again.dtype == dtype
    np.testing.assert_allclose(again.reshape(values.shape), values, rtol=2e-3, atol=1e-3 * brightest / 40)


def test_codes_of_light_differ_as_it_is_seen():
    for peak in (1.0, 40.0, 49.0, 6000.0):
        values = np.linspace(0, peak, 1000)
        codes = codes_of(values, peak)
        assert codes[0] == pytest.approx(0, abs=1e-5)
        assert codes[-1] == pytest.approx(1)
        assert (np.diff(codes) > 0).all()
        np.testing.assert_allclose(light_of(codes, peak), values, rtol=1e-6, atol=1e-9 * peak)
    # A grey card has a medium code, and a much brighter lamp does not change that.
    assert 0.3 < codes_of(np.array(0.18), 1.0) < 0.8
    assert codes_of(np.array(0.18), 40.0) > 0.3


def test_channels_and_attributes_of_openexr_are_kept_or_said():
    depth, mask = light(24, 40), noise(24, 40).astype(np.uint32)
    content = exr(
        {"RGB": light(24, 40, 3), "Z": depth, "mask": mask},
        comments="words",
        owner="me",
        displayWindow=(np.array([0, 0], np.int32), np.array([99, 79], np.int32)),
        dataWindow=(np.array([10, 20], np.int32), np.array([49, 43], np.int32)),
    )
    photo = read(content)
    notes, again = written(photo, "EXR")
    assert notes == []
    found = OpenEXR.File(io.BytesIO(again))
    assert np.array_equal(found.channels()["Z"].pixels, depth)
    assert np.array_equal(found.channels()["mask"].pixels, mask)
    header = found.header()
    assert (header["comments"], header["owner"]) == ("words", "me")
    assert np.array_equal(np.asarray(header["dataWindow"]), [[10, 20], [49, 43]])
    assert written(photo, "PNG")[0] == [
        "light beyond white was cut off",
        "floating point became 16 bits",
        "channels of OpenEXR that are no colours and attributes of OpenEXR were left out",
    ]


def test_openexr_that_is_refused_or_said():
    with pytest.raises(LncaError, match="has channels Z, and no R, G and B or Y"):
        read(exr({"Z": light(24, 40)}))
    with pytest.raises(LncaError, match="holds NaN or infinite"):
        read(exr({"RGB": np.full((24, 40, 3), np.inf, np.float32)}))
    parts = [OpenEXR.Part({"type": OpenEXR.scanlineimage}, {"RGB": light(24, 40, 3)}, name) for name in ("one", "two")]
    room = io.BytesIO()
    OpenEXR.File(parts).write(room)
    assert "only the first part of OpenEXR is read" in read(room.getvalue()).notes
    with pytest.raises(LncaError, match="broken or truncated"):
        read(exr({"RGB": light(24, 40, 3)})[:700])


def test_light_is_shown_as_srgb_in_other_formats():
    grey = np.full((24, 40, 3), 0.18, np.float32)
    photo = read(exr({"RGB": grey}))
    assert abs(int(read(written(photo, "PNG")[1]).frames[0][0, 0, 0]) - 0.4613 * 65535) < 70
    assert tifffile.imread(io.BytesIO(written(photo, "TIFF")[1]))[0, 0, 0] == pytest.approx(0.18, rel=1e-4)


def test_radiance_keeps_its_light_and_its_header():
    values = light(24, 40, 3)
    values[5, 5] = 0
    content = bytes(imagecodecs.rgbe_encode(values, header=True))
    content = content.replace(b"\n\n", b"\nEXPOSURE=0.5\n# words\n\n", 1)
    photo = read(content)
    np.testing.assert_allclose(values_of(photo, photo.frames[0]), values, rtol=0.02, atol=0.01 * values.max(-1).max())
    notes, again = written(photo, "HDR")
    assert notes == []
    assert b"EXPOSURE=0.5\n# words\n" in again
    np.testing.assert_allclose(imagecodecs.rgbe_decode(again), imagecodecs.rgbe_decode(content), rtol=1e-6)
    assert written(photo, "EXR")[0] == ["lines in the header of Radiance HDR were left out"]
    with pytest.raises(LncaError, match="another way round"):
        read(content.replace(b"-Y 24", b"+Y 24"))
    with pytest.raises(LncaError, match="its header has no size"):
        read(content[:20])


# Netpbm and TGA.


def test_netpbm_of_others(tmp_path):
    grey, colour = noise(16, 24), noise(16, 24, 3)
    for kind, image in (("L", grey), ("RGB", colour)):
        room = io.BytesIO()
        Image.fromarray(image).save(room, "PPM")
        assert np.array_equal(read(room.getvalue()).frames[0], image), kind
    bits = Image.fromarray(grey).convert("1", dither=Image.Dither.NONE)
    bits.save(tmp_path / "a.pbm")
    assert np.array_equal(open_photo(tmp_path / "a.pbm").frames[0], np.array(bits.convert("L")))
    digits = b"P2\n# words\n24 16\n1023\n" + b" ".join(b"%d" % (value * 4) for value in grey.ravel().astype(int))
    photo = read(digits)
    assert photo.comments == {"Comment": "words"}
    assert photo.notes == ["values up to 1023 became 16 bits"]
    np.testing.assert_allclose(photo.frames[0] / 65535, grey.astype(int) * 4 / 1023, atol=1e-4)
    deep = noise(16, 24, 3, dtype=np.uint16)
    room = b"P6\n24 16\n65535\n" + deep.astype(">u2").tobytes()
    assert np.array_equal(read(room).frames[0], deep)
    floats = (grey / 255).astype(np.float32)
    Image.fromarray(floats).save(tmp_path / "a.pfm")
    assert np.array_equal(open_photo(tmp_path / "a.pfm").frames[0], floats)
    save_photo(Photo([floats]), tmp_path / "b.pfm")
    with Image.open(tmp_path / "b.pfm") as again:
        assert np.array_equal(np.array(again), floats)


def test_netpbm_pictures_that_follow_each_other():
    frames = [noise(16, 24, 3), noise(8, 9, 3, dtype=np.uint16), noise(16, 24), noise(10, 9, 4)]
    notes, content = written(Photo(frames), "PNM")
    assert notes == []
    assert all(np.array_equal(a, b) for a, b in zip(read(content).frames, frames, strict=True))
    with pytest.raises(LncaError, match="too few pixels"):
        read(content[:-1])
    assert read(content + b"rest").notes == ["data behind the picture were left out"]
    with pytest.raises(LncaError, match="the limit is 0 million"):
        read_photo(io.BytesIO(content), "a", 16 * 24 + 8 * 9)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("compression", [None, "tga_rle"])
def test_tga_of_others(tmp_path, mode, compression):
    picture = textured(24, 16).convert("RGBA").convert(mode) if mode != "P" else textured(24, 16).quantize(32)
    picture.save(tmp_path / "a.tga", compression=compression, id_section=b"words")
    photo = open_photo(tmp_path / "a.tga")
    wanted = np.array(picture.convert("RGB") if mode == "P" else picture)
    assert np.array_equal(photo.frames[0], wanted)
    assert photo.comments == {"Comment": "words"}
    assert save_photo(photo, tmp_path / "b.tga") == []
    with Image.open(tmp_path / "b.tga") as again:
        assert np.array_equal(np.array(again), wanted)


# Raw files of phones, and files that are not read.


def test_a_linear_dng_of_a_telephone_is_developed(tmp_path):
    pixels = np.asarray(textured(64, 48)).astype(np.uint16) * 257
    tags = [
        (MAKE, 2, 0, "Phone", True),
        (50706, 1, 4, bytes((1, 4, 0, 0)), True),
        (50708, 2, 0, "Phone", True),
        (50717, 4, 3, (65535,) * 3, True),
        (50721, 10, 9, [1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1], True),
        (50728, 5, 3, (1, 1) * 3, True),
        (50778, 3, 1, 21, True),
        (700, 1, len(XMP), XMP, True),
    ]
    tifffile.imwrite(
        tmp_path / "a.dng", pixels, photometric=34892, metadata=None, extratags=tags, planarconfig="contig"
    )
    photo = open_photo(tmp_path / "a.dng")
    assert (photo.frames[0].shape, photo.frames[0].dtype) == ((48, 64, 3), np.uint16)
    assert (photo.exif[MAKE], photo.xmp) == ("Phone", XMP)
    assert "the raw data were developed; what is told of the sensor was left out" in photo.notes


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"%PDF-1.7 and more", "is a PDF document"),
        (b"8BPS\0\1", "is a Photoshop document"),
        (b"\xef\xbb\xbf  <svg xmlns=''>", r"is a drawing \(SVG\)"),
        (b"\0\0\0\x18ftypisom\0\0\2\0", "is a film"),
        (b"SIMPLE  =      T", "is a FITS file"),
        (b"qoif\0\0", "is a QOI picture"),
        (b"plain words", "is not a picture in a format that is known here"),
    ],
)
def test_what_is_not_read_is_called_by_its_name(content, sentence):
    with pytest.raises(LncaError, match=sentence):
        read(content.ljust(80))


@pytest.mark.parametrize(
    ("kind", "module", "sentence"),
    [
        ("HEIC", "pillow_heif", "HEIC pictures need pillow_heif"),
        ("JXL", "imagecodecs", "JPEG XL pictures need imagecodecs"),
        ("JXL", "pillow_jxl", "JPEG XL pictures need pillow_jxl"),
        ("EXR", "OpenEXR", "OpenEXR pictures need OpenEXR"),
        ("HDR", "imagecodecs", "Radiance HDR pictures need imagecodecs"),
        ("PNM", "netpbmfile", "need netpbmfile"),
        ("PFM", "netpbmfile", "need netpbmfile"),
    ],
)
def test_a_format_asks_for_its_library_in_a_sentence(monkeypatch, kind, module, sentence):
    pixels = np.zeros((16, 16, 3), np.float32) if kind in ("EXR", "HDR", "PFM") else np.zeros((16, 16, 3), np.uint8)
    _, content = written(Photo([pixels]), kind)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LncaError, match=rf"{sentence}.*pip install 'lnca\[io\]'"):
        read(content)
    suffix = BY_NAME[kind].suffixes[0]
    if module != "pillow_jxl" and kind not in ("PNM", "PFM"):
        with pytest.raises(LncaError, match=sentence):
            write_photo(Photo([pixels]), io.BytesIO(), kind, f"a{suffix}")


def test_8_bits_of_avif_and_jpeg_2000_are_read_without_more(monkeypatch):
    photo = Photo([np.asarray(textured(24, 16))])
    contents = [written(photo, kind)[1] for kind in ("AVIF", "JP2")]
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    assert all(read(content).frames[0].shape == (16, 24, 3) for content in contents)


def test_channels_that_nobody_calls_alpha_are_refused(tmp_path):
    four = noise(16, 24, 4)
    for content in (
        bytes(imagecodecs.jpeg2k_encode(four, level=0, codecformat="jp2")),
        bytes(imagecodecs.jpeg2k_encode(four, level=0, codecformat="j2k")),
        b"P7\nWIDTH 24\nHEIGHT 16\nDEPTH 4\nMAXVAL 255\nTUPLTYPE MULTI\nENDHDR\n" + four.tobytes(),
    ):
        with pytest.raises(LncaError, match="has 4 channels, and does not say that what is beyond RGB is alpha"):
            read(content)
    room = io.BytesIO()
    Image.fromarray(four).save(room, "TGA")
    content = bytearray(room.getvalue())
    content[17] &= 0xF0
    photo = read(bytes(content))
    assert photo.notes == ["the fourth channel, which is not said to be alpha, was left out"]
    assert np.array_equal(photo.frames[0], four[..., :3])


def test_alpha_of_jpeg_2000_is_said_to_be_alpha():
    frame = noise(16, 24, 4)
    with Image.open(io.BytesIO(written(Photo([frame]), "JP2")[1])) as picture:
        assert picture.mode == "RGBA"
        assert np.array_equal(np.array(picture), frame)
    room = io.BytesIO()
    Image.fromarray(frame).save(room, "JPEG2000")
    assert np.array_equal(read(room.getvalue()).frames[0], frame)


def test_exif_in_a_text_of_png_turns_a_picture_once(tmp_path):
    """Old versions of ImageMagick write such texts."""
    content = exif(_274=6).tobytes()
    text = f"\nexif\n{len(content):8}\n{content.hex()}\n"
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", text, zip=True)
    Image.fromarray(noise(16, 24, 3)).save(tmp_path / "a.png", pnginfo=info)
    photo = open_photo(tmp_path / "a.png")
    assert (photo.frames[0].shape, photo.exif[MAKE], photo.comments) == ((24, 16, 3), "Camera", {})
    again = read(written(photo, "PNG")[1])
    assert (again.frames[0].shape, again.exif[MAKE]) == ((24, 16, 3), "Camera")


def test_a_plain_picture_of_imagej_needs_no_library(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", noise(16, 24), imagej=True)
    tifffile.imwrite(tmp_path / "b.tif", noise(5, 16, 24), imagej=True, truncate=True)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert len(open_photo(tmp_path / "a.tif").frames) == 1
    with pytest.raises(LncaError, match="series of pictures in TIFF need tifffile"):
        open_photo(tmp_path / "b.tif")


def test_a_file_is_what_its_first_bytes_say(tmp_path):
    for kind in ("PNG", "WEBP", "TIFF", "HEIC", "JXL", "EXR"):
        (tmp_path / "a.jpg").write_bytes(written(Photo([np.asarray(textured(24, 16))]), kind)[1])
        assert open_photo(tmp_path / "a.jpg").kind == kind


@pytest.mark.parametrize("kind", ["HEIC", "AVIF", "JXL", "JP2", "EXR", "HDR", "PNM", "PFM", "TGA"])
def test_broken_files_of_every_format_are_said_to_be(kind):
    _, content = written(Photo([noise(16, 24, 3)]), kind)
    for end in (30, len(content) // 2, len(content) - 40):
        with pytest.raises(LncaError):
            read(content[:end], f"a{BY_NAME[kind].suffixes[0]}")


def test_resolution_of_a_head_without_exif_goes_on(tmp_path):
    Image.fromarray(noise(16, 24, 3)).save(tmp_path / "a.png", dpi=(300, 300))
    again = read(written(open_photo(tmp_path / "a.png"), "HEIC")[1])
    assert float(again.exif[X_RESOLUTION]) == pytest.approx(300, abs=0.1)


def test_sizes_that_lie_are_checked_where_they_count():
    """A small file must not use much memory."""
    content = bytearray(imagecodecs.jpeg2k_encode(noise(16, 24, 3), level=0, codecformat="jp2"))
    at = content.index(b"\xff\x4f\xff\x51")
    content[at + 8 : at + 16] = (60000).to_bytes(4, "big") * 2
    with pytest.raises(LncaError, match="has 3600 million pixels"):
        read(bytes(content))
    window = (np.array([0, 0], np.int32), np.array([399, 239], np.int32))
    parts = [
        OpenEXR.Part({"type": OpenEXR.scanlineimage, "displayWindow": window}, {"RGB": light(*shape, 3)}, name)
        for shape, name in (((24, 40), "one"), ((240, 400), "two"))
    ]
    room = io.BytesIO()
    OpenEXR.File(parts).write(room)
    with pytest.raises(LncaError, match="the limit is 0 million"):
        read_photo(io.BytesIO(room.getvalue()), "a", 24 * 40 * 2)
