"""PIL images, arrays and tensors to (B, 3, H, W) tensors in [0, 1], and back to the same kind."""

from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import LncaError
from ..nn.latent import SMALLEST_SIDE

MODES = ("1", "L", "LA", "P", "RGB", "RGBA")

Picture = TypeVar("Picture", Image.Image, np.ndarray, Tensor)


def to_tensor(picture: Image.Image | np.ndarray | Tensor) -> Tensor:
    """A picture as (B, 3, H, W) float32 in [0, 1].

    Args:
        picture: a PIL image; an array (H, W, 3), uint8 or floating point in [0, 1]; a floating-point tensor
            (B, 3, H, W) in [0, 1].

    Raises:
        LncaError: another type or shape, a side below 8, NaN, values outside [0, 1].
    """
    return _to_float(_checked(picture))


def _to_float(x: Tensor) -> Tensor:
    return x.float() / 255 if x.dtype == torch.uint8 else x.float()


def _checked(picture: Image.Image | np.ndarray | Tensor) -> Tensor:
    """(B, 3, H, W), uint8 in [0, 255] or floating point in [0, 1]; raises as `to_tensor`."""
    x = _channels_first(picture)
    if min(x.shape[-2:]) < SMALLEST_SIDE:
        raise LncaError(f"a picture needs at least 8x8 pixels, got {x.shape[-1]}x{x.shape[-2]}")
    if x.dtype != torch.uint8 and x.numel() and not (x.amin() >= 0 and x.amax() <= 1):
        found = "NaN" if x.isnan().any() else f"values from {x.amin():g} to {x.amax():g}"
        raise LncaError(f"values should lie in [0, 1], got {found}; scale or clip them first")
    return x


def _channels_first(picture: Image.Image | np.ndarray | Tensor) -> Tensor:
    if isinstance(picture, Image.Image):
        if picture.mode not in MODES:
            raise LncaError(
                f"the image has pixels of kind {picture.mode!r}; convert it to 8-bit grey, RGB or RGBA first"
            )
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None]
    if isinstance(picture, np.ndarray):
        if picture.ndim != 3 or picture.shape[2] != 3:
            raise LncaError(f"an array should have the shape (H, W, 3), got {picture.shape}")
        if picture.dtype not in (np.uint8, np.float16, np.float32, np.float64):
            raise LncaError(f"an array should be uint8, or floating point in [0, 1], got {picture.dtype}")
        return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]
    if isinstance(picture, Tensor):
        if picture.ndim != 4 or picture.shape[1] != 3:
            raise LncaError(f"a tensor should have the shape (B, 3, H, W), got {tuple(picture.shape)}")
        if not picture.is_floating_point():
            raise LncaError(f"a tensor should be floating point with values in [0, 1], got {picture.dtype}")
        return picture
    raise LncaError(f"give a PIL image, a numpy array or a torch tensor, not {type(picture).__name__}")


def to_image(x_3HW: Tensor) -> Image.Image:
    """One picture (3, H, W), clipped to [0, 1], as an 8-bit RGB image."""
    return Image.fromarray(_bytes(x_3HW.clamp(0, 1).permute(1, 2, 0)))


def like(x_BCHW: Tensor, picture: Any) -> Any:
    """`x_BCHW`, clipped to [0, 1], as the kind, data type and device of `picture`.

    A grey image gives a grey one, an alpha channel passes through, a palette becomes RGB.
    """
    x_BCHW = x_BCHW.clamp(0, 1)
    if isinstance(picture, Tensor):
        return x_BCHW.to(picture.device, picture.dtype)
    pixels = x_BCHW[0].permute(1, 2, 0)
    if isinstance(picture, np.ndarray) and picture.dtype != np.uint8:
        return pixels.cpu().numpy().astype(picture.dtype)
    return _dressed(_bytes(pixels), picture)


class Rows:
    """A picture's pixels, handed out, and taken back, in bands of rows, so that no other copy of it need be made.

    Args:
        picture: as for `to_tensor`.

    Raises:
        LncaError: as `to_tensor`.
    """

    def __init__(self, picture: Image.Image | np.ndarray | Tensor):
        self.picture = picture
        self._pixels = _checked(picture)
        self.batch, _, self.height, self.width = self._pixels.shape

    @property
    def bytes(self) -> int:
        """Size of the pixels that are kept here."""
        return self._pixels.nbytes

    @property
    def result_bytes(self) -> int:
        """Size of what `empty` gives."""
        eight_bits = not isinstance(self.picture, Tensor) and self._pixels.dtype == torch.uint8
        return self._pixels.numel() * (1 if eight_bits else 4)

    def read(self, begin: int, end: int, width: int) -> Tensor:
        """Rows [begin, end), float32 (B, rows, width, 3) in [0, 1], mirrored beyond the lower and the right border."""
        row, column = torch.arange(begin, end), torch.arange(width)
        rows = torch.where(row < self.height, row, 2 * (self.height - 1) - row)
        x = self._pixels[:, :, rows]
        if width > self.width:
            x = x[..., torch.where(column < self.width, column, 2 * (self.width - 1) - column)]
        return _to_float(x.permute(0, 2, 3, 1)).contiguous()

    def empty(self) -> Tensor:
        """Room for a restored picture: (B, H, W, 3), uint8 for 8-bit pictures, else float32."""
        kind = torch.uint8 if self.result_bytes == self._pixels.numel() else torch.float32
        return torch.empty(self.batch, self.height, self.width, 3, dtype=kind)

    def write(self, room: Tensor, begin: int, values: Tensor) -> None:
        """Puts restored rows (B, rows, at least W, 3) from row `begin` on into `room`, as far as it goes."""
        values = values[:, : self.height - begin, : self.width].clamp(0, 1)
        if room.dtype == torch.uint8:
            values = (values * 255).round()
        room[:, begin : begin + values.shape[1]] = values

    def finish(self, room: Tensor) -> Any:
        """The filled room as the kind of the picture."""
        if room.dtype == torch.uint8:
            return _dressed(room[0].numpy(), self.picture)
        return like(room.permute(0, 3, 1, 2), self.picture)


def _bytes(x: Tensor) -> np.ndarray:
    return (x * 255).round().to(torch.uint8).cpu().numpy()


def _dressed(pixels: np.ndarray, picture: Any) -> Any:
    """uint8 pixels (H, W, 3) as an array or as an image with the mode and alpha channel of `picture`."""
    if isinstance(picture, np.ndarray):
        return pixels
    image = Image.fromarray(pixels)
    if picture.has_transparency_data:
        image.putalpha(picture.convert("RGBA").getchannel("A"))
        return image.convert("LA") if picture.mode == "LA" else image
    return image.convert("L") if picture.mode in ("1", "L") else image
