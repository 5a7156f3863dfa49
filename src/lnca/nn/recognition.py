"""Recognises latent models by their tensors alone: architecture and settings from names and shapes.

The header of lnca's weight files says how to build the model. Other libraries load the tensors without the header.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

# Tensors that only one rule or one coder has.
RULES = {"nafca": "automaton.perception_embed.weight", "vitca": "automaton.qkv.weight"}
AUTOENCODER, RESIDUAL = "autoencoder.side_channel.conv.weight", "autoencoder.gather.0.weight"
PYRAMID = "rules.0.to_middle.weight"
DEBLURRER = f"cells.{PYRAMID}"


def architecture_of(state_dict: Mapping[str, Any]) -> str | None:
    """ "latent-nafca", "latent-vitca", "lnca", "pyramid" or "deblur"; None for the weights of anything else."""
    if PYRAMID in state_dict:
        return "pyramid"
    if DEBLURRER in state_dict:
        return "deblur"
    rule = _rule_of(state_dict)
    if rule is not None and AUTOENCODER in state_dict:
        return f"latent-{rule}"
    return "lnca" if rule is not None and RESIDUAL in state_dict else None


def settings_of(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """The settings of a state dict that `architecture_of` knows, as far as the tensors determine them.

    They do not determine the number of steps, the update rate and ViTCA's heads, so these are left out. Cells are
    assumed to have no position code, which would tie them to one size.

    Raises:
        KeyError: a tensor is missing.
    """
    if DEBLURRER in state_dict:
        return settings_of({name.removeprefix("cells."): tensor for name, tensor in state_dict.items()})
    if PYRAMID in state_dict:
        names = [f"rules.0.{lattice}.act.weight" for lattice in ("fine", "middle", "coarse")]
        return {"channels": tuple(len(state_dict[name]) for name in names), "rules": _count(state_dict, "rules")}
    if AUTOENCODER in state_dict:
        downs = _count(state_dict, "autoencoder.down")
        latent = state_dict[f"autoencoder.down.{downs - 1}.conv.weight"].shape[0]
        hidden = state_dict["automaton.head.weight"].shape[0] - latent
        position = {"position": "none"} if _rule_of(state_dict) == "vitca" else {}
        settings = {"latent_channels": latent, "hidden_channels": hidden, "downsamplings": downs + 1, **position}
    else:
        settings = _residual_settings(state_dict)
    return settings | _rule_settings(state_dict)


def _rule_of(state_dict: Mapping[str, Any]) -> str | None:
    return next((rule for rule, name in RULES.items() if name in state_dict), None)


def _count(state_dict: Mapping[str, Any], layers: str) -> int:
    """Number of layers in a sequence."""
    return len({name.split(".")[layers.count(".") + 1] for name in state_dict if name.startswith(f"{layers}.")})


def _rule_settings(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    if _rule_of(state_dict) == "vitca":
        embed, mlp = state_dict["automaton.embed.weight"].shape[0], state_dict["automaton.mlp_in.weight"].shape[0]
        return {"embed": embed, "mlp": mlp}
    embed, cell = state_dict["automaton.perception_embed.weight"].shape
    return {"embed": embed, "expansion": state_dict["automaton.update_embed.weight"].shape[0] // cell}


def _residual_settings(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    def shape(name: str) -> torch.Size:
        return state_dict[f"autoencoder.{name}"].shape

    width, pixels = shape("features.0.weight")[:2]
    outputs = shape("scatter.0.weight")[1]
    return {
        "rule": _rule_of(state_dict),
        "width": width,
        "shrink": math.isqrt(pixels // 3),
        "latent_channels": shape("gather.2.weight")[0],
        "output_channels": outputs,
        "hidden_channels": state_dict["automaton.head.weight"].shape[0] - outputs,
        "mixing": shape("gather.0.weight")[0],
    }
