"""Colours: profiles of CMYK and grey, premultiplied alpha, linear light."""

import io
import struct
from dataclasses import replace

import numpy as np
from PIL import Image

from .photo import Photo, colours_of, in_colour, in_grey
from .ranges import checked, without_defects

# The curve of SMPTE ST 2084, with reference white at 203 of its 10000 candelas (ITU-R BT.2408).
PQ_M1, PQ_M2, PQ_C1, PQ_C2, PQ_C3 = 1305 / 8192, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
WHITE = 203 / 10000
# PNG chunks with the default: gamma and primaries of sRGB.
SRGB = {
    "sRGB": None,
    "gAMA": struct.pack(">I", 45455),
    "cICP": bytes((1, 13, 0, 1)),
    "cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
}


def from_cmyk(picture: Image.Image, photo: Photo) -> Image.Image:
    """Converts CMYK to RGB, with the picture's colour profile if that can be used."""
    photo.note("CMYK became RGB")
    profile, photo.icc = picture.info.get("icc_profile"), None
    return _in_srgb(picture, profile) or picture.convert("RGB")


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image | None:
    """An 8-bit image in sRGB; None if the profile cannot be used."""
    if not profile:
        return None
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return None


def space_of(icc: bytes | None) -> str:
    """The colour space of a profile, such as "RGB" or "GRAY"; "" without one."""
    return "" if icc is None else icc[16:20].decode("ascii", "replace").strip()


def is_srgb(icc: bytes) -> bool:
    """Whether a profile is sRGB, or cannot be used."""
    from PIL import ImageCms

    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc)))
    except (ImageCms.PyCMSError, OSError):
        return True
    return "srgb" in name.lower()


def to_srgb_profile(photo: Photo) -> Photo | None:
    """Converts a picture from its RGB profile to sRGB; None if that is not possible."""
    if photo.icc is None or space_of(photo.icc) != "RGB" or any(in_grey(frame) for frame in photo.frames):
        return None
    frames = []
    for frame in photo.frames:
        result = frame.copy()
        converted = _converted(np.ascontiguousarray(frame[..., :3]), photo.icc)
        if converted is None:
            return None
        result[..., :3] = converted
        frames.append(result)
    return replace(photo, frames=frames, icc=None)


def _converted(colours: np.ndarray, icc: bytes) -> np.ndarray | None:
    if colours.dtype == np.uint8:
        image = _in_srgb(Image.fromarray(colours), icc)
        return None if image is None else np.asarray(image)
    from PIL import ImageCms

    try:
        from imagecodecs import cms_transform

        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        converted = np.asarray(cms_transform(colours, icc, srgb, colorspace="rgb", outcolorspace="rgb"))
    except (ImportError, RuntimeError, ValueError):
        return None
    return converted.clip(0, 1) if converted.dtype.kind == "f" else converted


def unlike_srgb(signal: dict[str, bytes]) -> bool:
    """Whether `Photo.signal` describes other colours than sRGB."""
    return any(SRGB.get(name, b"") not in (None, data) for name, data in signal.items())


def grey_to_srgb(photo: Photo) -> Photo:
    """Converts a grey picture with a grey profile to sRGB, for a format without grey."""
    frames = []
    for frame in photo.frames:
        colour = in_colour(frame)
        # A grey profile is a single curve, so it is applied to all possible values at once.
        white = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 1
        converted = _in_srgb(Image.fromarray(np.arange(256, dtype=np.uint8)[None]), photo.icc)
        if converted is not None:
            curve = np.asarray(converted)[0, :, 1] / 255
            colours = np.interp(colour[..., :3] / white, np.linspace(0, 1, 256), curve) * white
            colour[..., :3] = colours.round() if frame.dtype.kind == "u" else colours
        frames.append(colour)
    return replace(photo, frames=frames, icc=None)


