"""Exports torch modules as ONNX files, with metadata and in half precision, and compares them on a photograph."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .. import metrics
from ..catalogue import ModelInfo
from ..demo import corruption, photograph
from ..errors import LncaError
from ..randomness import numpy_generator
from ..restoration.pictures import to_array, to_tensor

OPSET = 18
# Largest number of rows and columns of cells of a graph.
LARGEST_CELLS = 16384
# Largest allowed difference of a float32 graph from the model, of pixels in [0, 1].
TOLERANCE = 1e-4
# Fields of the description, and of the card, that are metadata of every graph, besides the whole card.
PROPERTIES = ("lnca", "model", "architecture", "form", "steps", "steps_in_graph", "multiple", "reach", "opset")
CARD_PROPERTIES = {"licence": "licence", "data": "training data"}


def as_json(content: dict[str, Any]) -> bytes:
    """JSON text with a newline at the end."""
    return (json.dumps(content, indent=2) + "\n").encode()


def model_props(description: dict[str, Any], info: ModelInfo) -> dict[str, str]:
    """The metadata of a graph: the fields `PROPERTIES` and `CARD_PROPERTIES`, as far as they exist, and the card as
    JSON."""
    described = {key: str(description[key]) for key in PROPERTIES if key in description}
    known = {name: str(info.card[key]) for key, name in CARD_PROPERTIES.items() if key in info.card}
    return {**described, **known, "card": json.dumps(info.card, sort_keys=True)}


def check_libraries() -> None:
    """Raises `LncaError` if a library that writes graphs is missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise LncaError(f"ONNX needs {error.name}: pip install 'lnca[export]'") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppresses the messages and warnings of the exporters."""
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


def graph(
    module: nn.Module,
    arguments: tuple[Tensor, ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    shapes: tuple[dict[int, Any], ...],
    props: dict[str, str],
) -> Any:
    """A module as an `onnx.ModelProto`.

    Args:
        arguments: example arguments; no dynamic dimension has size 0 or 1.
        inputs, outputs: names of the inputs and outputs.
        shapes: dynamic dimensions of each argument.
        props: metadata of the graph.
    """
    import onnx

    with quiet():
        program = torch.onnx.export(
            module.eval(),
            arguments,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=shapes,
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
        )
        assert program is not None
        model = program.model_proto
    # The exporter's notes on the source of each node have no fixed order, and are not needed.
    content = model.graph
    for part in (content, *content.node, *content.initializer, *content.input, *content.output, *content.value_info):
        del part.metadata_props[:]
    onnx.helper.set_model_props(model, props)
    return model


def to_bytes(model: Any) -> bytes:
    """An `onnx.ModelProto` as the content of a file, always the same bytes for the same graph."""
    return bytes(model.SerializeToString(deterministic=True))


def halved(content: bytes, exact: tuple[str, ...] = ()) -> bytes:
    """A graph with weights and arithmetic in float16; inputs and outputs stay float32.

    Args:
        exact: names of outputs that stay in float32, with all nodes that they depend on.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = onnx.load_from_string(content)
    kept = _leading_to(model.graph, set(exact))
    with quiet():
        half = convert_float_to_float16(model, keep_io_types=True, node_block_list=kept)
        # The conversion appends its casts, and ONNX wants nodes to come after those that they depend on.
        OnnxModel.graph_topological_sort(half.graph)
    return to_bytes(half)


def _leading_to(graph: Any, wanted: set[str]) -> list[str]:
    """Names of the nodes on which the values with these names depend."""
    names = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted |= set(node.input)
            names.append(node.name)
    return names


def probe(info: ModelInfo) -> tuple[Tensor, Tensor]:
    """A photograph, and the same with the corruption of the model's task, (1, 3, 190, 237) in [0, 1]. The sides are no
    multiples of the side of a cell."""
    clean = to_array(photograph())[100:290, 100:337]
    given = corruption(info.card.get("task", "denoise"))(clean, numpy_generator(0, "export"))
    return to_tensor(clean), to_tensor(given)


def compared(found: Tensor, expected: Tensor, clean: Tensor) -> dict[str, float]:
    """Differences between the pictures of a graph and of the model, and the SSIM of both with the clean picture."""
    difference = (found - expected).abs()
    return {
        "largest difference": difference.max().item(),
        "mean difference": difference.mean().item(),
        "ssim": metrics.ssim(found, clean).item(),
        "ssim of the model": metrics.ssim(expected, clean).item(),
    }
