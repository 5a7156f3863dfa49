"""SID, See in the Dark (Chen et al., CVPR 2018): raw pictures with short and long exposure."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import LncaError
from ...images.limits import PIXEL_LIMIT
from ...images.pillow import check_size
from ..source import About, DataSet, FilePicture, Found, Sample, below, missing, pictures

CAMERAS = {"Sony": (".arw", ".dng", ".png", ".tif"), "Fuji": (".raf", ".dng", ".png", ".tif")}
MISALIGNED = {"10034", "10045", "10172"}
LARGEST_RATIO = 300.0
ABOUT = About(
    title="SID",
    home="https://github.com/cchen156/Learning-to-See-in-the-Dark (download_dataset.py)",
    licence="MIT",
    size="5,094 short exposures of 424 scenes of two cameras, Sony 25 GB and Fuji 52 GB",
    tree=(
        "Sony/short/00001_00_0.1s.ARW ..., Sony/long/00001_00_10s.ARW ...\n"
        "Fuji/short/00002_00_0.1s.RAF ..., Fuji/long/00002_00_10s.RAF ...\n"
        "or the same names as 8- or 16-bit .png or .tif, converted without brightening; one camera is enough"
    ),
)
NAME = re.compile(r"(?P<scene>\d{5})_\d+_(?P<seconds>\d+(\.\d+)?)s", re.ASCII)


@dataclass(frozen=True)
class RawPicture:
    """A raw file, developed by LibRaw with the camera's white balance and without automatic brightening.

    Args:
        path: ARW, RAF, DNG or any other format of LibRaw.
        gain: factor on the linear values, before gamma.
    """

    path: Path
    gain: float

    def read(self) -> np.ndarray:
        try:
            import rawpy
        except ModuleNotFoundError as error:
            raise LncaError("raw pictures need rawpy: pip install 'lnca[io]'") from error
        try:
            with rawpy.imread(str(self.path)) as raw:
                check_size(raw.sizes.iwidth, raw.sizes.iheight, str(self.path), PIXEL_LIMIT)
                return raw.postprocess(use_camera_wb=True, no_auto_bright=True, bright=self.gain, output_bps=8)
        except (rawpy.LibRawError, OSError) as error:
            raise LncaError(f"{self.path} is broken or no raw picture ({error}); get a whole copy of it") from error


@dataclass(frozen=True)
class BrightenedPicture:
    """An sRGB picture, brightened in linear light."""

    path: Path
    gain: float

    def read(self) -> np.ndarray:
        return brighten(FilePicture(self.path).read(), self.gain)


def brighten(picture: np.ndarray, gain: float) -> np.ndarray:
    """sRGB uint8 times `gain` in linear light, clipped (IEC 61966-2-1)."""
    x = np.arange(256) / 255
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4) * gain
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(encoded.clip(0, 1) * 255).astype(np.uint8)[picture]


def exposure(path: Path) -> tuple[str, float] | None:
    """Scene and seconds of a file name; None when it is not named as the set's files are."""
    match = NAME.match(path.stem)
    if match is None or not float(match["seconds"]):
        return None
    return match["scene"], float(match["seconds"])


def scan(root: Path) -> Found:
    """A pair for each short exposure, brightened by the ratio of the exposures (at most 300, as the authors do).

    Three scenes the authors found misaligned are left out. A group is a scene of a camera.
    """
    found = Found()
    present = [(name, folder) for name in CAMERAS if (folder := below(root, name)) is not None]
    if not present:
        return missing(ABOUT, root, "holds neither Sony/ nor Fuji/")
    for camera, folder in present:
        long: dict[str, tuple[Path, float]] = {}
        used: set[str] = set()
        for path in pictures(folder / "long", CAMERAS[camera]):
            key = exposure(path)
            if key is None:
                found.problems.append(f"{path} is not named <scene>_<number>_<seconds>s")
            elif key[0] not in MISALIGNED and key[0] not in long:
                long[key[0]] = (path, key[1])
        for path in pictures(folder / "short", CAMERAS[camera]):
            key = exposure(path)
            if key is None:
                found.problems.append(f"{path} is not named <scene>_<number>_<seconds>s")
            elif key[0] in MISALIGNED:
                continue
            elif key[0] not in long:
                found.problems.append(f"{path} has no long exposure of scene {key[0]}")
            else:
                clean, seconds = long[key[0]]
                used.add(key[0])
                ratio = min(seconds / key[1], LARGEST_RATIO)
                found.samples.append(
                    Sample(
                        f"{camera}/{path.name}",
                        f"{camera}/{key[0]}",
                        _picture(clean, 1.0),
                        _picture(path, ratio),
                    )
                )
        found.problems += [f"{long[scene][0]} has no short exposure" for scene in sorted(long.keys() - used)]
        for part in ("short", "long"):
            if not (folder / part).is_dir():
                found.problems.append(f"{folder / part} is missing; get it from {ABOUT.home}")
    return found


def _picture(path: Path, gain: float) -> RawPicture | BrightenedPicture | FilePicture:
    if path.suffix.lower() in (".png", ".tif"):
        return FilePicture(path) if gain == 1 else BrightenedPicture(path, gain)
    return RawPicture(path, gain)


SID = DataSet("sid", ABOUT, scan, "denoise", 256)
