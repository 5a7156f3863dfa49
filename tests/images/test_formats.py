"""Every format's record is true: the parts that it keeps survive writing and reading, and lost parts are reported."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from lnca import LncaError
from lnca.images.colours import shown as for_display
from lnca.images.colours import values_of
from lnca.images.exif import EXPOSURE, GEO_TAGS, RESOLUTION, X_RESOLUTION
from lnca.images.formats import ALL, BY_NAME, FORMATS, Part
from lnca.images.formats.record import BESIDE, WITHIN
from lnca.images.photo import SOFTWARE, Photo
from lnca.images.reading import read_photo
from lnca.images.writing import write_photo

MAKE, EXPOSURE_TIME = 0x010F, 0x829A
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
IPTC = b"8BIM\x04\x04\0\0\0\0\0\x0c\x1c\x02\x78\0\x07caption\0"
CHROMATICITIES = bytes(range(32))
WRITTEN = [each for each in ALL if each.write is not None]


def smooth(channels=3, dtype=np.uint8, seed=0):
    """Smooth colours, which a lossy format keeps well."""
    small = np.random.default_rng(seed).integers(20, 236, (4, 5, 3), np.uint8)
    image = np.asarray(Image.fromarray(small).resize((40, 32), Image.Resampling.BICUBIC))
    array = image if channels == 3 else image[..., :1] if channels == 1 else np.concatenate([image, image[..., :1]], -1)
    if dtype == np.uint16:
        return array.astype(np.uint16) * 257 - np.arange(40, dtype=np.uint16)[:, None]
    return (array / 255).astype(np.float32) if dtype == np.float32 else array


def with_part(part):
    """A picture with one further part beside 8-bit colours."""
    photo = Photo([smooth()])
    match part:
        case Part.DEEP:
            photo.frames = [smooth(dtype=np.uint16)]
        case Part.FLOAT:
            photo.frames = [smooth(dtype=np.float32)]
        case Part.ALPHA:
            photo.frames = [smooth(4)]
            photo.frames[0][:16, :, 3] = 0
            photo.frames[0][16:, :, 3] = 255
        case Part.PAGES:
            photo.frames = [smooth(), smooth(seed=1)]
        case Part.ANIMATION:
            photo.frames, photo.durations, photo.loop = [smooth(), smooth(seed=1)], [100, 200], 0
        case Part.EXIF:
            photo.exif[MAKE] = "Camera"
            photo.exif.get_ifd(EXPOSURE)[EXPOSURE_TIME] = 0.25
        case Part.XMP:
            photo.xmp = XMP
        case Part.ICC:
            photo.icc = ICC
        case Part.IPTC:
            photo.iptc = IPTC
        case Part.RESOLUTION:
            for tag, value in zip(RESOLUTION, (300.0, 250.0, 2), strict=True):
                photo.exif[tag] = value
        case Part.COMMENTS:
            photo.comments = {"Comment": "words"}
        case Part.SIGNAL:
            photo.signal = {"cHRM": CHROMATICITIES}
        case Part.GEO:
            photo.exif[GEO_TAGS[0]] = (10.0, 10.0, 0.0)
    return photo


def kept(part, before, after):
    if not (BESIDE | WITHIN | {Part.SIGNAL: lambda photo: bool(photo.signal)})[part](after):
        return False
    match part:
        case Part.EXIF:
            return after.exif[MAKE] == "Camera" and float(after.exif.get_ifd(EXPOSURE)[EXPOSURE_TIME]) == 0.25
        case Part.RESOLUTION:
            return [float(after.exif[tag]) for tag in RESOLUTION[:2]] == pytest.approx([300, 250], abs=0.1)
        case Part.GEO:
            return after.exif[GEO_TAGS[0]] == (10, 10, 0)
        case Part.ALPHA:
            return np.array_equal(after.frames[0][..., 3] > 0, before.frames[0][..., 3] > 0)
        case Part.ANIMATION:
            return (after.durations, after.loop) == (before.durations, before.loop)
        case Part.PAGES:
            return len(after.frames) == 2
        case Part.DEEP | Part.FLOAT:
            return after.frames[0].dtype == before.frames[0].dtype
    name = {Part.XMP: "xmp", Part.ICC: "icc", Part.IPTC: "iptc", Part.COMMENTS: "comments", Part.SIGNAL: "signal"}[part]
    return getattr(before, name) == getattr(after, name)


def round_trip(photo, fmt):
    room = io.BytesIO()
    notes = write_photo(photo, room, fmt.name, "the picture")
    return notes, read_photo(io.BytesIO(room.getvalue()), f"a{fmt.suffixes[0]}")


@pytest.mark.parametrize("part", Part, ids=lambda part: part.name.lower())
@pytest.mark.parametrize("fmt", WRITTEN, ids=lambda fmt: fmt.name)
def test_a_format_keeps_what_it_says_it_keeps_and_tells_the_rest(fmt, part):
    photo = with_part(part)
    if part in (Part.PAGES, Part.ANIMATION) and not fmt.keeps & {Part.PAGES, Part.ANIMATION}:
        with pytest.raises(LncaError, match="has room for one frame"):
            round_trip(photo, fmt)
        return
    notes, after = round_trip(photo, fmt)
    assert after.kind == fmt.name
    assert kept(part, photo, after) == (part in fmt.keeps)
    # Floating point can hold these values.
    if part is Part.DEEP and fmt.any_values:
        assert not any("16 bits" in note for note in notes)
    elif part not in fmt.keeps:
        assert any(part.value in note or WORDS.get(part, "-") in note for note in notes), notes
    else:
        assert all("left out" not in note for note in notes)
    for before, restored in zip(photo.frames, after.frames, strict=True):
        white = 1 if restored.dtype.kind == "f" else np.iinfo(restored.dtype).max
        full = 1 if before.dtype.kind == "f" else np.iinfo(before.dtype).max
        pixels = (
            values_of(after, restored)
            if part is Part.FLOAT and fmt.any_values
            else (for_display(after).frames[0] if after.peak else restored)
        )
        difference = np.abs(pixels[..., :3] / white - before[..., :3] / full)[before[..., -1] > 0]
        assert difference.mean() < (0.03 if fmt.name == "GIF" else 0.012)


# Other words for parts that were not kept.
WORDS = {Part.DEEP: "16 bits", Part.ANIMATION: "the animation", Part.FLOAT: "floating point"}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("fmt", [each for each in WRITTEN if each.coded == "the same"], ids=lambda fmt: fmt.name)
def test_formats_that_lose_nothing_keep_every_bit(fmt, dtype, channels):
    frame = np.random.default_rng(0).integers(0, 65536, (16, 24, channels))
    frame = (
        (frame / 65535).astype(np.float32) if dtype == np.float32 else (frame % (np.iinfo(dtype).max + 1)).astype(dtype)
    )
    frame = frame[..., 0] if channels == 1 else frame
    part = {np.uint8: None, np.uint16: Part.DEEP, np.float32: Part.FLOAT}[dtype]
    if (
        not {part} - {None} <= fmt.keeps
        or (channels in (2, 4) and Part.ALPHA not in fmt.keeps)
        or (fmt.any_values and dtype != np.float32 and fmt.name != "TIFF")
    ):
        return
    notes, after = round_trip(Photo([frame]), fmt)
    assert notes == []
    if fmt.name == "EXR":
        return
    assert after.frames[0].dtype == dtype
    assert np.array_equal(after.frames[0], frame)


def test_suffixes_belong_to_one_format_each():
    suffixes = [suffix for each in ALL for suffix in each.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert {".jpg", ".jpe", ".jfif", ".heic", ".avif", ".jxl", ".jp2", ".exr", ".hdr", ".ppm", ".pfm", ".tga"} <= set(
        FORMATS
    )
    assert BY_NAME["RAW"].write is None
    assert all(each.name not in ("RAW",) for each in WRITTEN)


@pytest.mark.parametrize("fmt", WRITTEN, ids=lambda fmt: fmt.name)
def test_a_restored_picture_says_how_it_was_made_where_there_is_room(fmt):
    photo = Photo([smooth()])
    notes, after = round_trip(photo.restored(photo.frames, "lnca model, 3 steps"), fmt)
    assert all("EXIF" not in note for note in notes)
    if Part.EXIF in fmt.keeps:
        assert after.exif[SOFTWARE] == "lnca model, 3 steps"
    assert X_RESOLUTION not in after.exif or fmt.name in ("BMP", "JPEG")
