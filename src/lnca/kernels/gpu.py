"""Fused and compiled steps on a GPU, recorded as a CUDA graph once for each shape and then replayed."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.fx.experimental._config
from torch import Tensor

from ..errors import LncaError
from ..nn.automaton import Automaton
from ..nn.vitca import ViTCA
from ..randomness import derive
from ..runtime.folding import fold
from ..runtime.native import Precision
from .cpu import rule_of, versions
from .packing import SMALLEST, Packed, Settings

TORCH_PRECISION = {"float32": torch.float32, "bfloat16": torch.bfloat16}
KEPT_GRAPHS = 8
# Cells and warps of a program.
BLOCK, WARPS = 64, 8


class Graphs:
    """Runs a function that works in place on tensors of fixed shapes: as CUDA graphs on a GPU, directly elsewhere.

    Args:
        run: takes the cells, which it changes, and other tensors; allocates nothing that outlives the call.
    """

    def __init__(self, run: Callable[..., None]):
        self.run = run
        self._kept: OrderedDict[Any, tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...]]] = OrderedDict()

    def __call__(self, *tensors: Tensor) -> Tensor:
        """Returns the changed cells; on a GPU the first call for a shape records the graph."""
        if not tensors[0].is_cuda:
            self.run(*tensors)
            return tensors[0]
        key = tuple((x.shape, x.dtype, x.device) for x in tensors)
        if key not in self._kept:
            self._kept[key] = self._recorded(tensors)
            if len(self._kept) > KEPT_GRAPHS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        graph, static = self._kept[key]
        for place, value in zip(static, tensors, strict=True):
            place.copy_(value)
        graph.replay()
        return static[0].clone()

    def _recorded(self, tensors: tuple[Tensor, ...]) -> tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...]]:
        static = tuple(x.clone() for x in tensors)
        with torch.cuda.device(static[0].device):
            # Compile before recording, on a separate stream, which recording requires.
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                self.run(*static)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.run(*static)
        return graph, static


class TritonRun:
    """`Automaton.run` by Triton kernels; on the CPU through Triton's interpreter, which is for tests.

    Args:
        rule: a NAFCA or ViTCA; its weights are copied, and copied again after changes.
        precision: precision of the matrix products; state and sums are always float32.
        block, warps: cells and warps of a program.

    Raises:
        LncaError: Triton is missing, or the rule has no kernel.
    """

    def __init__(self, rule: Automaton, precision: Precision = "float32", block: int = BLOCK, warps: int = WARPS):
        self._set(rule, precision, block, warps)
        # Raises errors here instead of at the first step.
        self._made()

    def _set(self, rule: Automaton, precision: Precision, block: int, warps: int) -> None:
        self.rule, self.precision, self.block, self.warps = rule, precision, block, warps
        self._weights: dict[torch.device, tuple[list[tuple[int, int]], Packed]] = {}
        self._graphs = Graphs(self._launch)
        self._steps: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy folds the weights of its own rule at its first use."""
        return _unfolded, (self.rule, self.precision, self.block, self.warps)

    def _made(self) -> Any:
        """The launches of the rule, with its current weights."""
        try:
            from .triton_nafca import NafcaSteps
            from .triton_vitca import VitcaSteps
        except ImportError as error:
            raise LncaError("fused steps on a GPU need Triton; install lnca[gpu]") from error
        folded = fold(rule_of(self.rule), SMALLEST)
        if folded is None:
            raise LncaError(f"there is no fused kernel for this {type(self.rule).__name__}; use the plain rule")
        settings = Settings.of(self.rule, self.block, self.warps)
        if isinstance(self.rule, ViTCA):
            return VitcaSteps(folded, settings, self.rule.position != "none")
        return NafcaSteps(folded, settings)

    def _packed(self, device: torch.device) -> Packed:
        """The weights on a device; changed weights stay at the same address, which graphs have recorded."""
        now = versions(self.rule.parameters())
        known, packed = self._weights.get(device, (None, None))
        if packed is None or known != now:
            self._steps = self._made()
            fresh = self._steps.pack().to(device, TORCH_PRECISION[self.precision])
            if packed is None:
                packed = fresh
            else:
                packed.copy(fresh)
            self._weights[device] = now, packed
        return packed

    # The tensors of a graph must be writable both in inference mode and outside it.
    @torch.inference_mode(False)
    @torch.no_grad()
    def __call__(self, cells_BHWC: Tensor, steps: int, seed: int = 0, first: int = 0) -> Tensor:
        """The cells after `steps` steps; float32, contiguous, on their device."""
        cells = cells_BHWC.detach().float().contiguous().clone()
        if not steps or not cells.numel():
            return cells
        self._packed(cells.device)
        words = np.array([derive(seed, first + step) & 0xFFFFFFFF for step in range(steps)], np.uint32)
        keys = torch.from_numpy(words.view(np.int32))
        inputs = [x.to(cells.device) for x in (keys, *self._steps.inputs(*cells.shape[1:3]))]
        return self._graphs(cells, *inputs)

    def _launch(self, cells: Tensor, *inputs: Tensor) -> None:
        self._steps.run(self._weights[cells.device][1], cells, *inputs)


def _unfolded(rule: Automaton, precision: Precision, block: int, warps: int) -> TritonRun:
    run = TritonRun.__new__(TritonRun)
    run._set(rule, precision, block, warps)
    return run


class CompiledRun:
    """`Automaton.run` with one step of the plain rule under `torch.compile`, for lattices of any size; on a GPU as
    a CUDA graph.

    Args:
        rule: any automaton.
        precision: precision of the matrix products, by autocast; the state is always float32.
    """

    def __init__(self, rule: Automaton, precision: Precision = "float32"):
        self.rule, self.precision = rule, precision
        self._step = torch.compile(rule.step, dynamic=True)
        self._graphs = Graphs(self._launch)

    def __reduce__(self) -> tuple[Any, ...]:
        return CompiledRun, (self.rule, self.precision)

    # Inference mode has another kind of tensors, for which everything would be compiled again.
    @torch.inference_mode(False)
    @torch.no_grad()
    def __call__(self, cells_BHWC: Tensor, steps: int, seed: int = 0, first: int = 0) -> Tensor:
        """The cells after `steps` steps; float32, on their device."""
        cells = cells_BHWC.detach().float().contiguous().clone()
        if not steps or not cells.numel():
            return cells
        masks = [self.rule.mask(seed, first + step, cells) for step in range(steps)]
        drawn = [mask for mask in masks if mask is not None]
        # If all cells are updated, only the shape tells the number of steps.
        stacked = torch.stack(drawn) if drawn else torch.empty(steps, 0, device=cells.device)
        return self._graphs(cells, stacked)

    def _launch(self, cells: Tensor, masks: Tensor) -> None:
        result = cells
        with (
            # Rows and columns may have equal sizes, but they are two dynamic dimensions.
            torch.fx.experimental._config.patch(use_duck_shape=False),  # type: ignore[attr-defined]
            torch.autocast(cells.device.type, TORCH_PRECISION[self.precision], enabled=self.precision != "float32"),
        ):
            for mask in masks:
                result = self._step(result, mask if mask.numel() else None)
        cells.copy_(result)
