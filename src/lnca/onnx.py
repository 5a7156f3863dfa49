"""Runs exported models with numpy and ONNX Runtime, without torch. (`import lnca` itself needs safetensors.)

Examples:
    >>> from lnca.onnx import OnnxRestorer
    >>> model = OnnxRestorer("exported")  # a folder that `lnca export` wrote
    >>> clean = model.restore(noisy)  # an array (H, W, 3) or (H, W)
    >>> cleaner = model.restore(noisy, noise_level=25)
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .errors import LncaError, in_short

Variant = Literal["float32", "float16"]
Form = Literal["image", "tiles", "cells"]

FLOAT32: Variant = "float32"
# Graphs of each form (`lnca.exporting.export`).
GRAPHS: dict[Form, tuple[str, ...]] = {
    "image": ("image",),
    "tiles": ("guesses", "levels", "restore"),
    "cells": ("encoder", "steps", "decoder"),
}
DESCRIPTION = "model.json"
SMALLEST_SIDE = 8
# A noise level that makes the graph estimate it.
AUTO = -1.0
MAX_NOISE_LEVEL = 255.0
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def file_name(graph: str, variant: Variant) -> str:
    """The file name of a graph in a variant."""
    return f"{graph}.onnx" if variant == FLOAT32 else f"{graph}-{variant}.onnx"


def session(path: Path, threads: int = 1, providers: tuple[str, ...] = ("CPUExecutionProvider",)) -> Any:
    """Opens a graph in ONNX Runtime; raises the errors of ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # ONNX Runtime warns of inputs with defaults.
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=list(providers))


