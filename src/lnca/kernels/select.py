"""Which way a model's steps are run: chosen here, once, for everything else."""

from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import LncaError
from ..nn.latent import LatentAutomaton
from ..nn.model import RestorationModel
from ..nn.pixel import PixelAutomaton
from .cpu import FusedRun, Precision

Backend = Literal["auto", "plain", "fused"]


class OnCpu:
    """The fused run for cells on the CPU in float32; other cells go the plain way."""

    def __init__(self, fused: FusedRun):
        self.fused = fused

    def __call__(self, cells_BHWC: Tensor, steps: int, seed: int = 0, first: int = 0) -> Tensor | None:
        if cells_BHWC.device.type != "cpu" or cells_BHWC.dtype != torch.float32:
            return None
        return self.fused(cells_BHWC, steps, seed, first)


def accelerate(
    model: RestorationModel, device: torch.device, backend: Backend = "auto", precision: Precision = "float32"
) -> str:
    """Sets how a model runs its steps where no gradient is wanted.

    Args:
        device: where it will run.
        backend: "plain" is the readable rule, the reference; "fused" the C++ kernels; "auto" the fastest at hand.
        precision: of the fused kernels' matrix products; "bfloat16" needs AVX-512 BF16.

    Returns:
        What was chosen, such as "plain" or "fused avx512 float32".

    Raises:
        LncaError: the backend or precision was asked for and cannot be had.
    """
    for kind, value, known in (("backend", backend, Backend), ("precision", precision, Precision)):
        if value not in get_args(known):
            raise LncaError(f"no {kind} {value!r}; choose {', '.join(get_args(known))}")
    automaton = model.automaton if isinstance(model, LatentAutomaton | PixelAutomaton) else None
    wanted = backend == "fused" or precision == "bfloat16"
    if automaton is not None:
        automaton.runner = None
        if backend != "plain" and device.type == "cpu":
            try:
                fused = FusedRun(automaton, precision)
            except LncaError:
                if wanted:
                    raise
            else:
                automaton.runner = OnCpu(fused)
                return f"fused {fused.level} {precision}"
    if wanted:
        what = f"precision {precision}" if precision == "bfloat16" else f"backend {backend}"
        raise LncaError(f"{what} works for cellular automata with fused kernels, on the CPU, only")
    return "plain"
