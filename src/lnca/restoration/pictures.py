"""Converts PIL images, arrays and tensors to arrays (B, H, W, 3) of colours, and back to the same type."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from ..errors import LncaError
from ..images.hidden import filled, restore_hidden
from ..images.limits import SMALLEST_SIDE
from ..images.photo import CHANNELS, LUMA
from ..images.pillow import GREY_16, MODES

if TYPE_CHECKING:
    from torch import Tensor

# Value of white, by data type.
WHITE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}

# Values may lie this far beyond [0, 1] by rounding, for example after a convolution.
ROUNDING = 1e-3

Picture = TypeVar("Picture", Image.Image, np.ndarray, "Tensor")


def is_tensor(x: Any) -> bool:
    """Whether it is a torch tensor; does not import torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


@dataclass(frozen=True, kw_only=True)
class Range:
    """The range of floating-point pictures.

    Args:
        data_range: value of white, if black is 0; 1 if None.
        clip: clip values outside the range.
        open: leave values outside the range unchanged, for models that get a noise level.
    """

    data_range: float | None = None
    clip: bool = False
    open: bool = False

    def __post_init__(self) -> None:
        if self.data_range is not None and not 0 < self.data_range < float("inf"):
            raise LncaError(f"data_range should be above 0, got {self.data_range:g}")

    @property
    def white(self) -> float:
        """The value of white."""
        return 1.0 if self.data_range is None else float(self.data_range)

    def checked(self, x: np.ndarray) -> np.ndarray:
        """Divides floating-point values by white; clips small deviations, or all values if `clip` is true.

        Raises:
            LncaError: there are NaN or infinite values, or values farther outside [0, 1] than by rounding.
        """
        x = x if self.data_range is None else x / x.dtype.type(self.white)
        if not x.size:
            return x
        low, high = float(x.min()), float(x.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise LncaError("the picture holds NaN or infinite values; replace them first")
        if self.open or (low >= 0 and high <= 1):
            return x
        if self.clip or (low >= -ROUNDING and high <= 1 + ROUNDING):
            return np.clip(x, 0, 1)
        raise LncaError(
            f"values should lie in [0, {self.white:g}], got {low * self.white:g} to {high * self.white:g}; "
            "say what white is with data_range, or let clip=True cut them off"
        )


UNIT = Range()


class Parts(NamedTuple):
    """A picture's colours (B, H, W, 3), uint8, uint16, or floating point in [0, 1]; its alpha channel (H, W), if it has
    one; and whether it is grey. Transparent pixels get the colours of visible pixels around them."""

    colours: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False


def to_array(picture: Image.Image | np.ndarray, values: Range = UNIT) -> np.ndarray:
    """A picture as (H, W, 3) float32 in [0, 1].

    Args:
        picture: a PIL image, of 8 bits or 16-bit grey; an array (H, W), (H, W, 1) grey, (H, W, 2) grey and alpha,
            (H, W, 3) or (H, W, 4), uint8, uint16 or floating point in [0, 1].

    Raises:
        LncaError: the type or shape is wrong, a side is shorter than 8, or values are NaN or outside [0, 1].
    """
    return np.array(_to_float(_parts(picture, values).colours)[0])


def to_tensor(picture: "Image.Image | np.ndarray | Tensor", values: Range = UNIT) -> "Tensor":
    """A picture as a tensor (B, 3, H, W), float32 in [0, 1].

    Args:
        picture: see `to_array`; or a floating-point tensor (B, 3, H, W), (3, H, W), or grey (B, 1, H, W) or (1, H,
            W), in [0, 1].

    Raises:
        LncaError: see `to_array`.
    """
    import torch

    colours = _to_float(_parts(picture, values).colours)
    return torch.from_numpy(np.ascontiguousarray(colours.transpose(0, 3, 1, 2)))


def _to_float(x: np.ndarray) -> np.ndarray:
    """Converts to float32 in [0, 1]."""
    return np.divide(x, np.float32(WHITE[x.dtype]), dtype=np.float32) if x.dtype in WHITE else x.astype(np.float32)


def _parts(picture: Any, values: Range = UNIT) -> Parts:
    """Takes a picture apart; raises like `to_tensor`."""
    parts = _split(picture)
    x = parts.colours
    if min(x.shape[1:3]) < SMALLEST_SIDE:
        raise LncaError(f"a picture needs at least 8x8 pixels, got {x.shape[2]}x{x.shape[1]}")
    return parts if x.dtype in WHITE else parts._replace(colours=values.checked(x))


def _split(picture: Any) -> Parts:
    if isinstance(picture, Image.Image):
        if picture.mode == GREY_16:
            return _split_array(np.array(picture).astype(np.uint16))
        if picture.mode not in MODES:
            raise LncaError(f"the image has pixels of kind {picture.mode!r}; convert it to grey, RGB or RGBA first")
        pixels, alpha = np.array(picture.convert("RGB")), None
        if picture.has_transparency_data:
            alpha = np.asarray(picture.convert("RGBA"))[..., 3]
            pixels = filled(pixels, alpha == 0)
        return Parts(pixels[None], alpha, picture.mode in ("1", "L", "LA"))
    if isinstance(picture, np.ndarray):
        return _split_array(picture)
    if is_tensor(picture):
        return _split_tensor(picture)
    raise LncaError(f"give a PIL image, a numpy array or a torch tensor, not {type(picture).__name__}")


def _split_tensor(picture: "Tensor") -> Parts:
    if picture.ndim not in (3, 4) or picture.shape[-3] not in (1, 3):
        raise LncaError(
            f"a tensor should have the shape (B, 3, H, W), (3, H, W), (B, 1, H, W) or (1, H, W), got "
            f"{tuple(picture.shape)}"
        )
    if not picture.is_floating_point():
        raise LncaError(f"a tensor should be floating point with values in [0, 1], got {picture.dtype}")
    batch = (picture if picture.ndim == 4 else picture[None]).detach().cpu()
    # numpy has no bfloat16.
    batch = batch.float() if batch.itemsize < 4 else batch
    colours = batch.permute(0, 2, 3, 1).numpy()
    return Parts(np.broadcast_to(colours, (*colours.shape[:3], 3)), grey=colours.shape[3] == 1)


def _split_array(array: np.ndarray) -> Parts:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in CHANNELS):
        raise LncaError(
            f"an array should have the shape (H, W) or (H, W, 1 to 4), got {array.shape}; of a stack, and where "
            "channels lie elsewhere, say which axis is theirs with channel_axis, None for grey"
        )
    if array.dtype not in (np.uint8, np.uint16, np.float16, np.float32, np.float64):
        raise LncaError(f"an array should be uint8, uint16, or floating point in [0, 1], got {array.dtype}")
    planes = array[..., None] if array.ndim == 2 else array
    count = planes.shape[2]
    colours = planes[..., : count - 1] if count in (2, 4) else planes
    if count in (2, 4):
        colours = filled(colours, planes[..., -1] == 0)
    # Convert to the byte order of this machine.
    kept = np.array(colours, colours.dtype.newbyteorder("="))[None]
    return Parts(np.broadcast_to(kept, (*kept.shape[:3], 3)), planes[..., -1] if count in (2, 4) else None, count < 3)


