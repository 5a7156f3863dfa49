"""The automaton on three lattices: its steps, when its cells stop, and its noise levels."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from lnca.nn.noise_level import NoiseEstimator
from lnca.nn.pyramid import Cells, DenseRule, PyramidAutomaton, Step, spread
from lnca.runtime.pyramid import reach

CHANNELS = (8, 12, 16)


def shaken(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The model with weights that are nowhere zero."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=draw))
    return module.eval()


@pytest.fixture(scope="module")
def model() -> PyramidAutomaton:
    return shaken(PyramidAutomaton(CHANNELS, 3))  # type: ignore[return-value]


def test_a_rule_is_two_dense_convolutions_by_hand():
    rule = shaken(DenseRule(4))
    x = torch.rand(1, 4, 5, 6)
    hidden = F.conv2d(x, rule.perceive.weight, rule.perceive.bias, padding=1).clamp(min=0)
    expected = F.conv2d(hidden, rule.act.weight, rule.act.bias, padding=1)
    torch.testing.assert_close(rule(x), expected)


def test_a_step_hears_upwards_and_then_updates_from_coarse_to_fine():
    """Equation (1) on each lattice, in that order, written out."""
    step = shaken(Step(CHANNELS))
    fine, middle, coarse = torch.rand(1, 8, 8, 12), torch.rand(1, 12, 4, 6), torch.rand(1, 16, 2, 3)
    middle_heard = middle + step.to_middle(fine)
    coarse_heard = coarse + step.to_coarse(middle_heard)
    coarse_next = coarse_heard + step.coarse(coarse_heard)
    middle_told = middle_heard + F.pixel_shuffle(step.from_coarse(coarse_next), 2)
    middle_next = middle_told + step.middle(middle_told)
    fine_told = fine + F.pixel_shuffle(step.from_middle(middle_next), 2)
    found = step(Cells(fine, middle, coarse))
    for value, expected in zip(found, (fine_told + step.fine(fine_told), middle_next, coarse_next), strict=True):
        torch.testing.assert_close(value, expected)


def test_an_untrained_model_changes_nothing():
    image = torch.rand(1, 3, 24, 40)
    assert torch.equal(PyramidAutomaton(CHANNELS, 2).eval()(image), image)


def test_cells_rest_after_the_last_rule_and_before_it_every_step_changes_something(model):
    frames = list(model.frames(torch.rand(1, 3, 32, 32), 12))
    assert len(frames) == 13
    assert all(not torch.equal(before, after) for before, after in pairwise(frames[:4]))
    assert all(torch.equal(frame, frames[3]) for frame in frames[3:])


def test_only_some_frames(model):
    image = torch.rand(1, 3, 16, 24)
    frames = list(model.frames(image))
    assert torch.equal(next(model.frames(image, only=(2,))), frames[2])
    assert torch.equal(model(image, 2), frames[2])
    assert torch.equal(model(image), frames[-1])


@pytest.mark.parametrize("size", [(8, 8), (9, 23), (31, 8), (64, 40)])
def test_any_size(model, size):
    image = torch.rand(2, 3, *size)
    assert model(image).shape == image.shape
    with pytest.raises(ValueError, match="at least 8x8"):
        model(torch.rand(1, 3, 7, 16))


def test_a_pixel_depends_on_those_that_the_reach_names_and_no_others(model):
    level = torch.full((1, 2, 1, 1), 20.0)
    image = torch.rand(1, 3, 304, 304, requires_grad=True)
    list(model.unrolled(image, level.expand(1, 2, 38, 38), 3))[-1][..., 152, 152].sum().backward()
    assert image.grad is not None
    rows = image.grad.abs().amax((0, 1, 3)).nonzero().flatten()
    far = reach(3)
    assert 152 - far <= rows.min() < 152 - far // 2
    assert 152 + far // 2 < rows.max() <= 152 + far


def test_a_told_level_takes_the_place_of_the_estimate(model):
    image = torch.rand(1, 3, 32, 48)
    estimate = model.estimator(image)
    assert estimate.shape == (1, 2, 4, 6)
    assert torch.equal(model(image, noise_level=estimate), model(image))
    assert not torch.equal(model(image, noise_level=torch.full((1, 2, 1, 1), 60)), model(image))


def test_levels_are_spread_without_edges():
    level = torch.tensor([[0.0, 8.0]])[None, None]
    wide = spread(level)
    assert wide.shape == (1, 1, 4, 8)
    assert wide.diff(dim=-1).amin() >= 0
    assert wide.diff(dim=-1).amax() == 2


def test_an_estimate_is_a_level_whatever_the_picture():
    estimator = NoiseEstimator().eval()
    for image in (torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 16, 8), 40 * torch.randn(1, 3, 64, 64)):
        level = estimator(image)
        assert level.isfinite().all()
        assert (level >= 0).all()
        assert (level <= 257).all()


def test_what_does_not_vary_has_no_noise():
    """For any weights, a level is at most 1.5 times the standard deviation of the picture."""
    estimator = shaken(NoiseEstimator())
    colours = torch.tensor([0.1, 0.5, 0.9])[None, :, None, None].expand(1, 3, 64, 64)
    assert estimator(colours).max() < 1e-3
    draw = torch.Generator().manual_seed(0)
    noisy = colours + 10 / 255 * torch.randn(1, 3, 256, 256, generator=draw).clamp(-3, 3)[..., :64, :64]
    torch.nn.init.constant_(estimator.conclude[-1].bias, 9)
    most = estimator(noisy)
    assert (most > 12).all()
    assert (most < 18).all()


def test_where_there_is_no_noise_nothing_is_corrected(model):
    image = torch.rand(1, 3, 32, 48)
    assert torch.equal(model(image, noise_level=torch.zeros(1, 2, 1, 1)), image)
    whole = model(image, noise_level=torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)) - image
    assert whole.abs().max() > 0
