"""Times the steps without the autoencoder: plain, compiled, in JAX and fused, in turn, in one run."""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lnca.errors import LncaError
from lnca.files import write_whole
from lnca.kernels.cpu import FusedRun
from lnca.kernels.devices import use_threads
from lnca.kernels.gpu import CompiledRun
from lnca.measuring.inference import MATRIX_PRECISION, model_of
from lnca.measuring.measure import environment, register_rate, time_together
from lnca.measuring.opponents import JaxRun, jax_is_here
from lnca.nn.nafca import NAFCA
from lnca.runtime.native import Precision

STEPS = 64
# Batch, rows and columns of cells; a cell is 4x4 pixels.
LATTICES = ((8, 8, 8), (8, 16, 16), (8, 32, 32), (32, 32, 32))
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def operations(rule: Any) -> int:
    """Operations of a cell and step, in the linear maps and the convolution."""
    maps = [m for m in rule.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
    return sum(2 * layer.weight.numel() for layer in maps)


@torch.inference_mode()
def _plain(rule: Any, cells: Tensor, precision: Precision) -> Tensor:
    with torch.autocast("cpu", MATRIX_PRECISION[precision], enabled=precision != "float32"):
        result: Tensor = rule.run(cells, STEPS)
        return result


def _in_jax(run: JaxRun, cells: Tensor) -> None:
    run.advance(cells.numpy().copy(), STEPS)


def ways(rule: Any) -> dict[str, Callable[[Tensor], object]]:
    """The available implementations of the steps, by name."""
    found: dict[str, Callable[[Tensor], object]] = {}
    for precision in PRECISIONS:
        found[f"plain {precision}"] = partial(_plain, rule, precision=precision)
        found[f"compiled {precision}"] = partial(CompiledRun(rule, precision), steps=STEPS)
        try:
            found[f"fused {precision}"] = partial(FusedRun(rule, precision), steps=STEPS)
        except LncaError as error:
            print(error, file=sys.stderr)
    if isinstance(rule, NAFCA) and jax_is_here():
        found["JAX float32"] = partial(_in_jax, JaxRun(rule))
    return found


def measure(names: list[str], lattices: tuple[tuple[int, int, int], ...], rounds: int) -> dict[str, Any]:
    """Rows with time, ratio to plain float32, and share of the rate of multiplications and additions in registers."""
    peak: dict[str, float | None] = {name: register_rate(MATRIX_PRECISION[name]) for name in PRECISIONS}
    rows = []
    for name in names:
        model: Any = model_of(name, torch.device("cpu"))
        rule = model.automaton
        candidates = ways(rule)
        for batch, height, width in lattices:
            print(f"{name}, {batch} lattices of {width}x{height} cells", file=sys.stderr)
            cells = rule.seed(torch.rand(batch, height, width, rule.input_channels))
            runs: dict[str, Callable[[], object]] = {way: partial(run, cells) for way, run in candidates.items()}
            timings = time_together(runs, rounds, torch.device("cpu"))
            for way, timing in timings.items():
                rate = operations(rule) * cells[..., 0].numel() * STEPS / timing.median
                roof = peak[way.rpartition(" ")[2]]
                rows.append(
                    {
                        "model": name,
                        "batch": batch,
                        "rows": height,
                        "columns": width,
                        "way": way,
                        "seconds": timing.as_json(),
                        "times_faster_than_plain": timings["plain float32"].median / timing.median,
                        "share_of_peak": roof and rate / roof,
                    }
                )
    return {"environment": environment(torch.device("cpu")), "steps": STEPS, "register_rate": peak, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["latent-nafca", "latent-vitca"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    use_threads(arguments.threads)
    result = measure(arguments.models, LATTICES, arguments.rounds)
    if arguments.out:
        write_whole(arguments.out, (json.dumps(result, indent=1) + "\n").encode())
    for row in result["rows"]:
        share = "" if row["share_of_peak"] is None else f"{row['share_of_peak']:6.0%} of peak"
        print(
            f"{row['model']:13} {row['batch']:3} x {row['columns']}x{row['rows']:<4} {row['way']:18} "
            f"{1000 * row['seconds']['median']:9.1f} ms {row['times_faster_than_plain']:6.2f}x {share}"
        )


if __name__ == "__main__":
    main()
