"""HEIC, with one or several pictures, by pillow-heif."""

from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ..colours import divided
from ..containers import boxes
from ..exif import ORIENTATION, describe, is_empty, turn, without_claims, xmp_bytes
from ..photo import Photo, full_range, has_alpha, needed
from ..pillow import QUALITY, check_size, rest_of
from .record import DESCRIPTION, Format, Part

BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
BITS = 12
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
SAMPLINGS = {420: "4:2:0", 422: "4:2:2", 444: "4:4:4"}
# The value of PNG's chunk cICP that means unspecified.
UNSPECIFIED = 2


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    library = needed("pillow_heif", "HEIC pictures")
    content = rest_of(file)
    photo = Photo([], kind="HEIC")
    if any(each.kind == b"moov" for each in boxes(content)):
        photo.note("the film in the file was left out")
    found = library.open_heif(content, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    images, pixels = list(found), 0
    for image in images:
        width, height = image.size
        pixels = check_size(width, height, name, limit, pixels)
    photo.frames = [_array(image, photo) for image in images]
    first = images[found.primary_index if len(images) > 1 else 0]
    if len(images) > 1 and first is not images[0]:
        photo.note(f"picture {found.primary_index + 1}, which is shown first, is no longer marked")
    _describe(first.info, photo)
    for image in images:
        _note_others(image.info, photo)
    return photo


def _array(image: Any, photo: Photo) -> np.ndarray:
    values = np.ascontiguousarray(np.asarray(image))
    bits = int(image.info.get("bit_depth", 8))
    if bits not in (8, 16):
        photo.note(f"{bits} bits became 16")
    values = full_range(values, 2**bits - 1)
    if has_alpha(values) and image.premultiplied_alpha:
        photo.note("associated alpha became unassociated")
        values = divided(values)
    return values


def _describe(info: dict[str, Any], photo: Photo) -> None:
    photo.icc, photo.xmp = info.get("icc_profile"), xmp_bytes(info.get("xmp"))
    photo.sampling = SAMPLINGS.get(info.get("chroma", 0))
    if info.get("exif"):
        content = Image.Exif()
        content.load(info["exif"])
        orientation = content.get(ORIENTATION, 1)
        describe(photo, content)
        turn(photo.exif, orientation if isinstance(orientation, int) else 1)
    colours = info.get("nclx_profile")
    if colours:
        primaries, transfer = (int(colours[f"{what}"]) for what in ("color_primaries", "transfer_characteristics"))
        if (primaries, transfer) != (UNSPECIFIED, UNSPECIFIED):
            photo.signal["cICP"] = bytes((primaries, transfer, 0, 1))


def _note_others(info: dict[str, Any], photo: Photo) -> None:
    """Notes the parts of an image that are not read."""
    for key, what in (("depth_images", "a map of depths was left out"), ("thumbnails", "the thumbnail was left out")):
        if info.get(key):
            photo.note(what)
    if info.get("aux"):
        photo.note("further pictures, such as a gain map, were left out")
        photo.xmp = without_claims(photo.xmp)


def write(photo: Photo, file: BinaryIO) -> list[str]:
    library = needed("pillow_heif", "HEIC pictures")
    notes = []
    if any(frame.dtype == np.uint16 for frame in photo.frames):
        notes.append(f"16 bits became {BITS}")
    made = library.HeifFile()
    for frame in photo.frames:
        channels = 1 if frame.ndim == 2 else frame.shape[2]
        deep = frame.dtype == np.uint16
        mode = MODES[channels] + (";16" if deep else "")
        made.add_frombytes(mode, (frame.shape[1], frame.shape[0]), np.ascontiguousarray(frame).tobytes())
    if photo.icc:
        made[0].info["icc_profile"] = photo.icc
        made[0].info["icc_profile_type"] = "prof"
    options: dict[str, Any] = {"quality": QUALITY, "bit_depth": BITS, "chroma": _chroma(photo)}
    if "cICP" in photo.signal:
        primaries, transfer = photo.signal["cICP"][:2]
        options |= {"color_primaries": primaries, "transfer_characteristics": transfer}
        options |= {"matrix_coefficients": primaries if primaries == 9 else 6, "full_range_flag": 1}
    if not is_empty(photo.exif):
        options["exif"] = photo.exif.tobytes()
    if photo.xmp:
        options["xmp"] = photo.xmp
    made.save(file, **options)
    return notes


def _chroma(photo: Photo) -> int:
    """Chroma subsampling: that of the source if it has less than full resolution."""
    return {text: number for number, text in SAMPLINGS.items()}.get(photo.sampling or "", 444)


HEIC = Format(
    name="HEIC",
    suffixes=(".heic", ".heif", ".hif"),
    media="image/heic",
    recognise=lambda head: head[4:8] == b"ftyp" and head[8:12] in BRANDS and b"avif" not in head[8:],
    read=read,
    write=write,
    keeps=DESCRIPTION | {Part.DEEP, Part.ALPHA, Part.PAGES},
    signals=frozenset({"cICP"}),
    library="pillow-heif",
    coded="lossy, quality 95, 16 bits as 12",
    frames_differ=True,
)
