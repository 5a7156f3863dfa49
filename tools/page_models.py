"""Converts models for the page: their layers and rules in the form that the kernels read.

    python tools/page_models.py OUT MODEL...

writes OUT/MODEL.safetensors for each shipped model or weight file. It has tensors for the kernels (K, K, inputs,
outputs) and biases, in float16 where that is exact, and a header with what web/src/running needs to know. The file of a
model that shares its cells with another one has no tensors: its header names the other model and its hash.
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

from lnca.catalogue import Shared, locate  # noqa: E402
from lnca.errors import LncaError  # noqa: E402
from lnca.files import write_whole  # noqa: E402
from lnca.runtime import blur_kernel, deblurring, noise_level, pyramid  # noqa: E402
from lnca.runtime.autoencoder import BandAutoencoder  # noqa: E402
from lnca.runtime.engine import Numpy  # noqa: E402
from lnca.runtime.folding import fold  # noqa: E402
from lnca.runtime.layers import Layer, convolution  # noqa: E402
from lnca.runtime.models import Deblurring, Latent, Model, Pyramid, load  # noqa: E402
from lnca.runtime.residual import BandResidualCoder  # noqa: E402
from lnca.runtime.rules import Rule  # noqa: E402
from lnca.runtime.weights import Weights, identity, tensors  # noqa: E402

HEADER = "lnca-page"
VERSION = 1
# Number of floats in a vector of WebAssembly.
VECTOR = 4

# Constants of the noise estimator and of the automaton on three lattices, by their names in the header.
OF_NOISE = {
    "little": noise_level.ENERGY_FLOOR,
    "statement_scales": noise_level.FEATURE_SCALES,
    "energy_scales": noise_level.ENERGY_SCALES,
    "level_scales": noise_level.LEVEL_SCALES,
    "ycbcr": noise_level.YCBCR,
    "most": noise_level.MAX_LEVEL_RATIO,
    "lowest": noise_level.MIN_LOG_LEVEL,
    "highest": noise_level.MAX_LOG_LEVEL,
    "surest": noise_level.MAX_LOG_CONFIDENCE,
}
OF_PYRAMID = {"level_input_scale": pyramid.LEVEL_INPUT_SCALE, "full": pyramid.FULL_CORRECTION_LEVEL}
# The same of deblurring and of the estimate of kernels.
OF_DEBLURRING = {
    "first_level": deblurring.FIRST_LEVEL,
    "min_level": deblurring.MIN_LEVEL,
    "estimate_level_factor": deblurring.ESTIMATE_LEVEL_FACTOR,
    "fills": deblurring.FILLS,
    "prior_weight": deblurring.PRIOR_WEIGHT,
    "rounds": deblurring.ROUNDS,
    "earlier_steps": deblurring.EARLIER_STEPS,
    "last_steps": deblurring.LAST_STEPS,
    "luma": deblurring.LUMA,
    "corner_frequency": deblurring.CORNER_FREQUENCY,
    "min_spectrum_side": deblurring.MIN_SPECTRUM_SIDE,
    "estimation_side": deblurring.ESTIMATION_SIDE,
    "edge_block": deblurring.EDGE_BLOCK,
    "max_gradient": deblurring.MAX_GRADIENT,
    "kernel_sides": deblurring.KERNEL_SIDES,
    "central_sum": deblurring.CENTRAL_SUM,
    "trial_side": deblurring.TRIAL_SIDE,
    "misfit_base": deblurring.MISFIT_BASE,
    "misfit_per_noise": deblurring.MISFIT_PER_NOISE,
    "misfit_cutoff": deblurring.MISFIT_CUTOFF,
    "flat_gradient": deblurring.FLAT_GRADIENT,
    "edge_quantile": deblurring.EDGE_QUANTILE,
    "min_change": deblurring.MIN_CHANGE,
    "full_change": deblurring.FULL_CHANGE,
    "sharp_sum": deblurring.SHARP_SUM,
}
OF_BLUR_KERNEL = {
    "coarsest_side": blur_kernel.COARSEST_SIDE,
    "scale_ratio": blur_kernel.SCALE_RATIO,
    "iterations": blur_kernel.ITERATIONS,
    "first_penalty": blur_kernel.FIRST_PENALTY,
    "penalty_decay": blur_kernel.PENALTY_DECAY,
    "least_penalty": blur_kernel.LEAST_PENALTY,
    "largest_weight": blur_kernel.LARGEST_WEIGHT,
    "energy_weight": blur_kernel.ENERGY_WEIGHT,
    "cg_tolerance": blur_kernel.CG_TOLERANCE,
    "faint_value": blur_kernel.FAINT_VALUE,
    "small_patch": blur_kernel.SMALL_PATCH,
    "cubic_slope": blur_kernel.CUBIC_SLOPE,
}

Layers = Iterator[tuple[str, Layer]]
Tensors = dict[str, np.ndarray]


def pyramid_layers(model: Pyramid, weights: Weights) -> Layers:
    """The layers of the automaton and of its noise estimator, by their names in the weight file."""
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
    """The layers of the encoder and decoder of a latent automaton."""
    if isinstance(coder, BandAutoencoder):
        chains = {"down": coder.down, "up": coder.up}
        for name in ("skip_branch", "side_channel", "mix", "output"):
            yield name, getattr(coder, name).layer
    else:
        chains = {name: getattr(coder, name) for name in ("features", "gather", "scatter", "correct")}
    for name, chain in chains.items():
        yield from ((f"{name}.{number}", layer.layer) for number, layer in enumerate(chain))


def compact(array: np.ndarray) -> np.ndarray:
    """The array in float16 if that is exact, else in float32."""
    exact = np.ascontiguousarray(array, np.float32)
    half = exact.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), exact) else exact


def described_layers(layers: Layers) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and header fields of layers."""
    parts: Tensors = {}
    facts = {}
    for name, layer in layers:
        parts |= {f"{name}.kernel": compact(layer.kernel), f"{name}.bias": compact(layer.bias)}
        facts[name] = {"activation": layer.activation, "stride": layer.stride, "transposed": layer.transposed}
    return parts, facts


