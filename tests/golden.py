"""Arrays computed with the authors' TensorFlow code, and their weights under our names.

They lie in ../shared/golden beside the repository (or where LNCA_GOLDEN says). Tests that need them are skipped where
the folder is absent, but never in CI.
"""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

FOLDER = Path(os.environ.get("LNCA_GOLDEN", Path(__file__).parents[2] / "shared" / "golden"))

needs_golden = pytest.mark.skipif(not FOLDER.is_dir() and not os.environ.get("CI"), reason="no golden arrays here")

LAYERS = {
    "skip_branch": "encoder/conv_layer_1",
    "side_channel": "encoder/pass_through_layer_1",
    "down.0": "encoder/conv_layer_2",
    "up.0": "decoder/trans_conv_layer_2",
    "mix": "decoder/mix_layer_2",
    "output": "decoder/trans_conv_layer_1",
}
NAFCA = {
    "perception_norm": "norm1",
    "perception_embed": "conv1",
    "widen": "conv2",
    "attention": "conv_attention",
    "perception_project": "conv3",
    "update_norm": "norm2",
    "update_embed": "conv4",
    "update_project": "conv5",
    "head_norm": "norm3",
    "head": "conv_out",
}
VITCA = {
    "embed": "cell_to_embedding",
    "attention_norm": "attn/norm",
    "qkv": "attn/to_qkv",
    "attention_project": "attn/to_out",
    "mlp_norm": "ff/norm",
    "mlp_in": "ff/dense1",
    "mlp_out": "ff/dense2",
    "head_norm": "mlp_head/norm",
    "head": "mlp_head/dense",
}


class Golden:
    """One file; arrays as float64 tensors."""

    def __init__(self, name: str):
        self.arrays = dict(np.load(FOLDER / f"{name}.npz", allow_pickle=False))

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(np.asarray(self.arrays[name])).double()

    def after(self) -> "Golden":
        """The same file with the weights after its training step."""
        later = copy.copy(self)
        moved = {f"w:{name[6:]}": value for name, value in self.arrays.items() if name.startswith("after:")}
        later.arrays = self.arrays | moved
        return later

    def image(self, name: str) -> Tensor:
        """(B, H, W, C) as (B, C, H, W)."""
        return self[name].permute(0, 3, 1, 2)

    def state_dict(self) -> dict[str, Tensor]:
        """The weights of a public PyTorch release."""
        return {name.removeprefix("param/"): self[name] for name in self.arrays if name.startswith("param/")}

    def autoencoder(self, prefix: str = "") -> dict[str, Tensor]:
        """State dict of `Autoencoder`; a convolution's bias becomes part of the batch norm's mean."""
        state = {}
        for ours, theirs in LAYERS.items():
            layer = f"w:{theirs}/"
            state[f"{ours}.conv.weight"] = self[layer + "conv/kernel"].permute(3, 2, 0, 1)
            state[f"{ours}.norm.weight"] = self[layer + "bn/gamma"]
            state[f"{ours}.norm.bias"] = self[layer + "bn/beta"]
            state[f"{ours}.norm.running_mean"] = self[layer + "bn/moving_mean"] - self[layer + "conv/bias"]
            state[f"{ours}.norm.running_var"] = self[layer + "bn/moving_variance"]
            state[f"{ours}.norm.num_batches_tracked"] = torch.tensor(0)
        return {prefix + name: value for name, value in state.items()}

    def rule(self, names: dict[str, str], theirs: str = "", prefix: str = "") -> dict[str, Tensor]:
        """State dict of `NAFCA` or `ViTCA`, from weights with the prefix `theirs`."""
        state = {}
        for ours, name in names.items():
            layer = f"w:{theirs}{name}/"
            if layer + "gamma" in self.arrays:
                state[f"{ours}.weight"], state[f"{ours}.bias"] = self[layer + "gamma"], self[layer + "beta"]
                continue
            kernel = self[layer + "kernel"]
            if ours in ("widen", "attention"):
                state[f"{ours}.weight"] = kernel.permute(3, 2, 0, 1)
            else:
                state[f"{ours}.weight"] = kernel.reshape(kernel.shape[-2:]).T
            if layer + "bias" in self.arrays:
                state[f"{ours}.bias"] = self[layer + "bias"]
        if names is NAFCA:
            state["beta"], state["gamma"] = (self[f"w:{theirs}{name}"].flatten() for name in ("beta", "gamma"))
        return {prefix + name: value for name, value in state.items()}


def assert_close(ours: Tensor, golden: Tensor, tolerance: float = 1e-5) -> None:
    """Largest difference relative to the largest golden value."""
    assert ours.shape == golden.shape
    error = ((ours - golden).abs().max() / golden.abs().max()).item()
    assert error < tolerance, f"relative error {error:.2e}"
