"""Convolutions, compiled and in numpy, against PyTorch in float64, and in bands."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rules import allowed, at_levels
from torch import nn

from lnca.kernels.cpu import weights_of
from lnca.nn.autoencoder import AdjustedConv, AdjustedTransposedConv
from lnca.runtime.convolution import Band, NativeConvolution, NumpyConvolution, multiplied
from lnca.runtime.layers import adjusted, convolution
from lnca.runtime.native import INSTRUCTION_SETS, best_level, library

needs_library = pytest.mark.skipif(library() is None, reason="no C++ compiler when lnca was installed")

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
# Allowed error for outputs of about 1.
ERRORS = {"float32": 5e-6, "bfloat16": 1e-2}
SHAPES = ((2, 9, 40), (1, 1, 1), (1, 3, 64), (1, 20, 5), (1, 4, 300))
# Kind, inputs, outputs; those of the paper's autoencoder.
ADJUSTED = [("down", 3, 8), ("down", 16, 16), ("same", 8, 8), ("up", 16, 8), ("last", 8, 3)]


def plain_layer(inputs, outputs, taps, activation):
    torch.manual_seed(inputs)
    conv = nn.Conv2d(inputs, outputs, taps, padding=taps // 2)
    return conv, convolution(weights_of(conv), inputs, outputs, taps, activation=activation)


def adjusted_layer(kind, inputs, outputs):
    torch.manual_seed(inputs)
    if kind in ("up", "last"):
        module = AdjustedTransposedConv(inputs, outputs, last=kind == "last")
    else:
        module = AdjustedConv(inputs, outputs, 2 if kind == "down" else 1)
    for value in (*module.norm.parameters(), module.norm.running_mean):
        nn.init.normal_(value)
    nn.init.uniform_(module.norm.running_var, 0.5, 2)
    how = {"transposed": True} if kind in ("up", "last") else {"stride": 2 if kind == "down" else 1}
    activation = "sigmoid" if kind == "last" else "swish"
    return module.eval(), adjusted(weights_of(module), inputs, outputs, activation=activation, **how)


def picture(batch, rows, columns, channels, seed=0):
    return np.random.default_rng(seed).standard_normal((batch, rows, columns, channels)).astype(np.float32)


@torch.no_grad()
def by_torch(module, x, activation=nn.Identity()):  # noqa: B008
    return activation(module.double()(torch.from_numpy(x).double().permute(0, 3, 1, 2))).permute(0, 2, 3, 1).numpy()


@needs_library
@at_levels("float32", *INSTRUCTION_SETS, bfloat16=["amx"])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_a_compiled_convolution_is_pytorchs(layer, level, precision):
    conv, made = plain_layer(*layer)
    for shape in SHAPES:
        x = picture(*shape, layer[0])
        expected = by_torch(conv, x, ACTIVATIONS[layer[3]])
        error = np.abs(NativeConvolution(made, level, precision)(Band(x, 0, shape[1]), 0, shape[1]).values - expected)
        assert error.max() < ERRORS[precision]
        # An AMX level that quietly multiplied in float32 would be as exact; a single product may be by chance.
        assert precision == "float32" or error.size < 100 or error.max() > ERRORS["float32"]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 5e-6), (np.float64, 1e-12)])
def test_a_numpy_convolution_is_pytorchs(layer, dtype, error):
    conv, made = plain_layer(*layer)
    for shape in SHAPES:
        x = picture(*shape, layer[0])
        expected = by_torch(conv, x, ACTIVATIONS[layer[3]])
        found = NumpyConvolution(made, dtype)(Band(x, 0, shape[1]), 0, shape[1]).values
        assert np.abs(found - expected).max() < error


@pytest.mark.parametrize("layer", ADJUSTED, ids=str)
def test_adjusted_convolutions_are_pytorchs(layer):
    module, made = adjusted_layer(*layer)
    for shape in ((2, 8, 40), (1, 2, 2), (1, 4, 260)):
        x = picture(*shape, layer[1])
        expected, band = by_torch(module, x), Band(x, 0, shape[1])
        ways = [NumpyConvolution(made), NumpyConvolution(made, np.float64)]
        ways += [NativeConvolution(made, best_level())] if library() else []
        for way, error in zip(ways, (5e-6, 1e-12, 5e-6), strict=False):
            assert np.abs(way(band, 0, made.height(shape[1])).values - expected).max() < error


def ways(made, *options):
    """A layer in numpy and, if they exist, with the compiled kernels."""
    return [NumpyConvolution(made), *([NativeConvolution(made, *options)] if library() else [])]


@at_levels("float32", *INSTRUCTION_SETS, bfloat16=["amx"])
@pytest.mark.parametrize("taps", [1, 3])
def test_something_else_may_be_added_to_the_outputs(taps, level, precision):
    _, made = plain_layer(20, 9, taps, "relu")
    x, other = picture(2, 7, 35, 20), picture(2, 5, 35, 9, 1)
    for way in ways(made, level, precision):
        plain = way(Band(x, 0, 7), 2, 5).values
        found = way(Band(x, 0, 7), 2, 5, Band(other, 1, 7)).values
        np.testing.assert_allclose(found, plain + other[:, 1:4], rtol=1e-6, atol=1e-6)


@at_levels("float32", best_level(), bfloat16=["amx"])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_bands_batches_and_threads_change_no_bit(layer, level, precision):
    _, made = plain_layer(*layer)
    x = picture(2, 21, 37, layer[0])
    for way in ways(made, level, precision):
        with allowed(1):
            whole = way(Band(x, 0, 21), 0, 21).values
        with allowed(3):
            assert np.array_equal(way(Band(x, 0, 21), 0, 21).values, whole)
        for begin, end in ((0, 1), (0, 8), (3, 20), (7, 16), (20, 21)):
            low, high = way.needs(begin, end, 21)
            part = way(Band(x[1:, low:high], low, 21), begin, end).values
            assert np.array_equal(part, whole[1:, begin:end])


@pytest.mark.parametrize("layer", ADJUSTED, ids=str)
def test_bands_of_adjusted_convolutions_change_no_bit(layer):
    _, made = adjusted_layer(*layer)
    x = picture(1, 12, 26, layer[1])
    height = made.height(12)
    for way in ways(made, best_level()):
        whole = way(Band(x, 0, 12), 0, height).values
        for begin, end in ((0, 1), (1, height), (2, 5), (height - 1, height)):
            low, high = way.needs(begin, end, 12)
            part = way(Band(x[:, low:high], low, 12), begin, end).values
            assert np.array_equal(part, whole[:, begin:end])


def test_columns_change_no_bit_of_a_product():
    x, weight = picture(1, 3, 700, 90), picture(1, 1, 90, 33)[0, 0]
    whole = multiplied(x, weight)
    for first, last in ((0, 1), (0, 128), (5, 700), (130, 140), (64, 513)):
        assert np.array_equal(multiplied(x[:, :, first:last], weight, first), whole[:, :, first:last])
