"""Blurring with a kernel for every cell on the CPU, and its gradients."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..nn.deconvolution import SIDE, blur
from .native import LEVELS, PlainBlur, address, library, loaded_library


def fused_blur(image_BHWC: Tensor, kernels_BhwT: Tensor) -> Tensor:
    """`lnca.nn.deconvolution.blur`, faster for float32 pictures on the CPU; the plain one for others."""
    loaded = library()
    floats = SIDE * image_BHWC.shape[-1]
    simple = image_BHWC.dtype == kernels_BhwT.dtype == torch.float32 and image_BHWC.device.type == "cpu"
    if loaded is None or not simple or floats > loaded.lnca_most_floats() // 2:
        return blur(image_BHWC, kernels_BhwT)
    result: Tensor = _Blur.apply(image_BHWC, kernels_BhwT)
    return result


class _Blur(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, kernels: Tensor) -> Tensor:
        side = math.isqrt(kernels.shape[-1])
        padded = margined(image, side // 2)
        ctx.save_for_backward(padded, kernels.contiguous())
        return blurred(padded, kernels)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        padded, kernels = ctx.saved_tensors
        gradient = gradient.contiguous()
        result, kernel_gradient = torch.zeros_like(padded), torch.empty_like(kernels)
        plan = _plan(padded, kernels)
        if loaded_library().lnca_blur_gradients(
            loaded_library().lnca_best(), plan, address(gradient), address(result), address(kernel_gradient)
        ):
            raise MemoryError("no memory for the gradients of a blur")
        margin = math.isqrt(kernels.shape[-1]) // 2
        rows, columns = (SIDE * count for count in kernels.shape[1:3])
        return result[:, margin : margin + rows, margin : margin + columns], kernel_gradient


def margined(image_BHWC: Tensor, margin: int) -> Tensor:
    """A picture with zeros around it, and some more on the right, which the kernel may read."""
    more = -(-64 // image_BHWC.shape[-1])
    return F.pad(image_BHWC, (0, 0, margin, margin + more, margin, margin)).contiguous()


def blurred(padded_BHWC: Tensor, kernels_BhwT: Tensor, level: str | None = None) -> Tensor:
    """Pictures with margins, blurred: (B, H, W, C)."""
    loaded = loaded_library()
    kernels = kernels_BhwT.contiguous()
    batch, channels = padded_BHWC.shape[0], padded_BHWC.shape[-1]
    result = torch.empty(batch, kernels.shape[1] * SIDE, kernels.shape[2] * SIDE, channels)
    number = loaded.lnca_best() if level is None else LEVELS.index(level)
    if loaded.lnca_blur(number, _plan(padded_BHWC, kernels), address(result)):
        raise MemoryError("no memory for a blur")
    return result


def _plan(padded: Tensor, kernels: Tensor) -> PlainBlur:
    batch, rows, columns, taps = kernels.shape
    return PlainBlur(
        batch, rows, columns, padded.stride(1), padded.stride(0), math.isqrt(taps), padded.shape[-1],
        torch.get_num_threads(), address(padded), address(kernels),
    )  # fmt: skip