def divided(frame: np.ndarray) -> np.ndarray:
    """Converts premultiplied ("associated") alpha to unassociated alpha."""
    white = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 1
    colours, alpha = frame[..., :-1].astype(np.float64), frame[..., -1:].astype(np.float64)
    # Colour with an alpha of 0, such as the light of a flame, stays.
    colours = np.divide(colours * white, alpha, out=colours, where=alpha > 0)
    colours = colours.round().clip(0, white) if frame.dtype.kind == "u" else colours
    return np.concatenate([colours.astype(frame.dtype), frame[..., -1:]], -1)


def multiplied(frame: np.ndarray) -> np.ndarray:
    """The inverse of `divided`, for floating point."""
    alpha = frame[..., -1:]
    return np.concatenate([frame[..., :-1] * np.where(alpha > 0, alpha, 1), alpha], -1)


def values_of(photo: Photo, frame: np.ndarray) -> np.ndarray:
    """Converts a floating-point frame back to the range of the file; alpha stays."""
    values = frame.astype(np.float32, copy=True)
    colours = colours_of(values)
    if photo.peak is not None:
        colours[...] = light_of(colours, photo.peak)
    else:
        low, span = photo.scale
        colours[...] = colours * span + low
    return values


def from_light(photo: Photo, name: str) -> Photo:
    """Converts frames of linear light (1 is white) to perceptually uniform codes."""
    checked(photo, name)
    # Light beyond this is scaled, so a single such value would compress all others.
    photo.frames = without_defects(photo, photo.frames, 1 / WHITE)
    light = [colours_of(frame) for frame in photo.frames]
    if min(float(each.min()) for each in light) < 0:
        photo.note("light below 0 became 0")
    photo.peak = max(1.0, *(float(each.max()) for each in light))
    frames = []
    for frame in photo.frames:
        coded = frame.astype(np.float32, copy=True)
        colours = colours_of(coded)
        colours[...] = codes_of(colours, photo.peak)
        frames.append(coded.clip(0, 1))
    photo.frames = frames
    return photo


def codes_of(light: np.ndarray, peak: float) -> np.ndarray:
    """Codes in [0, 1] of light in [0, peak], by the curve of ST 2084; if the peak exceeds its limit of 49 times white,
    light is scaled."""
    power = (np.clip(light, 0, None).astype(np.float64) * _candelas(peak)) ** PQ_M1
    return ((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power)) ** PQ_M2 / _top(peak)


def light_of(codes: np.ndarray, peak: float) -> np.ndarray:
    """The light of codes; the inverse of `codes_of`."""
    root = (codes.astype(np.float64) * _top(peak)) ** (1 / PQ_M2)
    power = np.clip(root - PQ_C1, 0, None) / (PQ_C2 - PQ_C3 * root)
    return power ** (1 / PQ_M1) / _candelas(peak)


def _candelas(peak: float) -> float:
    """The share of ST 2084's 10000 candelas for light of 1: that of white, or less if the peak would exceed the
    limit."""
    return min(WHITE, 1 / peak)


def _top(peak: float) -> float:
    """The ST 2084 code of the peak, which is scaled to 1."""
    power = (peak * _candelas(peak)) ** PQ_M1
    return float(((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power)) ** PQ_M2)


def shown(photo: Photo) -> Photo:
    """Converts a picture of linear light for display: sRGB, floating point, clipped at white."""
    if photo.peak is None:
        return photo
    frames = []
    for frame in photo.frames:
        values = values_of(photo, frame)
        colours = colours_of(values)
        colours[...] = to_srgb(colours.clip(0, 1))
        frames.append(values)
    result = replace(photo, frames=frames, peak=None)
    result.notes = photo.notes
    return result


def to_srgb(light: np.ndarray) -> np.ndarray:
    """Converts light in [0, 1] to sRGB codes."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def from_srgb(codes: np.ndarray) -> np.ndarray:
    """Converts sRGB codes to light."""
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