def to_image(x_3HW: "Tensor") -> Image.Image:
    """One picture (3, H, W), clipped to [0, 1], as an 8-bit RGB image."""
    return as_image(x_3HW.detach().permute(1, 2, 0).cpu().numpy())


def as_image(x_HWC: np.ndarray) -> Image.Image:
    """One picture (H, W, 3), clipped to [0, 1], as an 8-bit RGB image."""
    return Image.fromarray(np.round(np.clip(x_HWC, 0, 1) * 255).astype(np.uint8))


def like(x_BCHW: "Tensor", picture: Any) -> Any:
    """`x_BCHW`, clipped to [0, 1], with the type, data type, channels and device of `picture`.

    Grey stays grey, an alpha channel is copied, a palette and CMYK become RGB.
    """
    return _finished(x_BCHW.detach().cpu().clamp(0, 1).permute(0, 2, 3, 1).numpy(), picture, _split(picture))


def like_array(x_HWC: np.ndarray, picture: Any) -> Any:
    """Like `like`, for one picture (H, W, 3)."""
    return _finished(np.clip(x_HWC, 0, 1)[None], picture, _split(picture))


class Rows:
    """Reads and writes a picture's pixels in bands of rows, without another copy of the picture.

    Args:
        picture: see `to_tensor`; or a list of pictures with one size and depth, which `finish` returns as a list.
        strength: share of the restored picture in the output, 0 to 1.
        mask: that share for each pixel, (H, W) in [0, 1], times `strength`; None restores everywhere.
        luma, chroma: shares of the correction in brightness and in colour, 0 to 1, times `strength`.
        values: range of floating-point values.
        progress: called with the finished share of the picture after each band of rows.

    Raises:
        LncaError: see `to_tensor`; also different sizes or depths, a share outside [0, 1], or a mask of another size.
    """

    def __init__(
        self,
        picture: "Image.Image | np.ndarray | Tensor | list",
        strength: float = 1.0,
        mask: np.ndarray | None = None,
        *,
        luma: float = 1.0,
        chroma: float = 1.0,
        values: Range = UNIT,
        progress: Callable[[float], None] | None = None,
    ):
        for name, share in (("strength", strength), ("luma", luma), ("chroma", chroma)):
            if not 0 <= share <= 1:
                raise LncaError(f"the {name} should lie between 0 and 1, got {share:g}")
        self.picture, self.strength, self.mask = picture, strength, mask
        self.luma, self.chroma, self.values = luma, chroma, values
        self.progress, self._written, self._said = progress, 0, 0.0
        self._parts = [_parts(each, values) for each in (picture if isinstance(picture, list) else [picture])]
        if len({(parts.colours.shape[1:], parts.colours.dtype) for parts in self._parts}) != 1:
            raise LncaError("pictures that are restored together should have one size and depth; restore them apart")
        colours = [parts.colours for parts in self._parts]
        self._pixels = colours[0] if len(colours) == 1 else np.concatenate(colours)
        self.batch, self.height, self.width, _ = self._pixels.shape
        self.first = 0
        if mask is not None and mask.shape != (self.height, self.width):
            sizes = f"{mask.shape[-1]}x{mask.shape[0]}, the picture {self.width}x{self.height}"
            raise LncaError(f"the mask is {sizes}; they should have the same size")
        if mask is not None and not (mask.dtype.kind == "f" and mask.min() >= 0 and mask.max() <= 1):
            raise LncaError("a mask should be floating point with values in [0, 1]; divide bytes by 255")

    @classmethod
    def part(
        cls, pixels: np.ndarray, first: int, height: int, strength: float = 1.0, mask: np.ndarray | None = None
    ) -> "Rows":
        """Some rows of a picture that another process holds; all methods except `finish` work for them.

        Args:
            pixels: (B, rows, W, 3), with the data type of `pixels`.
            first, height: number of the first of these rows, and number of rows of the picture.
            strength, mask: as above; the mask has only these rows.
        """
        rows = cls.__new__(cls)
        rows._pixels, rows.first, rows.height, rows.strength, rows.mask = pixels, first, height, strength, mask
        rows.luma = rows.chroma = 1.0
        rows.progress, rows._written, rows._said = None, 0, 0.0
        rows.batch, _, rows.width, _ = pixels.shape
        return rows

    def pixels(self, begin: int, end: int) -> np.ndarray:
        """Rows [begin, end) without conversion: (B, rows, W, 3), uint8, uint16, or floating point."""
        return self._pixels[:, begin - self.first : end - self.first]

    @property
    def bytes(self) -> int:
        """Size of the pixels in bytes."""
        # The channels of a grey picture share their memory.
        return self._pixels.nbytes // (3 if self._pixels.strides[3] == 0 else 1)

    @property
    def result_bytes(self) -> int:
        """Size of the array of `empty` in bytes."""
        return self._pixels.size * (self._pixels.itemsize if self._pixels.dtype in WHITE else 4)

    def read(self, begin: int, end: int, width: int, left: int = 0) -> np.ndarray:
        """Rows [begin, end) of columns [left, left + width), float32 (B, rows, width, 3) in [0, 1], padded by mirroring
        at the lower and right border."""
        rows, columns = _mirrored(begin, end, self.height), _mirrored(left, left + width, self.width)
        assert rows.min() >= self.first, f"rows from {begin} on reach above row {self.first}"
        low, high = int(rows.min()), int(rows.max()) + 1
        first, last = int(columns.min()), int(columns.max()) + 1
        x = _to_float(self._pixels[:, low - self.first : high - self.first, first:last])
        if end > self.height:
            x = x[:, rows - low]
        if left + width > self.width:
            x = x[:, :, columns - first]
        return np.ascontiguousarray(x)

    def empty(self, rows: int | None = None) -> np.ndarray:
        """An empty array for a restored picture or some rows of it: (B, H, W, 3), with the pixels' data type or
        float32."""
        kind = self._pixels.dtype if self._pixels.dtype in WHITE else np.dtype(np.float32)
        return np.empty((self.batch, self.height if rows is None else rows, self.width, 3), kind)

    def write(self, room: np.ndarray, begin: int, values: np.ndarray, top: int = 0, left: int = 0) -> None:
        """Writes restored values (B, rows, columns, 3), from row `begin` and column `left`, into `room`, whose first
        row is row `top`; ignores values beyond the border of the picture."""
        values = np.clip(values[:, : self.height - begin, : self.width - left], 0, 1)
        end, right = begin + values.shape[1], left + values.shape[2]
        if min(self.strength, self.luma, self.chroma) != 1 or self.mask is not None:
            values = self._mixed(values.astype(np.float32), begin, end, left, right)
        if room.dtype in WHITE:
            values = np.round(values * values.dtype.type(WHITE[room.dtype]))
        room[:, begin - top : end - top, left:right] = values
        self._written += (end - begin) * (right - left)
        self.say(self._written / (self.height * self.width))

    def say(self, share: float) -> None:
        """Reports the finished share, 0 to 1, to `progress`; it never falls."""
        self._said = max(self._said, share)
        if self.progress is not None:
            self.progress(self._said)

    def _mixed(self, restored: np.ndarray, begin: int, end: int, left: int, right: int) -> np.ndarray:
        """Mixes the given rows and columns with the restored ones by strength, mask, luma and chroma. The part of the
        correction that is the same in all channels is brightness, the rest is colour."""
        given, share = self.read(begin, end, right - left, left), np.asarray(self.strength, np.float32)
        if self.mask is not None:
            share = share * self.mask[begin - self.first : end - self.first, left:right, None].astype(np.float32)
        correction = restored - given
        if self.luma == self.chroma:
            share = share * np.float32(self.luma)
            # Exact at both ends: only the given picture, and only the restored one.
            return np.where(share < 0.5, given + share * correction, restored - (1 - share) * correction)
        luma = (correction @ np.array(LUMA, np.float32))[..., None]
        changed = np.float32(self.luma) * luma + np.float32(self.chroma) * (correction - luma)
        return np.clip(given + share * changed, 0, 1)

    @property
    def grey(self) -> bool:
        """Whether the channels of all pixels are equal."""
        red, green, blue = np.moveaxis(self._pixels, 3, 0)
        return bool((red == green).all() and (green == blue).all())

    def finish(self, room: np.ndarray) -> Any:
        """Converts the filled array to the type of the picture."""
        if room.dtype not in WHITE and self.values.data_range is not None:
            room = room * room.dtype.type(self.values.white)
        if not isinstance(self.picture, list):
            return _finished(room, self.picture, self._parts[0])
        rooms = np.split(room, np.cumsum([len(parts.colours) for parts in self._parts])[:-1])
        return list(map(_finished, rooms, self.picture, self._parts))


