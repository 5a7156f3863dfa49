"""ONNX files of torch modules: exported, told what they are, and in half precision; and a picture to check them on."""

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
LARGEST_CELLS = 16384
TOLERANCE = 1e-4
# Of the description and of the card, what every graph carries; the card as a whole besides.
TOLD = ("lnca", "model", "architecture", "form", "steps", "steps_in_graph", "multiple", "reach", "opset")
OF_CARD = {"licence": "licence", "data": "training data"}


def as_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def model_props(description: dict[str, Any], info: ModelInfo) -> dict[str, str]:
    """What a graph says of itself: names of `TOLD` and `OF_CARD` as far as they are known, and the card as JSON."""
    told = {key: str(description[key]) for key in TOLD if key in description}
    known = {name: str(info.card[key]) for key, name in OF_CARD.items() if key in info.card}
    return {**told, **known, "card": json.dumps(info.card, sort_keys=True)}


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
        arguments: examples, none of whose dynamic sides is 0 or 1.
        shapes: dynamic dimensions of each argument.
        props: what the graph says of itself.
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
    # What the exporter notes there (where in which source a node comes from, in no order) no reader needs.
    content = model.graph
    for part in (content, *content.node, *content.initializer, *content.input, *content.output, *content.value_info):
        del part.metadata_props[:]
    onnx.helper.set_model_props(model, props)
    return model


def to_bytes(model: Any) -> bytes:
    return bytes(model.SerializeToString(deterministic=True))


def halved(content: bytes, exact: tuple[str, ...] = ()) -> bytes:
    """A graph whose weights and arithmetic are float16; inputs and outputs stay float32.

    Args:
        exact: outputs that are computed in float32 all the same, with all that leads to them.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.load_from_string(content)
    kept = _leading_to(model.graph, set(exact))
    with quiet():
        return to_bytes(convert_float_to_float16(model, keep_io_types=True, node_block_list=kept))


def _leading_to(graph: Any, wanted: set[str]) -> list[str]:
    """Names of the nodes that values of these names come from."""
    names = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted |= set(node.input)
            names.append(node.name)
    return names


def probe(info: ModelInfo) -> tuple[Tensor, Tensor]:
    """A photograph, and how the model's task spoils it, (1, 3, 190, 237), whose sides are no multiples of a cell's."""
    clean = to_array(photograph())[100:290, 100:337]
    given = corruption(info.card.get("task", "denoise"))(clean, numpy_generator(0, "export"))
    return to_tensor(clean), to_tensor(given)


def compared(found: Tensor, expected: Tensor, clean: Tensor) -> dict[str, float]:
    """How far a graph's picture is from the model's."""
    difference = (found - expected).abs()
    return {
        "largest difference": difference.max().item(),
        "mean difference": difference.mean().item(),
        "ssim": metrics.ssim(found, clean).item(),
        "ssim of the model": metrics.ssim(expected, clean).item(),
    }
