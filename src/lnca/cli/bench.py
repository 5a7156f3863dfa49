"""`lnca bench inference`."""

import json as json_format
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import LncaError
from .options import Device

app = typer.Typer(help="The paper's efficiency tables, measured here, all models in one run.")


@app.callback()
def _bench() -> None:
    """The paper's efficiency tables, measured here, all models in one run."""


@app.command()
def inference(
    models: Annotated[str, typer.Option(help="Names, separated by commas, or all.")] = "all",
    sizes: Annotated[str, typer.Option(help="Sides of the pictures, separated by commas.")] = "32,64,128",
    batches: Annotated[str, typer.Option(help="Pictures in a batch, separated by commas.")] = "8,16,32",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, after one that is dropped.")] = 10,
    limit: Annotated[float, typer.Option(min=0, help="Leave out what takes more seconds a batch.")] = 60.0,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; default: one a core.")] = None,
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option(help="JSON file of the result.")] = None,
) -> None:
    """Table 5: the time of one batch, the paper's figures beside ours."""
    import torch

    from ..benchmark.inference import as_text, measure
    from ..files import write_whole
    from ..paper.columns import chosen_models
    from ..restoration.restorer import choose_device

    if threads is not None:
        torch.set_num_threads(threads)
    result = measure(
        chosen_models(models), _numbers("--sizes", sizes), _numbers("--batches", batches), choose_device(device),
        rounds, limit, lambda text: print(text, file=sys.stderr),
    )  # fmt: skip
    if out is not None:
        write_whole(out, (json_format.dumps(result, indent=1) + "\n").encode())
    print(as_text(result))


def _numbers(option: str, text: str) -> list[int]:
    if not all(part.isdecimal() and int(part) for part in text.split(",")):
        raise LncaError(f"{option} should be numbers separated by commas, got {text!r}")
    return [int(part) for part in text.split(",")]