def _mirrored(begin: int, end: int, size: int) -> np.ndarray:
    """Positions [begin, end) on a line of `size`, mirrored beyond its end."""
    place = np.arange(begin, end)
    return np.where(place < size, place, 2 * (size - 1) - place)


def _finished(x_BHWC: np.ndarray, picture: Any, parts: Parts) -> Any:
    """Converts colours in [0, 1], or with the data type of the parts, to the type of the picture."""
    if is_tensor(picture):
        return _tensor(x_BHWC, picture, parts)
    kind, values = parts.colours.dtype, x_BHWC[0]
    if isinstance(picture, Image.Image) and picture.mode != GREY_16:
        return _image(values if values.dtype in WHITE else np.round(values * 255).astype(np.uint8), picture, parts)
    whole = values.dtype in WHITE
    if parts.grey:
        values = (values.astype(np.float64) @ np.array(LUMA))[..., None]
        values = values / WHITE[kind] if whole else values
        whole = False
    if kind in WHITE and not whole:
        values = np.round(values * WHITE[kind])
    array = values.astype(np.uint16 if isinstance(picture, Image.Image) else picture.dtype, copy=False)
    if parts.alpha is not None:
        array = np.concatenate([array, parts.alpha[..., None]], -1)
        restore_hidden(array, picture)
    return Image.fromarray(array[..., 0]) if isinstance(picture, Image.Image) else array.reshape(picture.shape)


def _tensor(x_BHWC: np.ndarray, picture: "Tensor", parts: Parts) -> "Tensor":
    """Converts colours to a tensor like `picture`."""
    import torch

    x = (x_BHWC.astype(np.float64) @ np.array(LUMA))[..., None] if parts.grey else x_BHWC
    tensor = torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2)
    return tensor.to(picture.device, picture.dtype).reshape(picture.shape)


def _image(values_HWC: np.ndarray, picture: Image.Image, parts: Parts) -> Image.Image:
    """Converts uint8 colours to an image with the mode and alpha channel of `picture`."""
    image = Image.fromarray(values_HWC)
    if parts.alpha is not None:
        image.putalpha(Image.fromarray(parts.alpha))
        pixels = np.array(image)
        restore_hidden(pixels, np.asarray(picture.convert("RGBA")))
        image = Image.fromarray(pixels)
        return image.convert("LA") if parts.grey else image
    return image.convert("L") if parts.grey else image
