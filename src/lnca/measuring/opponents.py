"""Other compilers and runtimes for comparison, each with its best settings on this machine."""

import copy
import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..nn.model import RestorationModel
from ..nn.nafca import NAFCA
from ..runtime.native import Precision


def compiled(model: RestorationModel, precision: torch.dtype) -> Callable[[Tensor], object]:
    """The whole model under `torch.compile`, once for each size of the pictures and for batches of two or more."""
    # One compilation for each size and precision, and some reserve.
    torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
    run = torch.compile(copy.deepcopy(model), dynamic=False)

    @torch.inference_mode()
    def call(x: Tensor) -> object:
        if len(x) > 1:
            torch._dynamo.mark_dynamic(x, 0)
        with torch.autocast(x.device.type, precision, enabled=precision != torch.float32):
            return run(x)

    return call


def onnx_runtime_is_here() -> bool:
    return find_spec("onnx") is not None and find_spec("onnxruntime") is not None


def jax_is_here() -> bool:
    return find_spec("jax") is not None


def onnx_runtime(model: RestorationModel) -> Callable[[Tensor], object]:
    """The whole model in ONNX Runtime on the CPU, float32."""
    sessions: dict[int, Any] = {}

    def call(x: Tensor) -> object:
        side = x.shape[-1]
        if side not in sessions:
            sessions[side] = _session(model, x)
        return sessions[side].run(None, {"image": x.numpy()})[0]

    return call


def _session(model: RestorationModel, x: Tensor) -> Any:
    """A session for pictures of one size in batches of any size."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The exporter warns about itself.
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            copy.deepcopy(model),
            (x,),
            path,
            input_names=["image"],
            output_names=["restored"],
            dynamic_axes={"image": {0: "batch"}, "restored": {0: "batch"}},
            dynamo=False,
        )
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class JaxRun:
    """NAFCA's steps in JAX: the rule as in `lnca.nn.nafca`, compiled with its loop (jit and scan).

    It replaces a `lnca.runtime.automaton.NativeRun`, so the autoencoder is the same.

    Args:
        rule: the rule whose weights are copied; its update rate has to be 1.
    """

    precision: Precision = "float32"

    def __init__(self, rule: NAFCA):
        import jax

        if rule.update_rate != 1:
            raise ValueError(f"the update rate has to be 1, got {rule.update_rate}")
        self._weights = {name: value.detach().cpu().numpy() for name, value in rule.state_dict().items()}
        self._run = jax.jit(_steps, static_argnames=("steps", "inputs"))
        self._inputs = rule.input_channels

    def advance(self, cells: np.ndarray, steps: int, *_: Any, **__: Any) -> None:
        """Runs steps in place: cells (B, H, W, C), float32."""
        cells[...] = self._run(self._weights, cells, steps, self._inputs)


def _steps(weights: dict[str, Any], cells: Any, steps: int, inputs: int) -> Any:
    import jax

    def step(cells: Any, _: None) -> tuple[Any, None]:
        return cells.at[..., inputs:].add(_update(weights, cells)), None

    return jax.lax.scan(step, cells, None, length=steps)[0]


def _update(w: dict[str, Any], cells: Any) -> Any:
    """`NAFCA.update`, on (B, H, W, C)."""
    import jax.numpy as jnp

    def linear(name: str, x: Any) -> Any:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name: str, x: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def gate(x: Any) -> Any:
        first, second = jnp.split(x, 2, -1)
        return first * second

    x = linear("perception_embed", norm("perception_norm", cells))
    x = gate(jnp.repeat(x, 2, -1) * w["widen.weight"].ravel() + w["widen.bias"])
    taps = x @ w["attention.weight"][0].reshape(-1, 9)
    padded = jnp.pad(taps, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = cells.shape[1:3]
    shifts = [(row, column) for row in range(3) for column in range(3)]
    shifted = [padded[:, row : row + height, column : column + width, tap] for tap, (row, column) in enumerate(shifts)]
    attention = w["attention.bias"] + sum(shifted)
    y = cells + w["beta"] * linear("perception_project", x * attention[..., None])
    z = y + w["gamma"] * linear("update_project", gate(linear("update_embed", norm("update_norm", y))))
    return linear("head", norm("head_norm", z))
