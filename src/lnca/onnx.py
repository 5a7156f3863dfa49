"""Exported models, run with numpy and ONNX Runtime: no torch. (`import lnca` itself needs safetensors.)

Examples:
    >>> from lnca.onnx import OnnxRestorer
    >>> model = OnnxRestorer("exported")  # a folder that `lnca export` wrote
    >>> clean = model.restore(noisy)  # an array (H, W, 3) or (H, W)
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .errors import LncaError, in_short

Variant = Literal["float32", "float16", "int8"]

FLOAT32: Variant = "float32"
GRAPHS = ("encoder", "steps", "decoder")
DESCRIPTION = "model.json"
SMALLEST_SIDE = 8


class OnnxRestorer:
    """An exported model.

    Args:
        folder: what `lnca export` wrote.
        variant: "float32", or one of the others that were exported.
        threads: of ONNX Runtime; its own choice when 0.
        providers: of ONNX Runtime, such as CUDAExecutionProvider.

    Raises:
        LncaError: no such export or variant, a damaged one, or no ONNX Runtime.
    """

    def __init__(
        self, folder: str | Path, variant: Variant = FLOAT32, threads: int = 0,
        providers: tuple[str, ...] = ("CPUExecutionProvider",),
    ):  # fmt: skip
        try:
            import onnxruntime
        except ImportError as error:
            raise LncaError("exported models need onnxruntime: pip install onnxruntime") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        folder = Path(folder)
        try:
            self.description: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text("utf-8"))
            self.steps, self.stride, self.multiple = (
                int(self.description[key]) for key in ("steps", "steps_in_graph", "multiple")
            )
            self._encoder, self._steps, self._decoder = (
                onnxruntime.InferenceSession(
                    (folder / f"{name}{self.suffix(variant)}.onnx").read_bytes(), options, providers=list(providers)
                )
                for name in GRAPHS
            )
        except FileNotFoundError as error:
            raise LncaError(f"{error.filename} is missing; `lnca export` writes it") from error
        # ONNX Runtime has exceptions of its own, which it does not publish.
        except Exception as error:
            raise LncaError(f"{folder} holds no export that can be used ({in_short(error, 150)})") from error

    @staticmethod
    def suffix(variant: Variant) -> str:
        """What a variant's files have in their names."""
        return "" if variant == FLOAT32 else f"-{variant}"

    def restore(self, image: np.ndarray, steps: int | None = None) -> np.ndarray:
        """The picture restored, in its own shape and type.

        Args:
            image: (H, W, 3), or (H, W) grey; uint8, uint16, or floating point in [0, 1]; sides >= 8.
            steps: a multiple of those in a graph; the model's own number when None.

        Raises:
            LncaError: another shape or type, or such a number of steps.
        """
        *_, last = self.iterate(image, steps, every=False)
        return last

    def iterate(self, image: np.ndarray, steps: int | None = None, every: bool = True) -> Iterator[np.ndarray]:
        """Yields the picture as it is decoded before and after every run of the steps, or after the last one only."""
        steps = self.steps if steps is None else steps
        if steps < 0 or steps % self.stride:
            raise LncaError(f"steps must be a multiple of {self.stride}, got {steps}")
        x = self._taken(image)
        cells, skip = self._encoder.run(None, {"image": x})
        for done in range(0, steps + 1, self.stride):
            if done:
                (cells,) = self._steps.run(None, {"cells": cells})
            if every or done == steps:
                (restored,) = self._decoder.run(None, {"cells": cells, "skip": skip})
                yield self._given_back(restored, image)

    def _taken(self, image: np.ndarray) -> np.ndarray:
        """(1, 3, H, W) float32 in [0, 1], mirrored at the lower and right border up to a multiple of the cells'."""
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
        x = np.pad(x, ((0, -height % self.multiple), (0, -width % self.multiple), (0, 0)), "reflect")
        return np.ascontiguousarray(x.transpose(2, 0, 1)[None])

    def _given_back(self, restored: np.ndarray, image: np.ndarray) -> np.ndarray:
        x = restored[0].transpose(1, 2, 0)[: image.shape[0], : image.shape[1]].clip(0, 1)
        if image.ndim == 2:
            x = x @ np.array([0.299, 0.587, 0.114], np.float32)
        if image.dtype.kind == "u":
            x = (x * np.iinfo(image.dtype).max).round()
        return x.astype(image.dtype)
