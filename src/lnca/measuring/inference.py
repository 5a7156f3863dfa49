"""Table 5: the time of one batch, for the paper's five models and all ways to run them."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ..kernels.cpu import FusedRun, coder_of, latent_of, rule_of
from ..kernels.gpu import CompiledRun, TritonRun
from ..kernels.select import OnDevice
from ..nn.latent import LatentAutomaton
from ..nn.model import RestorationModel
from ..nn.nafca import NAFCA
from ..nn.pixel import PixelAutomaton
from ..nn.registry import build
from ..restoration.latent import LatentStreamer
from ..restoration.pictures import Rows
from ..runtime.engine import Native
from ..runtime.models import Latent
from ..runtime.native import BFLOAT16_SETS, Precision, best_level
from .measure import environment, matrix_rate, register_rate, time_together
from .opponents import JaxRun, compiled, jax_is_here, onnx_runtime, onnx_runtime_is_here

Way = tuple[str, Callable[[Tensor], object]]

MATRIX_PRECISION = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def model_of(name: str, device: torch.device) -> RestorationModel:
    """A model of the table with random weights, which take as long as trained ones."""
    settings: dict[str, Any] = {"position": "none"} if name in ("vitca", "latent-vitca") else {}
    torch.manual_seed(0)
    model = build(name, **settings).to(device).eval()
    if isinstance(model, LatentAutomaton | PixelAutomaton):
        # A head of zeros would not change the cells.
        torch.nn.init.normal_(model.automaton.head.weight, std=1e-3)  # type: ignore[union-attr, arg-type]
    return model


def ways(model: RestorationModel, device: torch.device) -> list[Way]:
    """The ways to run a model here: plain in each precision, compiled, and fused."""

    result: list[Way] = [
        (f"plain {name}", partial(_whole, model, precision=kind)) for name, kind in MATRIX_PRECISION.items()
    ]
    if not isinstance(model, LatentAutomaton | PixelAutomaton):
        result += [(f"compiled {name}", compiled(model, kind)) for name, kind in MATRIX_PRECISION.items()]
        if device.type == "cpu" and onnx_runtime_is_here():
            result.append(("ONNX Runtime float32", onnx_runtime(model)))
        return result
    if device.type == "cuda":
        return result + _on_gpu(model)
    level = best_level()
    if device.type != "cpu" or level is None:
        return result
    result.append(("fused float32", _fused(model, "float32")))
    if level in BFLOAT16_SETS:
        result.append(("fused bfloat16", _fused(model, "bfloat16")))
    if isinstance(model, LatentAutomaton) and isinstance(model.automaton, NAFCA) and jax_is_here():
        result.append(("cells in JAX float32", _streamed(_in_jax(model, level))))
    return result


@torch.inference_mode()
def _whole(model: RestorationModel, x: Tensor, precision: torch.dtype) -> object:
    with torch.autocast(x.device.type, precision, enabled=precision != torch.float32):
        return model(x)


def _on_gpu(model: LatentAutomaton | PixelAutomaton) -> list[Way]:
    """Compiled and fused steps on a GPU, each with its own copy of the model."""
    result: list[Way] = []
    kinds: list[Precision] = ["float32", "bfloat16"]
    for precision in kinds:
        for way, run in (("compiled", CompiledRun), ("fused", TritonRun)):
            twin = copy.deepcopy(model)
            twin.automaton.runner = OnDevice(run(twin.automaton, precision), "cuda")
            result.append((f"{way} {precision}", partial(_whole, twin, precision=MATRIX_PRECISION[precision])))
    return result


def _fused(model: LatentAutomaton | PixelAutomaton, precision: Precision) -> Callable[[Tensor], object]:
    if isinstance(model, LatentAutomaton):
        level = best_level()
        assert level is not None
        return _streamed(latent_of(model, Native(level, precision)))
    fused = FusedRun(model.automaton, precision)
    return lambda x: model.image(fused(model.automaton.seed(x.permute(0, 2, 3, 1)), model.steps))


def _in_jax(model: LatentAutomaton, level: str) -> Latent:
    """The model with cells in JAX, and the coder of the fused backend."""
    assert isinstance(model.automaton, NAFCA)
    coder = coder_of(model.autoencoder, Native(level))
    return Latent(coder, rule_of(model.automaton), JaxRun(model.automaton), model.steps)


def _streamed(model: Latent) -> Callable[[Tensor], object]:
    streamer = LatentStreamer(model)
    return lambda x: streamer.restore(Rows(x))


def operations(model: RestorationModel, side: int) -> int:
    """Floating-point operations of matrix products and convolutions for one picture, on the plain path."""
    x = torch.rand(1, 3, side, side, device=next(model.parameters()).device)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops()


def measure(
    models: list[str],
    sides: list[int],
    batches: list[int],
    device: torch.device,
    rounds: int = 10,
    limit: float = 60.0,
    progress: Callable[[str], object] = lambda text: None,
) -> dict[str, Any]:
    """Measures Table 5: all models and ways for one side and batch in turn, in one run.

    Args:
        models: names of the table's rows.
        sides, batches: sides of the pictures and batch sizes.
        rounds: largest number of rounds; the first is dropped.
        limit: seconds; batches that would be slower, judged by the time of one picture, are left out, and so are
            batches without enough memory.
        progress: called with the name of the next measurement.

    Returns:
        {"environment", "matrix_rate": {precision: operations a second}, "register_rate": the same, "rows": [{"model",
        "way", "side", "batch", "seconds", "operations", "share": of the higher rate} or {..., "left_out": why}]}.
    """
    rates = {name: matrix_rate(device, kind) for name, kind in MATRIX_PRECISION.items()}
    registers = {name: register_rate(kind) for name, kind in MATRIX_PRECISION.items() if device.type == "cpu"}
    roof = {name: max(rate, registers.get(name) or 0) for name, rate in rates.items()}
    built = {name: model_of(name, device) for name in models}
    candidates = {(name, way): run for name, model in built.items() for way, run in ways(model, device)}
    rows: list[dict[str, Any]] = []
    for side in sides:
        count = {name: operations(model, side) for name, model in built.items()}
        one = torch.rand(1, 3, side, side, device=device)
        single: dict[tuple[str, str], float | str] = {}
        for key, run in candidates.items():
            if "compiled" in key[1]:
                # Compiling for one picture takes as long as for all batches, so use the time of the plain path instead.
                single[key] = single[key[0], key[1].replace("compiled", "plain")]
                continue
            progress(f"{side}x{side}, one picture: {' '.join(key)}")
            single[key] = _once(run, one, device)
        for batch in batches:
            x = torch.rand(batch, 3, side, side, device=device)
            chosen: dict[str, Callable[[], object]] = {}
            for (name, way), run in candidates.items():
                alone = single[name, way]
                if isinstance(alone, float) and alone * batch <= limit:
                    chosen[f"{name}/{way}"] = partial(run, x)
                else:
                    why = (
                        alone
                        if isinstance(alone, str)
                        else f"one picture takes {alone:.2g} s, the limit is {limit:g} s"
                    )
                    rows.append({"model": name, "way": way, "side": side, "batch": batch, "left_out": why})
            progress(f"{side}x{side}, batch of {batch}")
            for title, timing in time_together(chosen, rounds, device, limit).items():
                name, _, way = title.partition("/")
                done = count[name] * batch
                share = done / timing.median / roof["bfloat16" if "bfloat16" in way else "float32"]
                rows.append(
                    {
                        "model": name,
                        "way": way,
                        "side": side,
                        "batch": batch,
                        "seconds": timing.as_json(),
                        "operations": done,
                        "share": share,
                    }
                )
    return {
        "table": "inference",
        "environment": environment(device),
        "matrix_rate": rates,
        "register_rate": registers,
        "rows": rows,
    }


def _once(run: Callable[[Tensor], object], x: Tensor, device: torch.device) -> float | str:
    """Seconds of the second of two calls, or the reason why there is none."""
    try:
        return time_together({"": partial(run, x)}, 1, device)[""].median
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "memory" in str(error):
            return "no memory"
        raise
