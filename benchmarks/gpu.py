"""Measurements that need a GPU (make bench-gpu): correctness of the Triton steps, the best block sizes, the efficiency
tables, and restored video frames a second. Each part writes a JSON file with the name of the device."""

import argparse
import copy
import itertools
import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lnca.files import write_whole
from lnca.kernels.gpu import BLOCK, WARPS, TritonRun
from lnca.kernels.select import OnDevice
from lnca.measuring.inference import measure, model_of
from lnca.measuring.measure import environment, time_together
from lnca.measuring.tables import as_text
from lnca.measuring.training import measure_backward, measure_latency, measure_memory
from lnca.nn.nafca import NAFCA
from lnca.paper.columns import GROUPS
from lnca.runtime.native import Precision

MODELS = GROUPS["all"]
AUTOMATA = ["latent-nafca", "latent-vitca", "vitca"]
SIDES, BATCHES = [32, 64, 128], [8, 16, 32]
VIDEO = ((1920, 1080), (3840, 2160))
# Largest relative error of the cells after 8 steps, see docs/research/speed.md.
ALLOWED: dict[Precision, float] = {"float32": 1e-5, "bfloat16": 5e-3}


def check(device: torch.device, cells: int = 24, steps: int = 8) -> dict[str, Any]:
    """Largest difference of the fused steps from the plain rule in float64, relative to the largest value."""
    rows = []
    for name, precision in itertools.product(AUTOMATA, ALLOWED):
        model: Any = model_of(name, device)
        rule = model.automaton
        for parameter in rule.parameters():
            torch.nn.init.normal_(parameter, std=0.15 if parameter.ndim > 1 else 0.3)
        torch.nn.init.normal_(rule.head.weight, std=0.02)
        image = torch.randn(3, cells, cells - 1, rule.input_channels, device=device)
        start = rule.seed(image)
        with torch.inference_mode():
            expected = copy.deepcopy(rule).double().run(start.double(), steps, 3)
            found = TritonRun(rule, precision)(start, steps, 3)
        error = ((found - expected).abs().max() / expected.abs().max()).item()
        rows.append({"model": name, "precision": precision, "error": error, "right": error < ALLOWED[precision]})
    return {"environment": environment(device), "rows": rows}


def blocks(
    device: torch.device,
    side: int = 32,
    batch: int = 32,
    steps: int = 64,
    rounds: int = 10,
    choices: tuple[tuple[int, int], ...] = ((32, 4), (64, 4), (64, 8), (128, 8)),
) -> dict[str, Any]:
    """Time of the steps alone, for the cells and warps of a program."""
    rows = []
    for name, precision in itertools.product(AUTOMATA[:2], ALLOWED):
        model: Any = model_of(name, device)
        rule = model.automaton
        start = rule.seed(torch.rand(batch, side, side, rule.input_channels, device=device))
        runs: dict[str, Callable[[], object]] = {}
        for block, warps in choices:
            run = TritonRun(rule, precision, block, warps)
            try:
                run(start, steps)
            except Exception as error:
                # Triton has its own errors, mostly for blocks with too little shared memory.
                rows.append(
                    {"model": name, "precision": precision, "block": block, "warps": warps, "error": str(error)}
                )
                continue
            runs[f"{block} {warps}"] = partial(run, start, steps)
        for key, timing in time_together(runs, rounds, device).items():
            block, warps = map(int, key.split())
            rows.append(
                {
                    "model": name,
                    "precision": precision,
                    "block": block,
                    "warps": warps,
                    "seconds": timing.as_json(),
                    "chosen": (block, warps) == (BLOCK, WARPS),
                }
            )
    return {"environment": environment(device), "cells": [batch, side, side], "steps": steps, "rows": rows}


def frames(
    device: torch.device, sizes: tuple[tuple[int, int], ...] = VIDEO, rounds: int = 10, steps: int = 64
) -> dict[str, Any]:
    """Frames a second of the latent models, encoder and decoder included, one picture at a time."""
    rows = []
    for name, (width, height) in itertools.product(AUTOMATA[:2], sizes):
        model: Any = model_of(name, device)
        model.automaton.runner = OnDevice(TritonRun(model.automaton, "bfloat16"), device.type)
        picture = torch.rand(1, 3, height, width, device=device)

        timing = time_together({"": partial(_restored, model, picture, steps)}, rounds, device)[""]
        rows.append(
            {
                "model": name,
                "rule": "NAFCA" if isinstance(model.automaton, NAFCA) else "ViTCA",
                "width": width,
                "height": height,
                "seconds": timing.as_json(),
                "frames_a_second": 1 / timing.median,
            }
        )
    return {"environment": environment(device), "rows": rows}


@torch.inference_mode()
def _restored(model: Any, picture: torch.Tensor, steps: int) -> object:
    with torch.autocast(picture.device.type, torch.bfloat16):
        return model(picture, steps)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


PARTS: dict[str, Callable[[torch.device], dict[str, Any]]] = {
    "check": check,
    "blocks": blocks,
    "frames": frames,
    "inference": lambda device: measure(MODELS, SIDES, BATCHES, device, 10, 20.0, _say),
    "train-memory": lambda device: measure_memory(MODELS, SIDES, BATCHES, device, 60.0, _say),
    "train-latency": lambda device: measure_latency(MODELS, SIDES, BATCHES, device, 60.0, 3, _say),
    "backward": lambda device: measure_backward(AUTOMATA, 128, 32, device, 5, _say),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"parts to measure, of {', '.join(PARTS)}; default: all")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the JSON files")
    arguments = parser.parse_args()
    if wrong := [part for part in arguments.parts if part not in PARTS]:
        parser.error(f"no part {wrong[0]!r}; choose {', '.join(PARTS)}")
    if not torch.cuda.is_available():
        print("bench-gpu: no CUDA device here; run it on a machine with one", file=sys.stderr)
        raise SystemExit(2)
    device = torch.device("cuda")
    name = re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name(device).lower()).strip("-")
    for part in arguments.parts or PARTS:
        _say(f"{part} on {name}")
        result = PARTS[part](device)
        write_whole(arguments.out / f"gpu-{part}-{name}.json", (json.dumps(result, indent=1) + "\n").encode())
        print(as_text(result) if "table" in result else "\n".join(json.dumps(row) for row in result["rows"]))


if __name__ == "__main__":
    main()
