"""Blurring with a kernel for every cell on the CPU, and its gradients."""

import math
from typing import Any

import torch
from torch import Tensor

from ..nn.deconvolution import SIDE, Border, blur, margined
from .native import LEVELS, PlainBlur, address, library, loaded_library


def fused_blur(image_BHWC: Tensor, kernels_BhwT: Tensor, border: Border = "zero") -> Tensor:
    """`lnca.nn.deconvolution.blur`, faster for float32 pictures on the CPU; the plain one for others."""
    loaded = library()
    floats = SIDE * image_BHWC.shape[-1]
    simple = image_BHWC.dtype == kernels_BhwT.dtype == torch.float32 and image_BHWC.device.type == "cpu"
    if loaded is None or not simple or floats > loaded.lnca_most_floats() // 2:
        return blur(image_BHWC, kernels_BhwT, border)
    result: Tensor = _Blur.apply(with_room(image_BHWC, kernels_BhwT.shape[-1], border), kernels_BhwT)
    return result


class _Blur(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, padded: Tensor, kernels: Tensor) -> Tensor:
        ctx.save_for_backward(padded, kernels.contiguous())
        return blurred(padded, kernels)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        padded, kernels = ctx.saved_tensors
        gradient = gradient.contiguous()
        result = torch.zeros_like(padded) if ctx.needs_input_grad[0] else None
        kernel_gradient = torch.empty_like(kernels)
        plan = _plan(padded, kernels)
        if loaded_library().lnca_blur_gradients(
            loaded_library().lnca_best(),
            plan,
            address(gradient),
            None if result is None else address(result),
            address(kernel_gradient),
        ):
            raise MemoryError("no memory for the gradients of a blur")
        return result, kernel_gradient


def with_room(image_BHWC: Tensor, taps: int, border: Border) -> Tensor:
    """A picture with the margin that kernels of so many taps need, and some more on the right, which may be read."""
    return margined(image_BHWC, math.isqrt(taps) // 2, border, -(-64 // image_BHWC.shape[-1]))


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
