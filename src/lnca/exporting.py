"""Trained models as ONNX graphs, and as torch programs, checked against the model itself.

A model of steps becomes three graphs with dynamic batch, height and width: encoder, some steps, decoder; `lnca.onnx`
runs them without torch.
"""

import contextlib
import copy
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from . import __version__, metrics
from .catalogue import ModelInfo, locate
from .errors import LncaError
from .files import write_whole
from .kernels.graph import GraphNAFCA
from .kernels.select import accelerate
from .nn.automaton import Automaton
from .nn.latent import LatentAutomaton
from .nn.nafca import NAFCA
from .nn.weights_file import load_weights
from .onnx import DESCRIPTION, FLOAT32, GRAPHS, OnnxRestorer, Variant
from .randomness import generator

Format = Literal["onnx", "torch"]

OPSET = 18
LARGEST_CELLS = 16384
TOLERANCE = 1e-4
PROGRAM = "model.pt2"


class Encoder(nn.Module):
    """Image (B, 3, H, W) -> fresh cells (B, H', W', C) and what goes past the automaton."""

    def __init__(self, model: LatentAutomaton):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        latent, skip = self.model.autoencoder.encode(image)
        return self.model.automaton.seed(latent), skip


class Steps(nn.Module):
    """Cells -> cells some steps later."""

    def __init__(self, model: LatentAutomaton, count: int):
        super().__init__()
        rule = model.automaton
        self.step = GraphNAFCA(rule) if type(rule) is NAFCA else _Step(rule)
        self.count = count

    def forward(self, cells: Tensor) -> Tensor:
        for _ in range(self.count):
            cells = self.step(cells)
        return cells


class _Step(nn.Module):
    """One step of any rule."""

    def __init__(self, rule: Automaton):
        super().__init__()
        self.rule = rule

    def forward(self, cells: Tensor) -> Tensor:
        return self.rule.step(cells)


class Decoder(nn.Module):
    """Cells and what went past them -> image (B, 3, H, W)."""

    def __init__(self, model: LatentAutomaton):
        super().__init__()
        self.model = model

    def forward(self, cells: Tensor, skip: Tensor) -> Tensor:
        return self.model.autoencoder.decode(self.model.automaton.read(cells), skip)


