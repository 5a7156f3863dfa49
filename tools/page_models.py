"""Writes models for the page: their layers and rules as the kernels take them.

    python tools/page_models.py OUT MODEL...

makes MODEL.safetensors in a folder of each shipped model or weight file: a tensor for each kernel (K, K, inputs,
outputs) and bias, float16 where that loses nothing, and a header that says what web/src/running needs to know.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from lnca.catalogue import locate  # noqa: E402
from lnca.errors import LncaError  # noqa: E402
from lnca.files import write_whole  # noqa: E402
from lnca.runtime import noise_level, pyramid  # noqa: E402
from lnca.runtime.autoencoder import BandAutoencoder  # noqa: E402
from lnca.runtime.engine import Numpy  # noqa: E402
from lnca.runtime.folding import fold  # noqa: E402
from lnca.runtime.layers import Layer, convolution  # noqa: E402
from lnca.runtime.models import Latent, Model, Pyramid, load  # noqa: E402
from lnca.runtime.residual import BandResidualCoder  # noqa: E402
from lnca.runtime.rules import Rule  # noqa: E402
from lnca.runtime.weights import Weights, tensors  # noqa: E402

HEADER = "lnca-page"
VERSION = 1
# Floats of a vector of WebAssembly.
VECTOR = 4

# Numbers of the noise estimate and of the automaton on three lattices that the page has from here.
OF_NOISE = (
    "LITTLE",
    "STATEMENT_SCALES",
    "ENERGY_SCALES",
    "LEVEL_SCALES",
    "YCBCR",
    "MOST",
    "LOWEST",
    "HIGHEST",
    "SUREST",
)
OF_PYRAMID = ("LEVEL_INPUT_SCALE", "FULL")

Layers = Iterator[tuple[str, Layer]]
Tensors = dict[str, np.ndarray]


def pyramid_layers(model: Pyramid, weights: Weights) -> Layers:
    """The automaton's layers and those of the noise estimate, by their names in the weight file."""
    yield "encode", model.bands.encode.layer
    yield "decode", model.bands.decode.layer
    for number, step in enumerate(model.bands.rules[: model.steps]):
        for name in ("to_middle", "to_coarse", "from_coarse", "from_middle"):
            yield f"rules.{number}.{name}", getattr(step, name).layer
        for name in ("fine", "middle", "coarse"):
            for part, layer in zip(("perceive", "act"), getattr(step, name), strict=True):
                yield f"rules.{number}.{name}.{part}", layer.layer
    for scale, layer in enumerate(model.estimator.filters):
        yield f"filters.{scale}", layer.layer
    for name, last in (
        ("say.0", False),
        ("say.2", False),
        ("say.4", True),
        ("conclude.0", False),
        ("conclude.2", True),
    ):
        linear = convolution(weights.within(f"estimator.{name}"), None, None, 1)
        yield name, linear if last else replace(linear, activation="relu")


def coder_layers(coder: BandAutoencoder | BandResidualCoder) -> Layers:
    """The layers of what goes around a latent automaton."""
    if isinstance(coder, BandAutoencoder):
        chains = {"down": coder.down, "up": coder.up}
        for name in ("skip_branch", "side_channel", "mix", "output"):
            yield name, getattr(coder, name).layer
    else:
        chains = {name: getattr(coder, name) for name in ("features", "gather", "scatter", "correct")}
    for name, chain in chains.items():
        yield from ((f"{name}.{number}", layer.layer) for number, layer in enumerate(chain))


def kept(array: np.ndarray) -> np.ndarray:
    """float16 where that loses nothing, else float32."""
    exact = np.ascontiguousarray(array, np.float32)
    half = exact.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), exact) else exact


def described_layers(layers: Layers) -> tuple[Tensors, dict[str, Any]]:
    """Tensors, and what is to be known of each layer."""
    parts: Tensors = {}
    facts = {}
    for name, layer in layers:
        parts |= {f"{name}.kernel": kept(layer.kernel), f"{name}.bias": kept(layer.bias)}
        facts[name] = {"activation": layer.activation, "stride": layer.stride, "transposed": layer.transposed}
    return parts, facts


def described_rule(rule: Rule) -> tuple[Tensors, dict[str, Any]]:
    """The same of a rule; raises `LncaError` where the page cannot run it."""
    folded = fold(rule, VECTOR)
    if folded is None or rule.update_rate != 1 or rule.has_position_code:
        raise LncaError(
            f"the page runs rules whose cells all take part in a step, without positions; not this {rule.kind}"
        )
    parts = {"rule.gate": np.ascontiguousarray(folded.extra, np.float32)}
    for number, linear in enumerate(folded.maps):
        parts[f"rule.{number}.weight"] = np.ascontiguousarray(linear.weight, np.float32)
        parts[f"rule.{number}.bias"] = np.ascontiguousarray(linear.bias, np.float32)
    facts = {
        "kind": folded.kind,
        "channels": rule.channels,
        "input_channels": rule.input_channels,
        "output_channels": rule.output_channels,
        "embed": folded.embed,
        "heads": folded.heads,
        "epsilon": folded.epsilon,
        "attention_bias": folded.attention_bias,
    }
    return parts, facts


def described(model: Model | None, weights: Weights) -> tuple[Tensors, dict[str, Any]]:
    """A model's tensors and header."""
    if isinstance(model, Pyramid):
        parts, layers = described_layers(pyramid_layers(model, weights))
        side = noise_level.SIDE
        facts: dict[str, Any] = {"form": "pyramid", "steps": model.steps, "multiple": side}
        facts |= {"reach": pyramid.reach(model.steps) // side, "guess_reach": noise_level.STATEMENT_REACH}
        facts |= {name.lower(): getattr(noise_level, name) for name in OF_NOISE}
        facts |= {name.lower(): getattr(pyramid, name) for name in OF_PYRAMID}
        return parts, facts | {"layers": layers}
    if not isinstance(model, Latent) or not isinstance(model.coder, BandAutoencoder | BandResidualCoder):
        raise LncaError("the page runs latent automata and automata on three lattices only")
    coder = model.coder
    parts, layers = described_layers(coder_layers(coder))
    more, rule = described_rule(model.rule)
    facts = {"form": "latent", "steps": model.steps, "multiple": coder.multiple, "reach": coder.reach}
    facts |= {"coder": "autoencoder", "layers": layers, "rule": rule}
    if isinstance(coder, BandResidualCoder):
        facts |= {"coder": "residual", "shrink": coder.shrink, "places": coder.places}
    return parts | more, facts


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        model, info = load(locate(name), Numpy())
        parts, facts = described(model, Weights(tensors(info)))
        header = {"version": VERSION, "model": info.name, **facts}
        write_whole(folder / f"{info.name}.safetensors", save(parts, {HEADER: json.dumps(header)}))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2:])
    except LncaError as error:
        sys.exit(str(error))
