"""The fused convolutions against PyTorch in float64, and in bands."""

import pytest
import torch
import torch.nn.functional as F
from rules import at_levels
from torch import nn

from lnca.kernels.convolution import Band, FusedConvolution
from lnca.kernels.native import LEVELS, best_level, library

pytestmark = pytest.mark.skipif(library() is None, reason="no C++ compiler when lnca was installed")

# Inputs, outputs, taps and activation.
LAYERS = [
    (3, 32, 3, "swish"),
    (35, 16, 3, "sigmoid"),
    (32, 96, 3, "swish"),
    (19, 3, 3, "none"),
    (24, 40, 3, "relu"),
    (47, 96, 1, "swish"),
]
ACTIVATIONS = {"swish": F.silu, "sigmoid": torch.sigmoid, "none": nn.Identity(), "relu": F.relu}
# Of outputs that are about 1.
ERRORS = {"float32": 5e-6, "bfloat16": 1e-2}


def layer_and_picture(inputs, outputs, taps, batch, rows, columns):
    torch.manual_seed(inputs)
    return nn.Conv2d(inputs, outputs, taps, padding=taps // 2), torch.randn(batch, rows, columns, inputs)


@at_levels("float32", *LEVELS, bfloat16=["amx"])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_a_convolution_is_pytorchs(layer, level, precision):
    for shape in ((2, 9, 40), (1, 1, 1), (1, 3, 64), (1, 20, 5)):
        conv, x = layer_and_picture(*layer[:3], *shape)
        expected = ACTIVATIONS[layer[3]](conv.double()(x.double().permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        fused = FusedConvolution(conv, level, layer[3], precision)
        error = (fused(Band(x, 0, shape[1]), 0, shape[1]).values - expected).abs().max()
        assert error < ERRORS[precision]
        # An AMX level that quietly multiplied in float32 would be as exact.
        assert precision == "float32" or error > ERRORS["float32"]


@at_levels("float32", *LEVELS, bfloat16=["amx"])
@pytest.mark.parametrize("taps", [1, 3])
def test_something_else_may_be_added_to_the_outputs(taps, level, precision):
    conv, x = layer_and_picture(20, 9, taps, 2, 7, 35)
    other = torch.randn(2, 5, 35, 9)
    layer = FusedConvolution(conv, level, "relu", precision)
    plain = layer(Band(x, 0, 7), 2, 5).values
    torch.testing.assert_close(
        layer(Band(x, 0, 7), 2, 5, Band(other, 1, 7)).values, plain + other[:, 1:4], rtol=1e-6, atol=1e-6
    )


@at_levels("float32", best_level(), bfloat16=["amx"])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_bands_batches_and_threads_change_no_bit(layer, level, precision):
    conv, x = layer_and_picture(*layer[:3], 2, 21, 37)
    fused = FusedConvolution(conv, level, layer[3], precision)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        whole = fused(Band(x, 0, 21), 0, 21).values
        torch.set_num_threads(3)
        assert torch.equal(fused(Band(x, 0, 21), 0, 21).values, whole)
    finally:
        torch.set_num_threads(threads)
    for begin, end in ((0, 1), (0, 8), (3, 20), (7, 16), (20, 21)):
        low, high = fused.needs(begin, end, 21)
        part = fused(Band(x[1:, low:high], low, 21), begin, end).values
        assert torch.equal(part, whole[1:, begin:end])
