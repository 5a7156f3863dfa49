"""`lnca bench`: the paper's efficiency tables."""

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import LncaError
from .declare import Argument, Group, Option
from .options import Device

if TYPE_CHECKING:
    import torch

app = Group("bench", help="Measure the paper's efficiency tables on this machine, all models in one run.")

Models = Annotated[str, Option(help="Names of models, separated by commas, or all.")]
Sizes = Annotated[str, Option(help="Sides of the pictures in pixels, separated by commas.")]
Batches = Annotated[str, Option(help="Batch sizes, separated by commas.")]
Rounds = Annotated[int, Option(min=1, help="Rounds, after one warm-up round.")]
Limit = Annotated[float, Option(min=0, help="Skip batches that take more seconds than this.")]
Threads = Annotated[int | None, Option(min=1, help="Threads; default: one per core.")]
Out = Annotated[Path | None, Option(help="JSON file for the result.")]
BACKWARD_MODELS = "latent-nafca,latent-vitca"


@app.declared()
def inference(
    models: Models = "all",
    sizes: Sizes = "32,64,128",
    batches: Batches = "8,16,32",
    rounds: Rounds = 10,
    limit: Limit = 60.0,
    threads: Threads = None,
    device: Device = "auto",
    out: Out = None,
) -> None:
    """Table 5: the time of one batch, beside the paper's figures."""
    finish(_inference(models, sizes, batches, rounds, limit, _machine(device, threads)), out)


@app.declared()
def train_memory(
    models: Models = "all",
    sizes: Sizes = "32,64,128",
    batches: Batches = "8,16,32",
    limit: Limit = 60.0,
    threads: Threads = None,
    device: Device = "auto",
    out: Out = None,
) -> None:
    """Table 3: the memory of training; for latent models, that of the larger phase."""
    finish(_train_memory(models, sizes, batches, limit, _machine(device, threads)), out)


@app.declared()
def train_latency(
    models: Models = "all",
    sizes: Sizes = "32,64,128",
    batches: Batches = "8,16,32",
    rounds: Rounds = 3,
    limit: Limit = 60.0,
    threads: Threads = None,
    device: Device = "auto",
    out: Out = None,
) -> None:
    """Table 4: the time of an epoch; for latent models, the sum of both phases."""
    finish(_train_latency(models, sizes, batches, rounds, limit, _machine(device, threads)), out)


@app.declared()
def backward(
    models: Models = BACKWARD_MODELS,
    size: Annotated[int, Option(min=8, help="Side of the pictures.")] = 64,
    batch: Annotated[int, Option(min=2, help="Pictures in a batch.")] = 8,
    rounds: Rounds = 5,
    threads: Threads = None,
    device: Device = "auto",
    out: Out = None,
) -> None:
    """Memory and time of each way to back-propagate through the steps."""
    finish(_backward(models, size, batch, rounds, _machine(device, threads)), out)


@app.declared("all")
def all_tables(
    models: Models = "all",
    sizes: Sizes = "32,64,128",
    batches: Batches = "8,16,32",
    rounds: Rounds = 5,
    limit: Limit = 6.0,
    threads: Threads = None,
    device: Device = "auto",
    out: Out = None,
) -> None:
    """All tables, in one file."""
    machine = _machine(device, threads)
    result = {
        "inference": _inference(models, sizes, batches, rounds, limit, machine),
        # Memory needs two batches of each and no rounds, so the limit may be higher.
        "train-memory": _train_memory(models, sizes, batches, 10 * limit, machine),
        "train-latency": _train_latency(models, sizes, batches, 3, limit, machine),
        "backward": _backward(BACKWARD_MODELS, 64, 8, rounds, machine),
    }
    finish(result, out)


@app.declared()
def figures(
    results: Annotated[list[Path], Argument(metavar="FILE...", help="JSON files that lnca bench wrote.")],
    out: Annotated[Path, Option(help="Folder for the pictures.")] = Path("figures"),
) -> None:
    """Draw the paper's figures 2, 3 and 4 from measured tables."""
    from ..measuring.figures import draw

    print(*draw([table for path in results for table in _tables(path)], out), sep="\n")


def _inference(
    models: str, sizes: str, batches: str, rounds: int, limit: float, device: "torch.device"
) -> dict[str, Any]:
    from ..measuring.inference import measure
    from ..paper.columns import chosen_models

    sides, counts = _numbers("--sizes", sizes), _numbers("--batches", batches)
    return measure(chosen_models(models), sides, counts, device, rounds, limit, _say)


def _train_memory(models: str, sizes: str, batches: str, limit: float, device: "torch.device") -> dict[str, Any]:
    from ..measuring.training import measure_memory
    from ..paper.columns import chosen_models

    sides, counts = _numbers("--sizes", sizes), _numbers("--batches", batches)
    return measure_memory(chosen_models(models), sides, counts, device, limit, _say)


def _train_latency(
    models: str, sizes: str, batches: str, rounds: int, limit: float, device: "torch.device"
) -> dict[str, Any]:
    from ..measuring.training import measure_latency
    from ..paper.columns import chosen_models

    sides, counts = _numbers("--sizes", sizes), _numbers("--batches", batches)
    return measure_latency(chosen_models(models), sides, counts, device, limit, rounds, _say)


def _backward(models: str, size: int, batch: int, rounds: int, device: "torch.device") -> dict[str, Any]:
    from ..measuring.training import measure_backward
    from ..paper.columns import chosen_models

    chosen = chosen_models(models)
    if wrong := [name for name in chosen if "vitca" not in name and "nafca" not in name]:
        raise LncaError(f"{wrong[0]} has no steps to go back through; give cellular automata")
    return measure_backward(chosen, size, batch, device, rounds, _say)


def _machine(device: str, threads: int | None) -> "torch.device":

    from ..kernels.devices import choose_device, use_threads

    if threads is not None:
        use_threads(threads)
    return choose_device(device)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def finish(result: dict[str, Any], out: Path | None) -> None:
    """Prints one table, or several by name, and then writes them: a failed write loses no result."""
    from ..files import write_whole
    from ..measuring.tables import as_text

    print("\n\n".join(as_text(table) for table in ([result] if "table" in result else result.values())), flush=True)
    if out is not None:
        write_whole(out, (json_format.dumps(result, indent=1) + "\n").encode())


def _tables(path: Path) -> list[dict[str, Any]]:
    """The tables in a file that `lnca bench` wrote."""
    try:
        result = json_format.loads(path.read_text("utf-8"))
        tables = [result] if "table" in result else list(result.values())
        if not all("rows" in table and "environment" in table for table in tables):
            raise ValueError("it holds no tables")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise LncaError(f"{path} is no result of lnca bench: {error}") from error
    return tables


def _numbers(option: str, text: str) -> list[int]:
    if not all(part.isdecimal() and int(part) for part in text.split(",")):
        raise LncaError(f"{option} should be numbers separated by commas, got {text!r}")
    return [int(part) for part in text.split(",")]
