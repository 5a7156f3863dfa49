"""Selects the implementation of a module's steps when no gradient is needed."""

from functools import singledispatch
from importlib.util import find_spec
from typing import get_args

import torch
from torch import Tensor

from ..errors import LncaError
from ..nn.automaton import Automaton, Runner
from ..nn.latent import LatentAutomaton
from ..nn.model import RestorationModel
from ..nn.pixel import PixelAutomaton
from ..runtime.native import Backend, Precision
from .cpu import FusedRun
from .gpu import CompiledRun, TritonRun


class OnCpu:
    """The fused run for float32 cells on the CPU; other cells use the plain rule."""

    def __init__(self, fused: FusedRun):
        self.fused = fused

    def __call__(self, cells_BHWC: Tensor, steps: int, seed: int = 0, first: int = 0) -> Tensor | None:
        if cells_BHWC.device.type != "cpu" or cells_BHWC.dtype != torch.float32:
            return None
        return self.fused(cells_BHWC, steps, seed, first)


class OnDevice:
    """A run for cells on one kind of device, in float32 or in the lower precision of an autocast encoder."""

    def __init__(self, run: TritonRun | CompiledRun, kind: str):
        self.run, self.kind = run, kind

    def __call__(self, cells_BHWC: Tensor, steps: int, seed: int = 0, first: int = 0) -> Tensor | None:
        if cells_BHWC.device.type != self.kind or cells_BHWC.dtype == torch.float64:
            return None
        return self.run(cells_BHWC, steps, seed, first)


def accelerate(
    model: RestorationModel, device: torch.device, backend: Backend = "auto", precision: Precision = "float32"
) -> str:
    """Sets how a model runs its steps when no gradient is needed.

    Args:
        device: the device of the model.
        backend: "plain" is the readable rule, the reference; "compiled" is the same with `torch.compile`, which takes
            a while at first; "fused" means kernels in C++ (CPU) or Triton (GPU); "auto" is the fastest available one
            without compiling.
        precision: precision of the matrix products of fused and compiled steps and, with AMX, of a residual coder's
            convolutions. "bfloat16" needs a CPU with AVX-512 BF16 or a GPU with bfloat16. It is never chosen
            automatically: without AMX it may be slower (docs/research/speed.md).

    Returns:
        The chosen implementation, such as "plain" or "fused avx512 float32".

    Raises:
        LncaError: the backend or precision is not available.
    """
    for kind, value, known in (("backend", backend, Backend), ("precision", precision, Precision)):
        if value not in get_args(known):
            raise LncaError(f"no {kind} {value!r}; choose {', '.join(get_args(known))}")
    return _chosen(model, device, backend, precision)


@singledispatch
def _chosen(model: RestorationModel, device: torch.device, backend: Backend, precision: Precision) -> str:
    """Sets the implementation of a kind of model, see `accelerate`; other kinds register their own function."""
    if backend in ("compiled", "fused") or precision == "bfloat16":
        what = f"precision {precision}" if precision == "bfloat16" else f"backend {backend}"
        raise LncaError(f"{what} works for cellular automata with fused or compiled steps only")
    return "plain"


@_chosen.register
def _of_automaton(
    model: LatentAutomaton | PixelAutomaton, device: torch.device, backend: Backend, precision: Precision
) -> str:
    automaton = model.automaton
    automaton.runner = None
    if backend == "compiled":
        automaton.runner = OnDevice(CompiledRun(automaton, precision), device.type)
        return f"compiled {precision}"
    if backend != "plain" and device.type in ("cpu", "cuda"):
        try:
            automaton.runner, name = _fused(automaton, device, precision)
        except LncaError:
            if backend == "fused" or precision == "bfloat16":
                raise
        else:
            return name
    return _chosen.dispatch(RestorationModel)(model, device, backend, precision)


def _fused(automaton: Automaton, device: torch.device, precision: Precision) -> tuple[Runner, str]:
    """The fused steps for a device, and their name."""
    if device.type == "cpu":
        run = FusedRun(automaton, precision)
        return OnCpu(run), f"fused {run.level} {precision}"
    if find_spec("triton") is None:
        raise LncaError("fused steps on a GPU need Triton; install lnca[gpu]")
    if precision == "bfloat16" and not torch.cuda.is_bf16_supported():
        raise LncaError("this GPU has no bfloat16; use --precision float32")
    return OnDevice(TritonRun(automaton, precision), "cuda"), f"fused triton {precision}"
