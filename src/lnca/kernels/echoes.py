"""Echoes on the CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..nn.echoes import CHANNELS, FAR, GAIN, LAGS, LITTLE, SIDE, gradients
from .native import LEVELS, PlainEchoes, address, loaded_library

# Lanes of the widest vectors.
WIDEST = 16


def workspace() -> int:
    """Floats of each pixel that `fused_echoes` needs at most beside pictures and result: two vectors a cell in every
    thread."""
    return 2 * torch.get_num_threads() * WIDEST // SIDE**2


def fused_echoes(image_BHWC: Tensor, scales: int, rows: int, top: int, bottom: int, level: str) -> Tensor:
    """Rows [top, bottom) of `lnca.nn.echoes.echoes` of float32 pictures.

    Args:
        level: one of `LEVELS`.
    """
    both = torch.stack(gradients(image_BHWC))
    around = F.pad(both, (FAR, FAR, 0, FAR)).contiguous()
    batch, width = both.shape[1], both.shape[3]
    pitch = around.shape[3]
    lags = torch.tensor([down * pitch + right for down, right in LAGS], dtype=torch.int32)
    result = torch.empty(batch, bottom - top, width // SIDE, CHANNELS)
    plan = PlainEchoes(
        batch, rows, width // SIDE, top, bottom - top,
        pitch, around.stride(1), FAR, len(both), len(LAGS), CHANNELS, scales,
        torch.get_num_threads(), LITTLE, GAIN, address(around), lags.data_ptr(),
    )  # fmt: skip
    if loaded_library().lnca_echoes(LEVELS.index(level), plan, address(result)):
        raise MemoryError("no memory for echoes")
    return result
