"""Stacks, and channels on another axis."""

import numpy as np
import pytest
import torch

import lnca
from lnca.errors import LncaError


@pytest.fixture(scope="module")
def model(weights):
    return lnca.load(weights, "cpu")


def noise(*shape, dtype=np.float32):
    values = np.random.default_rng(0).random(shape)
    return values.astype(dtype) if np.dtype(dtype).kind == "f" else (values * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_stack_is_restored_slice_by_slice(model, dtype):
    stack, told = noise(2, 3, 16, 24, dtype=dtype), []
    restored = model.restore(stack, channel_axis=None, progress=told.append)
    assert (restored.shape, restored.dtype) == (stack.shape, stack.dtype)
    for place in np.ndindex(2, 3):
        assert np.array_equal(restored[place], model.restore(stack[place]))
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -4])
def test_channels_may_lie_anywhere(model, axis):
    film = noise(4, 16, 24, 3)
    moved = model.restore(np.moveaxis(film, -1, axis), channel_axis=axis)
    expected = np.stack([model.restore(frame) for frame in film])
    assert np.array_equal(np.moveaxis(moved, axis, -1), expected)


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_other_channels_are_grey_pictures_and_none_is_alpha(model, count):
    channels = noise(count, 16, 24, dtype=np.uint16)
    restored = model.restore(channels, channel_axis=0)
    for given, made in zip(channels, restored, strict=True):
        assert np.array_equal(made, model.restore(given))


def test_a_picture_that_needs_no_axis_is_as_without(model):
    picture = noise(16, 24, 3)
    assert np.array_equal(model.restore(picture, channel_axis=-1), model.restore(picture))
    assert np.array_equal(model.restore(picture[..., 0], channel_axis=None), model.restore(picture[..., 0]))


@pytest.mark.parametrize(
    ("shape", "axis", "words"),
    [
        ((5, 16, 24), "auto", r"got \(5, 16, 24\); of a stack, .* say which axis is theirs with channel_axis"),
        ((16, 24, 3), None, "a stack of narrow slices; say channel_axis=-1"),
        ((16, 24), 2, r"of the shape \(16, 24\) has no axis 2"),
        ((16, 24), 0, "two axes beside that of its channels"),
    ],
)
def test_what_is_ambiguous_is_refused_with_what_to_say(model, shape, axis, words):
    with pytest.raises(LncaError, match=words):
        model.restore(noise(*shape), channel_axis=axis)


def test_an_axis_is_for_arrays(model):
    with pytest.raises(LncaError, match="channel_axis is for numpy arrays, not for Tensor"):
        model.restore(torch.rand(3, 16, 24), channel_axis=0)


@pytest.mark.parametrize("shape", [(3, 16, 24), (1, 16, 24), (2, 1, 16, 24), (1, 3, 16, 24)])
def test_tensors_of_one_picture_and_of_grey_ones_keep_their_shape(model, shape):
    x = torch.from_numpy(noise(*shape))
    restored = model.restore(x)
    assert (restored.shape, restored.dtype) == (x.shape, x.dtype)
    colours = (x if x.ndim == 4 else x[None]).expand(-1, 3, -1, -1)
    expected = model.restore(colours)
    if shape[-3] == 1:
        grey = (expected.double() * torch.tensor([0.299, 0.587, 0.114]).double().view(3, 1, 1)).sum(1, keepdim=True)
        torch.testing.assert_close(restored, grey.float().reshape(shape), atol=1e-6, rtol=0)
    else:
        assert torch.equal(restored, expected.reshape(shape))
