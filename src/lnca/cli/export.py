"""`lnca export`."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..catalogue import DEFAULT_MODEL
from ..errors import LncaError
from .options import Json, Overwrite

if TYPE_CHECKING:
    from ..exporting import Format
    from ..onnx import Form, Variant


def export(
    out: Annotated[Path, typer.Option(help="Folder for the graphs.")],
    model: Annotated[
        str, typer.Option("-m", "--model", help="A name that `lnca models` lists, or a weight file.")
    ] = DEFAULT_MODEL,
    kind: Annotated[str, typer.Option("--format", help="onnx: ONNX graphs; torch: one torch.export program.")] = "onnx",
    form: Annotated[
        str | None,
        typer.Option(
            help="Of ONNX: image, one graph from picture to picture; tiles, three for hosts that cut tiles; cells, a "
            "latent automaton's encoder, steps and decoder. The model's first of these when left out.",
            show_default=False,
        ),
    ] = None,
    steps_in_graph: Annotated[
        int, typer.Option(min=1, help="Steps that one run of the steps' graph makes, in the form cells.")
    ] = 1,
    variants: Annotated[str, typer.Option(help="Of ONNX, comma-separated: float32, float16.")] = "float32,float16",
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a model as ONNX graphs or as a torch program, checked against the model."""
    from ..exporting import export

    chosen = [_checked_variant(name) for name in variants.split(",")]
    description = export(model, out, _checked_format(kind), steps_in_graph, chosen, overwrite, _checked_form(form))
    if json:
        print(json_format.dumps(description, indent=2))
        return
    for name, check in description["checks"].items():
        ssim = f", SSIM {check['ssim'] - check['ssim of the model']:+.5f}" if "ssim" in check else ""
        print(f"{name:8} differs by at most {check['largest difference']:.2g}{ssim}")
    print(out)


def _checked_format(name: str) -> "Format":
    match name:
        case "onnx" | "torch":
            return name
        case _:
            raise LncaError(f"--format should be onnx or torch, got {name!r}")


def _checked_form(name: str | None) -> "Form | None":
    match name:
        case None | "image" | "tiles" | "cells":
            return name
        case _:
            raise LncaError(f"--form should be image, tiles or cells, got {name!r}")


def _checked_variant(name: str) -> "Variant":
    match name.strip():
        case "float32":
            return "float32"
        case "float16":
            return "float16"
        case _:
            raise LncaError(f"--variants should be of float32 and float16, got {name!r}")
