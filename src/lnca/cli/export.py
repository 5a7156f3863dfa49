"""`lnca export`."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..catalogue import DEFAULT_MODEL
from ..errors import LncaError
from .declare import Option
from .options import Json, Overwrite

if TYPE_CHECKING:
    from ..exporting import Format
    from ..onnx import Form, Variant


def export(
    out: Annotated[Path, Option(help="Folder for the graphs.")],
    model: Annotated[
        str, Option("-m", "--model", help="A name that `lnca models` lists, or a weight file.")
    ] = DEFAULT_MODEL,
    kind: Annotated[str, Option("--format", help="onnx: ONNX graphs; torch: one torch.export program.")] = "onnx",
    form: Annotated[
        str | None,
        Option(
            help="Of ONNX: image, one graph from picture to picture; tiles, three for hosts that cut tiles; cells, a "
            "latent automaton's encoder, steps and decoder. The model's first of these when left out. Or darktable: a "
            ".dtmodel file, which darktable imports.",
        ),
    ] = None,
    steps_in_graph: Annotated[
        int, Option(min=1, help="Steps that one run of the steps' graph makes, in the form cells.")
    ] = 1,
    variants: Annotated[str, Option(help="Of ONNX, comma-separated: float32, float16.")] = "float32,float16",
    tile: Annotated[
        int | None,
        Option(help="Side of the tiles in pixels, in the form darktable; 768 when left out."),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a model as ONNX graphs, for darktable, or as a torch program, checked against the model."""
    kind, chosen = _checked_format(kind), [_checked_variant(name) for name in variants.split(",")]
    if form == "darktable":
        description = _for_darktable(model, out, kind, steps_in_graph, tile, overwrite)
    elif tile is not None:
        raise LncaError("--tile is for --form darktable; graphs of other forms take any size")
    else:
        from ..exporting import export

        description = export(model, out, kind, steps_in_graph, chosen, overwrite, _checked_form(form))
    if json:
        print(json_format.dumps(description, indent=2))
        return
    for name, check in description["checks"].items():
        ssim = f", SSIM {check['ssim'] - check['ssim of the model']:+.5f}" if "ssim" in check else ""
        print(f"{name:8} differs by at most {check['largest difference']:.2g}{ssim}")
    print(description.get("file", out))


def _for_darktable(
    model: str, out: Path, kind: "Format", steps_in_graph: int, tile: int | None, overwrite: bool
) -> dict[str, Any]:
    if kind != "onnx" or steps_in_graph != 1:
        raise LncaError("--form darktable writes one ONNX graph of all steps; leave --format and --steps-in-graph out")
    from ..exporting.darktable import TILE, export_darktable

    return export_darktable(model, out, tile=TILE if tile is None else tile, overwrite=overwrite)


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
            raise LncaError(f"--form should be darktable, image, tiles or cells, got {name!r}")


def _checked_variant(name: str) -> "Variant":
    match name.strip():
        case "float32":
            return "float32"
        case "float16":
            return "float16"
        case _:
            raise LncaError(f"--variants should be of float32 and float16, got {name!r}")