def export(
    name_or_path: str | Path, folder: str | Path, kind: Format = "onnx", steps_in_graph: int = 1,
    variants: Sequence[Variant] = (FLOAT32,), overwrite: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Writes a model's graphs, or its program, and a description of them to a folder.

    Args:
        name_or_path: a shipped model, or a weight file.
        kind: "onnx": encoder.onnx, steps.onnx and decoder.onnx; "torch": one program of `torch.export` that takes
            pictures and makes the model's own number of steps.
        steps_in_graph: steps that one run of steps.onnx makes; it divides the model's number.
        variants: "float32", "float16" (weights and arithmetic) and "int8" (weights of the steps' products), in files of
            their own.
        overwrite: replace what an earlier export left there.

    Returns:
        The description, with each variant's largest difference from the model, and the SSIM it costs.

    Raises:
        LncaError: no such model, one that is no latent automaton or has masks, a missing library, an export that is
            there already, or graphs that differ from the model.
    """
    module, info = load_weights(locate(name_or_path))
    if not isinstance(module, LatentAutomaton) or module.automaton.update_rate < 1:
        raise LncaError(f"{info.name} cannot be exported: only latent automata whose cells all take part in a step can")
    if steps_in_graph < 1 or module.steps % steps_in_graph:
        raise LncaError(f"{steps_in_graph} steps a graph do not divide the model's {module.steps}")
    accelerate(module, torch.device("cpu"), "plain")
    files = [f"{name}{OnnxRestorer.suffix(variant)}.onnx" for name in GRAPHS for variant in get_args(Variant)]
    earlier = [path for name in (*files, PROGRAM, DESCRIPTION) if (path := Path(folder) / name).exists()]
    if earlier and not overwrite:
        raise LncaError(f"{folder} holds an export; add --overwrite to replace it")
    with tempfile.TemporaryDirectory() as room:
        if kind == "torch":
            description = _export_program(module, info, Path(room))
        else:
            description = _export_graphs(module, info, Path(room), steps_in_graph, variants)
        for path in earlier:
            path.unlink(missing_ok=True)
        for path in Path(room).iterdir():
            write_whole(Path(folder) / path.name, path.read_bytes())
    return description


def _export_graphs(
    module: LatentAutomaton, info: ModelInfo, folder: Path, steps_in_graph: int, variants: Sequence[Variant]
) -> dict[str, Any]:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise LncaError(f"ONNX needs {error.name}: pip install 'lnca[export]'") from error
    checks: dict[str, dict[str, float]] = {}
    description = {
        "lnca": __version__, "model": info.name, "architecture": info.architecture, "steps": module.steps,
        "steps_in_graph": steps_in_graph, "multiple": module.autoencoder.multiple, "reach": module.autoencoder.reach,
        "opset": OPSET, "checks": checks,
    }  # fmt: skip
    graphs = dict(zip(GRAPHS, _graphs(module, steps_in_graph, description), strict=True))
    for variant in variants:
        for name, content in graphs.items():
            write_whole(folder / f"{name}{OnnxRestorer.suffix(variant)}.onnx", _varied(content, name, variant))
    write_whole(folder / DESCRIPTION, _json(description))
    for variant in variants:
        checks[variant] = check = _check(module, info, folder, variant)
        if variant == FLOAT32 and not check["largest difference"] <= TOLERANCE:
            raise LncaError(f"the graphs differ from {info.name} by {check['largest difference']:g}; please report it")
    write_whole(folder / DESCRIPTION, _json(description))
    return description


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters say of themselves and of libraries that are not here."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "root")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _graphs(model: LatentAutomaton, steps: int, description: dict[str, Any]) -> Iterator[bytes]:
    """Encoder, steps and decoder as ONNX files."""
    batch, rows, columns = (
        torch.export.Dim(name, min=low, max=LARGEST_CELLS) for name, low in (("batch", 1), ("rows", 2), ("columns", 2))
    )
    side = model.autoencoder.multiple
    image = torch.rand(2, 3, 5 * side, 6 * side)
    with torch.no_grad():
        cells, skip = Encoder(model)(image)
    # Positions of the skip-connection for each cell, on a side.
    share = skip.shape[-1] // cells.shape[2]
    pictures = {0: batch, 2: side * rows, 3: side * columns}
    lattices = {0: batch, 1: rows, 2: columns}
    skips = {0: batch, 2: share * rows, 3: share * columns}
    yield _graph(Encoder(model), (image,), ("image",), ("cells", "skip"), (pictures,), description)
    yield _graph(Steps(model, steps), (cells,), ("cells",), ("next_cells",), (lattices,), description)
    yield _graph(Decoder(model), (cells, skip), ("cells", "skip"), ("restored",), (lattices, skips), description)


def _graph(
    module: nn.Module, arguments: tuple[Tensor, ...], inputs: tuple[str, ...], outputs: tuple[str, ...],
    shapes: tuple[dict[int, Any], ...], description: dict[str, Any],
) -> bytes:  # fmt: skip
    import onnx

    with _quiet():
        program = torch.onnx.export(
            module.eval(), arguments, input_names=inputs, output_names=outputs, dynamic_shapes=shapes, dynamo=True,
            opset_version=OPSET, verbose=False,
        )  # fmt: skip
        assert program is not None
        graph = program.model_proto
    # What the exporter notes there (where in which source a node comes from, in no order) no reader needs.
    content = graph.graph
    for part in (content, *content.node, *content.initializer, *content.input, *content.output, *content.value_info):
        del part.metadata_props[:]
    told = ("lnca", "model", "architecture", "steps", "steps_in_graph", "multiple", "reach", "opset")
    onnx.helper.set_model_props(graph, {key: str(description[key]) for key in told})
    return graph.SerializeToString(deterministic=True)


def _varied(content: bytes, name: str, variant: Variant) -> bytes:
    """A graph in another precision; inputs and outputs stay float32."""
    if variant == FLOAT32 or (variant == "int8" and name != "steps"):
        return content
    import onnx

    with _quiet(), tempfile.TemporaryDirectory() as folder:
        if variant == "float16":
            from onnxruntime.transformers.float16 import convert_float_to_float16

            graph = convert_float_to_float16(onnx.load_from_string(content), keep_io_types=True)
            return graph.SerializeToString(deterministic=True)
        from onnxruntime.quantization import QuantType, quantize_dynamic

        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(content)
        quantize_dynamic(
            source, target, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul", "Gemm"]
        )
        return target.read_bytes()


def _check(model: LatentAutomaton, info: ModelInfo, folder: Path, variant: Variant) -> dict[str, float]:
    """How far the graphs are from the model on a photograph, corrupted as the model's task has it.

    The model computes in float64 here: what it rounds itself is not the graphs' difference.
    """
    from .demo import corruption, photograph
    from .restoration.pictures import to_tensor

    clean = to_tensor(photograph())[..., 100:290, 100:330]
    draw = generator("cpu", 0, "export")
    corrupted = corruption(info.card.get("task", "denoise"))(clean, draw)
    with torch.no_grad():
        expected = copy.deepcopy(model).double()(corrupted.double()).float()
    array = corrupted[0].permute(1, 2, 0).numpy()
    found = torch.from_numpy(OnnxRestorer(folder, variant).restore(array)).permute(2, 0, 1)[None]
    difference = (found - expected).abs()
    return {
        "largest difference": difference.max().item(),
        "mean difference": difference.mean().item(),
        "ssim": metrics.ssim(found, clean).item(),
        "ssim of the model": metrics.ssim(expected, clean).item(),
        "bytes": sum((folder / f"{name}{OnnxRestorer.suffix(variant)}.onnx").stat().st_size for name in GRAPHS),
    }


def _export_program(model: LatentAutomaton, info: ModelInfo, folder: Path) -> dict[str, Any]:
    """One program from picture to picture, whose sides are multiples of the coder's."""
    side = model.autoencoder.multiple
    rows, columns = (torch.export.Dim(name, min=2, max=LARGEST_CELLS) for name in ("rows", "columns"))
    batch = torch.export.Dim("batch", min=1, max=LARGEST_CELLS)

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.steps, self.decoder = Encoder(model), Steps(model, model.steps), Decoder(model)

        def forward(self, image: Tensor) -> Tensor:
            cells, skip = self.encoder(image)
            return self.decoder(self.steps(cells), skip)

    shapes = ({0: batch, 2: side * rows, 3: side * columns},)
    with _quiet(), torch.no_grad():
        program = torch.export.export(Whole().eval(), (torch.rand(2, 3, 5 * side, 6 * side),), dynamic_shapes=shapes)
        image = torch.rand(1, 3, 9 * side, 4 * side)
        difference = (program.module()(image) - model(image)).abs().max().item()
    if not difference <= TOLERANCE:
        raise LncaError(f"the program differs from {info.name} by {difference:g}; please report it")
    room = io.BytesIO()
    torch.export.save(program, room)
    write_whole(folder / PROGRAM, room.getvalue())
    description = {
        "lnca": __version__, "model": info.name, "architecture": info.architecture, "steps": model.steps,
        "multiple": side, "checks": {FLOAT32: {"largest difference": difference}},
    }  # fmt: skip
    write_whole(folder / DESCRIPTION, _json(description))
    return description
