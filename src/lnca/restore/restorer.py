"""A loaded model that restores whatever kind of picture it is given, and gives back the same kind."""

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..catalogue import ModelInfo, locate
from ..errors import LncaError
from ..models.latent import SMALLEST_SIDE
from ..models.weights_file import load_weights

Picture = TypeVar("Picture", Image.Image, np.ndarray, Tensor)

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
    if not available[kind]:
        raise LncaError(f"there is no {kind} device here; use --device cpu")
    return torch.device(name)


class Restorer:
    """A trained model, ready to restore.

    Args:
        name_or_path: a name from `lnca.models()`, or a weight file.
        device: "auto", "cpu", "cuda" or "mps".

    Attributes:
        module: the `torch.nn.Module`, in evaluation mode.
        info: its `ModelInfo`, with the card.

    Raises:
        LncaError: no such model or device, or a weight file that cannot be used.
    """

    def __init__(self, name_or_path: Any, device: str = "auto"):
        self.device = choose_device(device)
        module, self.info = load_weights(locate(name_or_path))
        self.module = module.to(self.device)

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
        x = self._to_tensor(picture)
        steps = self._checked(steps)
        try:
            with torch.inference_mode():
                restored = self.module(x, steps)
        except (RuntimeError, MemoryError) as error:
            raise self._explained(error, x) from error
        return self._like(restored, picture)

    def iterate(self, picture: Picture, steps: int | None = None) -> Iterator[Picture]:
        """Yields the picture as it is decoded after 0, 1, ..., `steps` steps; otherwise as `restore`."""
        x = self._to_tensor(picture)
        with torch.inference_mode():
            for frame in self.module.frames(x, self._checked(steps)):
                yield self._like(frame, picture)

    def _checked(self, steps: int | None) -> int:
        steps = self.module.steps if steps is None else steps
        if steps < 0:
            raise LncaError(f"steps must be 0 or more, got {steps}")
        return steps

    def _to_tensor(self, picture: Image.Image | np.ndarray | Tensor) -> Tensor:
        """(B, 3, H, W) float32 in [0, 1] on the model's device."""
        if isinstance(picture, Image.Image):
            x = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None]
        elif isinstance(picture, np.ndarray):
            if picture.ndim != 3 or picture.shape[2] != 3:
                raise LncaError(f"an array should have the shape (H, W, 3), got {picture.shape}")
            if picture.dtype != np.uint8 and not np.issubdtype(picture.dtype, np.floating):
                raise LncaError(f"an array should be uint8, or floating point in [0, 1], got {picture.dtype}")
            x = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
        elif isinstance(picture, Tensor):
            if picture.ndim != 4 or picture.shape[1] != 3:
                raise LncaError(f"a tensor should have the shape (B, 3, H, W), got {tuple(picture.shape)}")
            if not picture.is_floating_point():
                raise LncaError(f"a tensor should be floating point with values in [0, 1], got {picture.dtype}")
            x = picture
        else:
            raise LncaError(f"give a PIL image, a numpy array or a torch tensor, not {type(picture).__name__}")
        if min(x.shape[-2:]) < SMALLEST_SIDE:
            raise LncaError(f"a picture needs at least 8x8 pixels, got {x.shape[-1]}x{x.shape[-2]}")
        bytes_given = x.dtype == torch.uint8
        x = x.to(self.device, torch.float32)
        if bytes_given:
            return x / 255
        if x.numel() and not (x.amin() >= 0 and x.amax() <= 1):
            found = "NaN" if x.isnan().any() else f"values from {x.amin():g} to {x.amax():g}"
            raise LncaError(f"values should lie in [0, 1], got {found}; scale or clip them first")
        return x

    def _like(self, x: Tensor, picture: Any) -> Any:
        """`x` (B, 3, H, W) as the kind of `picture`."""
        if isinstance(picture, Tensor):
            return x.to(picture.device, picture.dtype)
        array = x[0].permute(1, 2, 0).cpu().numpy()
        if isinstance(picture, np.ndarray) and picture.dtype != np.uint8:
            return array.astype(picture.dtype)
        pixels = (array * 255).round().astype(np.uint8)
        if isinstance(picture, np.ndarray):
            return pixels
        image = Image.fromarray(pixels)
        grey = picture.mode in ("1", "L", "LA")
        if picture.has_transparency_data:
            image.putalpha(picture.convert("RGBA").getchannel("A"))
            return image.convert("LA") if grey else image
        return image.convert("L") if grey else image

    def _explained(self, error: RuntimeError | MemoryError, x: Tensor) -> Exception:
        """The error itself, or a sentence when memory ran out."""
        if isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY):
            return LncaError(
                f"a picture of {x.shape[-1]}x{x.shape[-2]} pixels does not fit into the memory of {self.device}; "
                "restore it in parts, or on a device with more memory"
            )
        return error