class OnnxRestorer:
    """An exported model in the form "image" or "cells".

    Args:
        folder: folder that `lnca export` wrote.
        variant: "float32", or "float16" if it was exported.
        threads: number of threads of ONNX Runtime; 0 lets ONNX Runtime decide.
        providers: providers of ONNX Runtime, such as CUDAExecutionProvider.

    Raises:
        LncaError: the export or variant does not exist, is damaged or has the form "tiles", or ONNX Runtime is missing.
    """

    def __init__(
        self,
        folder: str | Path,
        variant: Variant = FLOAT32,
        threads: int = 0,
        providers: tuple[str, ...] = ("CPUExecutionProvider",),
    ):
        try:
            import onnxruntime  # noqa: F401
        except ImportError as error:
            raise LncaError("exported models need onnxruntime: pip install onnxruntime") from error
        folder = Path(folder)
        try:
            self.description: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text("utf-8"))
            self.form: Form = self.description["form"]
            self.steps, self.multiple = (int(self.description[key]) for key in ("steps", "multiple"))
            # Number of steps in one run of the graph.
            self.stride = int(self.description.get("steps_in_graph", self.steps))
            self._sessions = [
                session(folder / file_name(name, variant), threads, providers) for name in GRAPHS[self.form]
            ]
        except FileNotFoundError as error:
            raise LncaError(f"{error.filename} is missing; `lnca export` writes it") from error
        # ONNX Runtime has its own exceptions, which are not public.
        except Exception as error:
            raise LncaError(f"{folder} holds no export that can be used ({in_short(error, 150)})") from error
        if self.form == "tiles":
            raise LncaError(f"{folder} holds an export for hosts that cut tiles; export it with --form image")

    def restore(
        self, image: np.ndarray, steps: int | None = None, noise_level: Literal["auto"] | float | np.ndarray = "auto"
    ) -> np.ndarray:
        """Restores a picture; the result has its shape and type.

        Args:
            image: (H, W, 3), or (H, W) grey; uint8, uint16, or floating point in [0, 1]; sides >= 8.
            steps: a multiple of the steps in a graph; the model's own number if None.
            noise_level: standard deviation of the noise in 255ths, 0 to 255: a number, a map (H, W), or pairs of
                brightness and colour noise for each 8x8 pixels (H / 8, W / 8, 2), rounded up; "auto" estimates it.

        Raises:
            LncaError: the shape, type or number of steps is wrong, or the model takes no noise level.
        """
        *_, last = self.iterate(image, steps, every=False, noise_level=noise_level)
        return last

    def levels(self, image: np.ndarray) -> np.ndarray:
        """The noise levels that "auto" estimates for a picture: (H / 8, W / 8, 2), rounded up, in 255ths.

        Raises:
            LncaError: the shape or type is wrong, or the model takes no noise level.
        """
        self._check_takes_level()
        _, level = self._sessions[0].run(None, {"input": self._taken(image)})
        return np.ascontiguousarray(level[0].transpose(1, 2, 0))

    def iterate(
        self,
        image: np.ndarray,
        steps: int | None = None,
        every: bool = True,
        noise_level: Literal["auto"] | float | np.ndarray = "auto",
    ) -> Iterator[np.ndarray]:
        """Yields the decoded picture before and after every run of the steps, or only after the last one."""
        steps = self.steps if steps is None else steps
        if steps < 0 or steps % self.stride:
            raise LncaError(f"steps must be a multiple of {self.stride}, got {steps}")
        x = self._taken(image)
        if self.form == "cells":
            if not isinstance(noise_level, str) or noise_level != "auto":
                self._check_takes_level()
            states = self._stepped(x, steps, every)
        else:
            states = self._whole(x, steps, every, self._told(noise_level, image))
        for restored in states:
            yield self._given_back(restored, image)

    def _whole(self, x: np.ndarray, steps: int, every: bool, level: np.ndarray) -> Iterator[np.ndarray]:
        if every or steps == 0:
            yield x
        if steps:
            # Cells do not change after the model's own steps, so further steps are not needed.
            (restored,) = self._sessions[0].run(["output"], {"input": x, "noise_level": level})
            for _ in range(steps // self.stride if every else 1):
                yield restored

    def _stepped(self, x: np.ndarray, steps: int, every: bool) -> Iterator[np.ndarray]:
        encoder, stepper, decoder = self._sessions
        cells, skip = encoder.run(None, {"image": x})
        for done in range(0, steps + 1, self.stride):
            if done:
                (cells,) = stepper.run(None, {"cells": cells})
            if every or done == steps:
                (restored,) = decoder.run(None, {"cells": cells, "skip": skip})
                yield restored

    def _check_takes_level(self) -> None:
        if not self.description.get("noise_level"):
            raise LncaError(f"{self.description.get('model')} takes no noise level; leave it out")

    def _told(self, noise_level: Literal["auto"] | float | np.ndarray, image: np.ndarray) -> np.ndarray:
        """Noise levels in the form of the graph, (1, 2, 1, 1) or (1, 2, H / 8, W / 8)."""
        if isinstance(noise_level, str) and noise_level == "auto":
            return np.full((1, 2, 1, 1), AUTO, np.float32)
        try:
            given = np.asarray(noise_level, np.float32)
        except (TypeError, ValueError) as error:
            said = repr(noise_level)[:40]
            raise LncaError(f"the noise level should be auto, a number or an array, got {said}") from error
        if not (given.size and given.min() >= 0 and given.max() <= MAX_NOISE_LEVEL):
            raise LncaError(
                f"noise levels are standard deviations in 255ths, 0 to {MAX_NOISE_LEVEL:g}, got {noise_level}"
            )
        height, width = image.shape[:2]
        cells = (-(-height // self.multiple), -(-width // self.multiple))
        if given.shape == (*cells, 2):
            return np.ascontiguousarray(given.transpose(2, 0, 1)[None])
        if given.ndim and given.shape != (height, width):
            raise LncaError(f"the map of noise levels has the shape {given.shape}, the picture {(height, width)}")
        if given.ndim:
            squares = np.pad(given**2, ((0, -height % self.multiple), (0, -width % self.multiple)), "edge")
            given = np.sqrt(squares.reshape(cells[0], self.multiple, cells[1], self.multiple).mean((1, 3)))
        level = np.broadcast_to(given, given.shape or (1, 1))
        # All noise of a grey picture is brightness noise, unlike independent noise in three channels.
        pair = (level / np.linalg.norm(LUMA), 0 * level) if self._is_grey(image) else (level, level)
        return np.stack(pair)[None].astype(np.float32)

    @staticmethod
    def _is_grey(image: np.ndarray) -> bool:
        return image.ndim == 2 or bool((image == image[..., :1]).all())

    def _taken(self, image: np.ndarray) -> np.ndarray:
        """Converts to (1, 3, H, W) float32 in [0, 1]; for the form "cells" pads the lower and right border to whole
        cells."""
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
            raise LncaError(f"an image should have the shape (H, W, 3) or (H, W), got {image.shape}")
        if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != "f":
            raise LncaError(f"an image should be uint8, uint16, or floating point in [0, 1], got {image.dtype}")
        height, width = image.shape[:2]
        if min(height, width) < SMALLEST_SIDE:
            raise LncaError(f"an image needs at least 8x8 pixels, got {width}x{height}")
        x = image.astype(np.float32) / (np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1)
        if not (x.min() >= 0 and x.max() <= 1):
            raise LncaError("values should lie in [0, 1] and be no NaN; scale or clip them first")
        x = np.broadcast_to(x[..., None], (height, width, 3)) if image.ndim == 2 else x
        if self.form == "cells":
            x = np.pad(x, ((0, -height % self.multiple), (0, -width % self.multiple), (0, 0)), "reflect")
        return np.ascontiguousarray(x.transpose(2, 0, 1)[None])

    def _given_back(self, restored: np.ndarray, image: np.ndarray) -> np.ndarray:
        x = restored[0].transpose(1, 2, 0)[: image.shape[0], : image.shape[1]].clip(0, 1)
        if image.ndim == 2:
            x = x @ LUMA
        if image.dtype.kind == "u":
            x = (x * np.iinfo(image.dtype).max).round()
        return x.astype(image.dtype)
