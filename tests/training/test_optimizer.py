"""Learning rates and gradients."""

import pytest
import torch

from golden import Golden, needs_golden
from lnca.nn.autoencoder import Autoencoder
from lnca.training import losses
from lnca.training.muon import MuonSettings
from lnca.training.optimizer import Optimizer, OptimizerSettings, learning_rate_factor, normalise


@pytest.mark.parametrize(
    ("step", "warmup", "factor"),
    [
        (0, 0.0, 1.0),
        (50, 0.0, 0.5),
        (100, 0.0, 0.0),
        (25, 0.0, 0.853553),
        (0, 0.1, 1 / 11),
        (9, 0.1, 10 / 11),
        (10, 0.1, 1.0),
        (55, 0.1, 0.5),
    ],
)
def test_cosine_decay_after_a_linear_rise(step, warmup, factor):
    assert learning_rate_factor(step, 100, warmup) == pytest.approx(factor, abs=1e-6)


@pytest.mark.parametrize(
    ("step", "decay", "factor"),
    [
        (0, 0.25, 1 / 11),
        (10, 0.25, 1.0),
        (75, 0.25, 1.0),
        (76, 0.25, 0.96),
        (99, 0.25, 0.04),
        (100, 0.25, 0.0),
        (99, 0.0, 1.0),
    ],
)
def test_constant_then_down_in_a_straight_line(step, decay, factor):
    assert learning_rate_factor(step, 100, 0.1, decay) == pytest.approx(factor, abs=1e-6)


def test_both_optimizers_follow_one_schedule_and_are_resumed():
    def made():
        torch.manual_seed(0)
        vector, matrix = torch.nn.Parameter(torch.randn(3)), torch.nn.Parameter(torch.randn(3, 4))
        settings = OptimizerSettings(learning_rate=0.1, decay=0.5, normalise_gradients=False)
        return Optimizer([vector], settings, 4, matrices=[matrix], muon=MuonSettings(0.01)), vector, matrix

    def go(optimizer, vector, matrix):
        optimizer.step((vector.sum() * matrix.square().sum()).sin())
        return [each.param_groups[0]["lr"] for each in optimizer.optimizers]

    whole, cut, resumed = made(), made(), made()
    rates = [go(*whole) for _ in range(4)]
    assert [adam for adam, _ in rates] == pytest.approx([0.1, 0.1, 0.05, 0])
    assert [muon for _, muon in rates] == pytest.approx([0.01, 0.01, 0.005, 0])
    for _ in range(2):
        go(*cut)
    resumed[0].load_state_dict(cut[0].state_dict())
    for mine, theirs in zip(resumed[1:], cut[1:], strict=True):
        mine.data.copy_(theirs)
    for _ in range(2):
        go(*resumed)
    assert torch.equal(resumed[1], whole[1])
    assert torch.equal(resumed[2], whole[2])


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


def test_each_gradient_is_divided_by_its_own_length():
    assert parameter([30.0, 40.0]).grad.tolist() == pytest.approx([0.6, 0.8], rel=1e-4)


def test_the_learning_rate_follows_the_schedule_down_to_zero():
    value = torch.nn.Parameter(torch.zeros(1))
    optimizer = Optimizer([value], OptimizerSettings(learning_rate=0.1), 4)
    rates = []
    for _ in range(4):
        rates.append(optimizer.adam.param_groups[0]["lr"])
        optimizer.step(value.sum())
    half = 0.5**0.5 / 2
    assert rates == pytest.approx([0.1, 0.1 * (0.5 + half), 0.05, 0.1 * (0.5 - half)])
    assert optimizer.adam.param_groups[0]["lr"] == pytest.approx(0)


@needs_golden
def test_both_updates_of_a_batch_of_phase_1_are_the_authors():
    """Pictures are encoded separately, as in the authors' code; the authors' additional bias moves their running
    means."""
    golden = Golden("ae_train_step")
    autoencoder = Autoencoder().double().train()
    autoencoder.load_state_dict(golden.autoencoder())
    optimizer = Optimizer(autoencoder.parameters(), OptimizerSettings(), int(golden["decay_steps"]))
    anchor, positive, negative = (golden.image(name) for name in ("anchor", "positive", "negative"))
    mask = losses.corrupted_pixels(anchor, positive)
    encoded = [autoencoder.encode(x) for x in (anchor, positive, negative)]
    decoded = [autoencoder.decode(*each) for each in encoded]
    reconstruction = losses.reconstruction_autoencoder(torch.cat([anchor, positive, negative]), torch.cat(decoded))
    distance, task = losses.distance(*(latent for latent, _ in encoded)), losses.task(positive, decoded[1], mask)
    optimizer.step(100 * reconstruction + 10 * distance + 10 * task)
    (latent_A, skip_A), (latent_P, skip_P) = (autoencoder.encode(x) for x in (anchor, positive))
    swapped_A, swapped_P = autoencoder.decode(latent_A, skip_P), autoencoder.decode(latent_P, skip_A)
    equivalence = losses.equivalence(anchor, swapped_A, positive, swapped_P, mask)
    optimizer.step(100 * equivalence)
    names = ("rec_loss", "dist_loss", "task_loss", "equiv_loss")
    for value, name in zip((reconstruction, distance, task, equivalence), names, strict=True):
        assert value.item() == pytest.approx(golden[f"loss:{name}"].item(), rel=1e-5 if name != "equiv_loss" else 1e-4)
    for name, after in golden.after().autoencoder().items():
        if not name.endswith(("running_mean", "num_batches_tracked")):
            assert (autoencoder.state_dict()[name] - after).abs().mean() < 1e-4, name
