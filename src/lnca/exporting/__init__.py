"""Exports trained models as ONNX graphs or torch programs, and checks them against the model.

ONNX graphs have three forms. "image" is one graph from picture to picture. "tiles" are three graphs for hosts that cut
pictures into tiles. "cells" are three graphs for encoder, steps and decoder of a latent automaton. `lnca.onnx` runs the
forms "image" and "cells" without torch.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from ..catalogue import ModelInfo, locate
from ..errors import LncaError
from ..files import write_together, write_whole
from ..kernels.select import accelerate
from ..nn.latent import LatentAutomaton
from ..nn.model import SteppedModel
from ..nn.pyramid import PyramidAutomaton
from ..nn.weights_file import load_weights
from ..onnx import DESCRIPTION, FLOAT32, GRAPHS, Form, Variant, file_name
from ..version import __version__
from .cells import CellsExport
from .graphs import OPSET, TOLERANCE, as_json, check_libraries, model_props
from .image import ImageExport, TilesExport
from .program import export_program

Format = Literal["onnx", "torch"]

PROGRAM = "model.pt2"
# Graphs of a former int8 variant, which --overwrite removes too.
FORMER = tuple(f"{name}-int8.onnx" for name in GRAPHS["cells"])


def export(
    name_or_path: str | Path,
    folder: str | Path,
    kind: Format = "onnx",
    steps_in_graph: int = 1,
    variants: Sequence[Variant] = (FLOAT32,),
    overwrite: bool = False,
    form: Form | None = None,
) -> dict[str, Any]:
    """Writes a model's graphs or its program, and a description of them, to a folder.

    Args:
        name_or_path: a shipped model, or a weight file.
        folder: the folder, which is created.
        kind: "onnx", or "torch": one program of `torch.export` from picture to picture, with the model's own number of
            steps.
        steps_in_graph: number of steps in steps.onnx, in the form "cells"; it divides the model's number of steps.
        variants: "float32", and "float16" for weights and arithmetic except the estimate of the noise level; each in
            its own files.
        overwrite: whether to replace an earlier export.
        form: "image" (image.onnx) or "tiles" (guesses.onnx, levels.onnx and restore.onnx) for models that take a noise
            level; "cells" (encoder.onnx, steps.onnx and decoder.onnx) for latent automata. None means "image", or
            "cells" for latent automata.

    Returns:
        The description, with the largest difference from the model and the SSIM of each variant.

    Raises:
        LncaError: the model does not exist, is no automaton of these kinds, has update masks, or does not have the
            form; a library is missing; the folder holds an export; or the graphs differ from the model.
    """
    module, info = load_weights(locate(name_or_path))
    if not isinstance(module, PyramidAutomaton) and not (
        isinstance(module, LatentAutomaton) and module.automaton.update_rate == 1
    ):
        raise LncaError(f"{info.name} cannot be exported: only automata whose cells all take part in a step can")
    exporter = _exporter(module, info, form, steps_in_graph)
    accelerate(module, torch.device("cpu"), "plain")
    names = {file_name(name, variant) for form in GRAPHS.values() for name in form for variant in get_args(Variant)}
    earlier = [path for name in (*names, *FORMER, PROGRAM, DESCRIPTION) if (path := Path(folder) / name).exists()]
    if earlier and not overwrite:
        raise LncaError(f"{folder} holds an export; add --overwrite to replace it")
    with temporary_folder() as temporary:
        if kind == "torch":
            description = {"lnca": __version__, "model": info.name, "architecture": info.architecture}
            description |= export_program(module, info, Path(temporary) / PROGRAM)
            write_whole(Path(temporary) / DESCRIPTION, as_json(description))
        else:
            description = _export_graphs(exporter, info, Path(temporary), variants)
        # The description is written last: without it a folder is no export.
        written = sorted(Path(temporary).iterdir(), key=lambda path: (path.name == DESCRIPTION, path.name))
        write_together(Path(folder), {path.name: path.read_bytes() for path in written})
        for path in set(earlier) - {Path(folder) / path.name for path in written}:
            path.unlink(missing_ok=True)
    return description


@contextlib.contextmanager
def temporary_folder() -> Iterator[str]:
    """A temporary folder; raises `LncaError` for every `OSError` within the context."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield folder
    except OSError as error:
        where = tempfile.gettempdir()
        raise LncaError(f"cannot write to {where}: {error.strerror or error}; set TMPDIR to another folder") from error


def _exporter(
    module: SteppedModel, info: ModelInfo, form: Form | None, steps_in_graph: int
) -> CellsExport | ImageExport | TilesExport:
    if isinstance(module, LatentAutomaton):
        if form not in (None, "cells"):
            raise LncaError(f"{info.name} has the form cells only, got {form!r}; leave --form out")
        return CellsExport(module, info, steps_in_graph)
    assert isinstance(module, PyramidAutomaton)
    if form == "cells":
        raise LncaError(f"{info.name} has the forms image and tiles, got 'cells'; leave --form out for image")
    if steps_in_graph != 1:
        raise LncaError(f"the graph of {info.name} makes all steps; leave --steps-in-graph out")
    return TilesExport(module, info) if form == "tiles" else ImageExport(module, info)


def _export_graphs(
    exporter: CellsExport | ImageExport | TilesExport, info: ModelInfo, folder: Path, variants: Sequence[Variant]
) -> dict[str, Any]:
    check_libraries()
    checks: dict[str, dict[str, float]] = {}
    description = {
        "lnca": __version__,
        "model": info.name,
        "architecture": info.architecture,
        "form": exporter.form,
        **exporter.facts(),
        "opset": OPSET,
        "checks": checks,
    }
    graphs = exporter.graphs(model_props(description, info))
    for variant in variants:
        for name, content in graphs.items():
            write_whole(folder / file_name(name, variant), exporter.varied(name, content, variant))
    write_whole(folder / DESCRIPTION, as_json(description))
    for variant in variants:
        checks[variant] = check = exporter.check(folder, variant)
        check["bytes"] = sum((folder / file_name(name, variant)).stat().st_size for name in graphs)
        if variant == FLOAT32 and not check["largest difference"] <= TOLERANCE:
            raise LncaError(f"the graphs differ from {info.name} by {check['largest difference']:g}; please report it")
    write_whole(folder / DESCRIPTION, as_json(description))
    return description
