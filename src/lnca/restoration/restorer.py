"""A loaded model that restores whatever kind of picture it is given, and gives back the same kind."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..catalogue import locate
from ..errors import LncaError
from ..kernels.cpu import Precision
from ..kernels.select import Backend, accelerate
from ..nn.model import RestorationModel, SteppedModel
from ..nn.weights_file import load_weights
from .pictures import Picture, like, to_tensor

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def choose_device(name: str = "auto") -> torch.device:
    """The device of a name, "auto" being the fastest there is.

    Raises:
        LncaError: no such device, or none here.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    kind = name.partition(":")[0]
    if kind not in available:
        raise LncaError(f"no device {name!r}; choose auto, cpu, cuda or mps")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise LncaError(f"no device {name!r}; choose auto, cpu, cuda or mps") from error
    if not available[kind] or (kind == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise LncaError(f"there is no device {name} here; use --device cpu")
    return device


class Restorer:
    """A trained model, ready to restore.

    Args:
        name_or_path: a name from `lnca.models()`, or a weight file.
        device: "auto", "cpu", "cuda" or "mps".
        backend: "auto", "plain" or "fused"; see `lnca.kernels.select.accelerate`.
        precision: "float32" or "bfloat16", of the fused kernels.

    Attributes:
        module: the `torch.nn.Module`, in evaluation mode.
        backend: how its steps are run, such as "fused avx512 float32".
        info: its `ModelInfo`, with the card.

    Raises:
        LncaError: no such model, device or backend, or a weight file that cannot be used.
    """

    def __init__(
        self, name_or_path: Any, device: str = "auto", backend: Backend = "auto", precision: Precision = "float32"
    ):
        self.device = choose_device(device)
        module, self.info = load_weights(locate(name_or_path))
        self.module: RestorationModel = module.to(self.device)
        self.backend = accelerate(self.module, self.device, backend, precision)

    @property
    def stepped(self) -> SteppedModel:
        """The module, if it is one that works step by step; raises `LncaError` otherwise."""
        if not isinstance(self.module, SteppedModel):
            raise LncaError(f"{self.info.name} restores in one go, it has no steps")
        return self.module

    def restore(self, picture: Picture, steps: int | None = None) -> Picture:
        """The picture restored.

        Args:
            picture: a PIL image (grey stays grey, an alpha channel passes through, a palette becomes RGB); or an array
                (H, W, 3), uint8 or floating point in [0, 1]; or a floating-point tensor (B, 3, H, W) in [0, 1].
                Sides >= 8.
            steps: steps of the automaton; the model's own number (64) when None.

        Returns:
            The same kind, shape and data type.

        Raises:
            LncaError: another shape or type, NaN, values outside [0, 1], or a picture too large for the memory.
        """
        x = to_tensor(picture).to(self.device)
        steps = self._checked(steps)
        try:
            with torch.no_grad():
                restored = self.module(x) if steps is None else self.stepped(x, steps)
        except (RuntimeError, MemoryError) as error:
            raise self._explained(error, x) from error
        return like(restored, picture)

    @torch.no_grad()
    def iterate(self, picture: Picture, steps: int | None = None) -> Iterator[Picture]:
        """Yields the picture as it is decoded after 0, 1, ..., `steps` steps; otherwise as `restore`."""
        x = to_tensor(picture).to(self.device)
        for frame in self.stepped.frames(x, self._checked(steps)):
            yield like(frame, picture)

    def _checked(self, steps: int | None) -> int | None:
        if steps is not None and steps < 0:
            raise LncaError(f"steps must be 0 or more, got {steps}")
        return steps

    def _explained(self, error: RuntimeError | MemoryError, x: Tensor) -> Exception:
        """The error itself, or a sentence when memory ran out."""
        if isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY):
            return LncaError(
                f"a picture of {x.shape[-1]}x{x.shape[-2]} pixels does not fit into the memory of {self.device}; "
                "restore it in parts, or on a device with more memory"
            )
        return error
