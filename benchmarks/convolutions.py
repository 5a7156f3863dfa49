"""Compares 3x3 convolutions by the Winograd algorithm (`runtime/cpu/winograd.h`) with direct convolutions.

Measures time and error against float64 for layers of the models for photographs, on one thread, with every available
instruction set, and then whole restorations.

    python benchmarks/convolutions.py
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch
from weakref import WeakValueDictionary

import numpy as np
import torch
from rich import print as show
from torch import Tensor, nn

import lnca
from lnca.files import write_whole
from lnca.kernels.cpu import weights_of
from lnca.kernels.devices import use_threads
from lnca.measuring.measure import environment, time_together
from lnca.memory import keep_freed_memory
from lnca.runtime import convolution, models
from lnca.runtime.convolution import Band, NativeConvolution
from lnca.runtime.layers import convolution as layer_of
from lnca.runtime.native import INSTRUCTION_SETS, best_level

RESULT = Path(__file__).parent / "results" / "convolutions.json"
WAYS = {"every tap": convolution.MAX_INPUTS + 1, "transformed": convolution.WINOGRAD_MIN_INPUTS}
# Numbers of input and output channels.
LAYERS = [(32, 32), (64, 32), (96, 96), (32, 3), (8, 16)]
MODELS = ["photo-denoise", "lnca-denoise"]
SIDE, PICTURE, ROUNDS = 128, 512, 7


def compared(ways: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Times of both algorithms, measured in turn."""
    times = time_together(ways, ROUNDS, torch.device("cpu"))
    return {
        "seconds": {name: timing.as_json() for name, timing in times.items()},
        "times faster": round(times["every tap"].median / times["transformed"].median, 2),
    }


def layer(inputs: int, outputs: int, level: str) -> dict[str, Any]:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)
    made, x = layer_of(weights_of(conv), inputs, outputs), torch.randn(1, SIDE, SIDE, inputs)
    with torch.no_grad():
        expected = conv.double()(x.double().permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    ways: dict[str, Callable[[], Band]] = {}
    for name, min_inputs in WAYS.items():
        with patch.object(convolution, "WINOGRAD_MIN_INPUTS", min_inputs):
            ways[name] = partial(NativeConvolution(made, level), Band(x.numpy(), 0, SIDE), 0, SIDE)
    errors = {name: float(np.abs(way().values - expected.numpy()).max()) for name, way in ways.items()}
    return {"level": level, "inputs": inputs, "outputs": outputs, "largest error": errors, **compared(ways)}


def restoration(name: str) -> dict[str, Any]:
    picture = torch.rand(PICTURE, PICTURE, 3).numpy()
    ways: dict[str, Callable[[], Any]] = {}
    for way, min_inputs in WAYS.items():
        # Models that share their cells must not share them with the other way.
        apart = patch.object(models, "_pyramids", WeakValueDictionary[object, models.Pyramid]())
        with apart, patch.object(convolution, "WINOGRAD_MIN_INPUTS", min_inputs):
            restorer = lnca.load(name, "cpu", "fused")
            restorer.restore(picture[:64, :64])
        ways[way] = partial(restorer.restore, picture)
    results: list[Tensor] = [torch.from_numpy(way()) for way in ways.values()]
    difference = (results[0] - results[1]).abs().max().item()
    assert difference > 0, f"both ways of {name} are the same"
    return {"model": name, "largest difference": difference, **compared(ways)}


def main() -> None:
    use_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    content: dict[str, Any] = {"environment": environment(torch.device("cpu"))}
    best = best_level()
    assert best is not None
    levels = [
        level for level in INSTRUCTION_SETS[: INSTRUCTION_SETS.index(best) + 1] if level not in ("avx512bf16", "amx")
    ]
    content["layers"] = [layer(*channels, level) for level in levels for channels in LAYERS]
    content["restorations"] = [restoration(name) for name in MODELS]
    write_whole(RESULT, (json.dumps(content, indent=2) + "\n").encode())
    show([(row["level"], row["inputs"], row["outputs"], row["times faster"]) for row in content["layers"]])
    show([(row["model"], row["times faster"], row["largest difference"]) for row in content["restorations"]])


if __name__ == "__main__":
    main()
