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
    from ..onnx import Variant


def export(
    out: Annotated[Path, typer.Option(help="Folder for the graphs.")],
    model: Annotated[str, typer.Option(help="A name that `lnca models` lists, or a weight file.")] = DEFAULT_MODEL,
    kind: Annotated[
        str, typer.Option("--format", help="onnx: encoder, steps, decoder; torch: one torch.export program.")
    ] = "onnx",
    steps_in_graph: Annotated[int, typer.Option(min=1, help="Steps that one run of the steps' graph makes.")] = 1,
    variants: Annotated[
        str, typer.Option(help="Of ONNX, comma-separated: float32, float16, int8.")
    ] = "float32,float16,int8",
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a model as ONNX graphs or as a torch program, checked against the model."""
    from ..exporting import export

    chosen = [_checked_variant(name) for name in variants.split(",")]
    description = export(model, out, _checked_format(kind), steps_in_graph, chosen, overwrite)
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


def _checked_variant(name: str) -> "Variant":
    match name.strip():
        case "float32":
            return "float32"
        case "float16":
            return "float16"
        case "int8":
            return "int8"
        case _:
            raise LncaError(f"--variants should be of float32, float16 and int8, got {name!r}")