def described_rule(rule: Rule) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and header fields of a rule; raises `LncaError` if the page cannot run it."""
    folded = fold(rule, VECTOR)
    if folded is None or rule.update_rate != 1 or rule.has_position_code:
        raise LncaError(f"the page runs rules without update masks and position codes only, not this {rule.kind}")
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


def described_pyramid(model: Pyramid, weights: Weights) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and header of an automaton on three lattices."""
    parts, layers = described_layers(pyramid_layers(model, weights))
    side = noise_level.SIDE
    facts: dict[str, Any] = {"form": "pyramid", "steps": model.steps, "multiple": side}
    facts |= {"reach": pyramid.reach(model.steps) // side, "guess_reach": noise_level.FEATURE_REACH}
    return parts, facts | OF_NOISE | OF_PYRAMID | {"layers": layers}


def described_deblurring(
    model: Deblurring, weights: Weights, shared: dict[str, Shared]
) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and header of a deblurrer, with its cells; only their model and hash if a shipped model holds them."""
    parts: Tensors = {}
    facts: dict[str, Any] = {"form": "deblurring", "rounds": model.steps, "numbers": OF_DEBLURRING | OF_BLUR_KERNEL}
    if "cells" in shared:
        facts |= {"shared": {"model": shared["cells"].model, "sha256": shared["cells"].sha256}}
    else:
        parts, cells = described_pyramid(model.cells, weights.within("cells"))
        facts = cells | facts
    return parts, facts


def described(model: Model | None, weights: Weights, shared: dict[str, Shared]) -> tuple[Tensors, dict[str, Any]]:
    """A model's tensors and header; raises `LncaError` where the page cannot run it."""
    if isinstance(model, Pyramid):
        return described_pyramid(model, weights)
    if isinstance(model, Deblurring):
        return described_deblurring(model, weights, shared)
    if not isinstance(model, Latent) or not isinstance(model.coder, BandAutoencoder | BandResidualCoder):
        raise LncaError("the page runs latent automata, automata on three lattices and deblurrers only")
    coder = model.coder
    parts, layers = described_layers(coder_layers(coder))
    rule_parts, rule = described_rule(model.rule)
    facts: dict[str, Any] = {"form": "latent", "steps": model.steps}
    facts |= {"multiple": coder.multiple, "reach": coder.reach}
    facts |= {"coder": "autoencoder", "layers": layers, "rule": rule}
    if isinstance(coder, BandResidualCoder):
        facts |= {"coder": "residual", "shrink": coder.shrink, "places": coder.places}
    return parts | rule_parts, facts


def main(folder: Path, names: list[str]) -> None:
    """Writes the files of the models with these names to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        model, info = load(locate(name), Numpy())
        parts, facts = described(model, Weights(tensors(info)), info.shared)
        header = {"version": VERSION, "model": info.name, "sha256": identity(info), **facts}
        write_whole(folder / f"{info.name}.safetensors", save(parts, {HEADER: json.dumps(header)}))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2:])
    except LncaError as error:
        sys.exit(str(error))
