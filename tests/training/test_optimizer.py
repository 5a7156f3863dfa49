"""Learning rates and gradients."""

import pytest
import torch

from lnca.training.optimizer import Optimizer, OptimizerSettings, learning_rate_factor, normalise


@pytest.mark.parametrize(
    ("step", "warmup", "factor"),
    [(0, 0.0, 1.0), (50, 0.0, 0.5), (100, 0.0, 0.0), (25, 0.0, 0.853553), (0, 0.1, 1 / 11), (9, 0.1, 10 / 11),
     (10, 0.1, 1.0), (55, 0.1, 0.5)],
)  # fmt: skip
def test_cosine_decay_after_a_linear_rise(step, warmup, factor):
    assert learning_rate_factor(step, 100, warmup) == pytest.approx(factor, abs=1e-6)


def test_normalised_gradients_have_length_one():
    gradients = [torch.tensor([3.0, 4.0]), torch.full((2, 2), 1e-3)]
    normalise(gradients)
    assert gradients[0].tolist() == pytest.approx([0.6, 0.8])
    assert gradients[1].norm().item() == pytest.approx(1, rel=1e-4)


def parameter(gradient, **settings):
    value = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = Optimizer([value], OptimizerSettings(learning_rate=0.1, **settings), 10)
    optimizer.step((value * torch.tensor(gradient)).sum())
    return value


def test_gradients_are_clipped_together():
    clipped = parameter([30.0, 40.0], normalise_gradients=False, clip_norm=1.0)
    assert clipped.grad.tolist() == pytest.approx([0.6, 0.8], rel=1e-4)


def test_without_either_gradients_stay():
    assert parameter([30.0, 40.0], normalise_gradients=False).grad.tolist() == [30.0, 40.0]


def test_the_first_adam_step_has_the_learning_rates_size():
    assert parameter([3.0, -4.0]).tolist() == pytest.approx([0.9, 2.1], rel=1e-5)


def test_weight_decay_is_decoupled():
    assert parameter([3.0, -4.0], weight_decay=0.5).tolist() == pytest.approx([0.95 - 0.1, 1.9 + 0.1], rel=1e-5)
