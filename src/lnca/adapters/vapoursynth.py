"""lnca as a filter of VapourSynth, which restores video frame by frame.

Examples:
    >>> import vapoursynth as vs
    >>> from lnca.adapters.vapoursynth import restore
    >>> clip = vs.core.bs.VideoSource("clip.mkv").resize.Bicubic(format=vs.RGBS, matrix_in_s="709")
    >>> restore(clip).set_output()
"""

from typing import Any

import numpy as np

from ..catalogue import DEFAULT_MODEL
from ..errors import LncaError
from ..restoration.batch import restorer_of

try:
    import vapoursynth as vs
except ImportError as error:
    raise LncaError(f"VapourSynth cannot be imported ({error}): pip install vapoursynth, with Python 3.12") from error


def restore(
    clip: vs.VideoNode,
    model: Any = DEFAULT_MODEL,
    *,
    steps: int | None = None,
    strength: float = 1.0,
    noise_level: float | None = None,
    noise_scale: float = 1.0,
    luma: float = 1.0,
    chroma: float = 1.0,
    device: str = "auto",
) -> vs.VideoNode:
    """The clip with every frame restored, of the same format and length.

    A frame depends on itself alone, so that it is the same in whichever order frames are asked for.

    Args:
        clip: RGB or GRAY of one format and size, whole numbers of 8 to 16 bits or floating point (RGB24, RGB48, RGBS,
            GRAY16, ...); sides >= 8.
        model: a name from `lnca.models()`, or a weight file.
        steps: steps of the automaton; the model's own number when None.
        strength: share of the restored frame in what comes out, 0 to 1.
        noise_level: standard deviation of the noise in 255ths, 0 to 255; estimated in every frame when None. For models
            that take one.
        noise_scale: factor of the noise level, above 0: more than 1 restores more.
        luma, chroma: shares of the correction in brightness and in colour, 0 to 1, times `strength`.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        LncaError: YUV, which has to be converted; a format or size that changes; no such model; options that the model
            refuses. What is wrong with a frame is raised as `vapoursynth.Error` when it is asked for.
    """
    _check(clip)
    restorer = restorer_of(str(model), device, "auto", "float32")
    options: dict[str, Any] = {"steps": steps, "strength": strength, "luma": luma, "chroma": chroma}
    options |= {"noise_scale": noise_scale, "data_range": _white(clip.format), "clip": noise_level is None}
    if noise_level is not None:
        options["noise_level"] = noise_level

    def restored(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        planes = np.stack([np.asarray(f[plane]) for plane in range(f.format.num_planes)], -1)
        made = f.copy()
        _write(made, restorer.restore(_as_floats(planes), **options))
        return made

    # So that what is refused is refused here, and not when the first frame is shown.
    restorer.restore(_as_floats(np.zeros((8, 8, clip.format.num_planes), np.uint8)), **options)
    return clip.std.ModifyFrame(clips=clip, selector=restored)


def _check(clip: vs.VideoNode) -> None:
    """Raises `LncaError` for clips that cannot be restored."""
    if clip.format is None or not (clip.width and clip.height):
        raise LncaError("the clip changes its format or size; make it one with resize")
    if clip.format.color_family == vs.YUV:
        raise LncaError(
            f"the clip is {clip.format.name}, which is no RGB; convert it with "
            'resize.Bicubic(format=vs.RGBS, matrix_in_s="709"), and back with matrix_s="709" (or "170m" of small video)'
        )
    if min(clip.width, clip.height) < 8:
        raise LncaError(f"a frame needs at least 8x8 pixels, got {clip.width}x{clip.height}")


def _white(kind: Any) -> float:
    """The value of white."""
    return 1.0 if kind.sample_type == vs.FLOAT else float(2**kind.bits_per_sample - 1)


def _as_floats(planes_HWC: np.ndarray) -> np.ndarray:
    """A frame's values, float32; those of grey are (H, W)."""
    values = planes_HWC.astype(np.float32)
    return values if values.shape[2] > 1 else values[..., 0]


def _write(frame: vs.VideoFrame, values: np.ndarray) -> None:
    """Puts restored values, float32 (H, W, C) or (H, W) in [0, white], into a frame's planes."""
    planes = values if values.ndim == 3 else values[..., None]
    for number in range(frame.format.num_planes):
        room = np.asarray(frame[number])
        plane = planes[..., number]
        room[...] = plane if room.dtype.kind == "f" else np.round(plane)
