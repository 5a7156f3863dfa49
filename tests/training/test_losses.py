"""Equations (3) to (9): computed by hand, and the authors' values."""

import pytest
import torch

import lnca
from golden import NAFCA, Golden, needs_golden
from lnca import metrics
from lnca.training import losses


def row(*values):
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


def test_equation_3():
    assert losses.reconstruction_autoencoder(row(0, 1), row(0.5, 1)).item() == 0.125


def test_equation_4():
    anchor, positive, negative = row(0, 0), row(1, 0), row(0, 0.5)
    # 1/2 - 1/8 + 1
    assert losses.distance(anchor, positive, negative).item() == 1.375
    assert losses.distance(anchor, positive, row(4, 4)).item() == 0
    assert losses.distance(anchor, positive, negative, margin=0.5).item() == 0.875


def test_equation_5():
    anchor, positive = row(0.2, 0.4, 0.6, 0.8), row(0.2, 0.5, 0.6, 0.7)
    mask = losses.corrupted_pixels(anchor, positive)
    assert mask.flatten().tolist() == [0, 1, 0, 1]
    reconstructed = row(9, 0.7, 9, 0.7)
    assert losses.task(positive, reconstructed, mask).item() == pytest.approx(0.2**2 / 4)


def test_equation_6():
    anchor, positive = row(0.2, 0.4), row(0.2, 0.8)
    mask = losses.corrupted_pixels(anchor, positive)
    swapped_anchor, swapped_positive = row(9, 0.5), row(9, 0.5)
    expected = 0.1**2 / 2 + 0.3**2 / 2
    assert losses.equivalence(anchor, swapped_anchor, positive, swapped_positive, mask).item() == pytest.approx(
        expected
    )


def test_equation_7():
    assert losses.reconstruction_automaton(row(0, 1), row(0.5, 0.5)).item() == 0.25


def test_equation_8():
    assert losses.latent(row(-1, 3), row(1, 3)).item() == 2


def test_equation_9():
    assert losses.overflow(row(-0.5, 0.3, 1.0, 2.0), 0, 1).item() == pytest.approx(1.5 / 4)
    assert losses.overflow(row(-1, 1, 0), -1, 1).item() == 0
    assert losses.overflow(row(4.0, 0.0), torch.tensor(1.0), torch.tensor(2.0)).item() == 1.5


@pytest.fixture
def golden():
    return Golden("losses")


def is_golden(value, golden, name):
    assert value.item() == pytest.approx(golden[f"loss:{name}"].item(), rel=1e-5)


@needs_golden
def test_phase_1_losses_are_the_authors(golden):
    anchor, positive, negative = (golden[name] for name in ("anchor", "positive", "negative"))
    predicted = golden["y_pred"]
    mask = losses.corrupted_pixels(anchor, positive)
    reconstruction = losses.reconstruction_autoencoder(torch.cat([anchor, positive, negative]), predicted)
    distance = losses.distance(*(golden[f"{name}_embed"] for name in ("anchor", "positive", "negative")))
    task = losses.task(positive, predicted[2:4], mask)
    is_golden(reconstruction, golden, "rec_loss/MSE")
    is_golden(distance, golden, "dist_loss/MSE")
    is_golden(task, golden, "task_loss/MSE")
    is_golden(100 * reconstruction + 10 * distance + 10 * task, golden, "total_1/MSE_MSE_MSE")
    swapped = golden["conditioned_positive"], golden["conditioned_anchor"]
    is_golden(losses.equivalence(anchor, swapped[0], positive, swapped[1], mask), golden, "equiv_loss/PureNoiseMSE")


@needs_golden
def test_phase_2_losses_are_the_authors(golden):
    _, output, hidden = golden["latent_ca_out"].split([16, 16, 32], -1)
    terms = (
        losses.reconstruction_automaton(golden["anchor"], golden["y_pred"][:2]),
        losses.latent(golden["z_true"], output),
        losses.overflow(output, 0, 1),
        losses.overflow(hidden, -1, 1),
    )
    for value, name in zip(terms, ("ca_rec_loss/MSE", "ca_latent_loss", "ca_out_loss", "ca_hid_loss"), strict=True):
        is_golden(value, golden, name)
    total = 100 * terms[0] + 100 * terms[1] + terms[2] + terms[3]
    is_golden(total, golden, "ca_total/MSE")


@needs_golden
def test_metrics_are_the_authors(golden):
    anchor, predicted = golden.image("anchor"), golden.image("y_pred")[:2]
    is_golden(metrics.ssim(predicted, anchor).mean(), golden, "metric/SSIM")
    is_golden(metrics.psnr(predicted, anchor).mean(), golden, "metric/PSNR")


@needs_golden
def test_a_validation_of_phase_1_is_the_authors():
    golden = Golden("ae_validate")
    autoencoder = lnca.build("latent-nafca").autoencoder.double().eval()
    autoencoder.load_state_dict(golden.autoencoder())
    anchor, positive, negative = (golden.image(name) for name in ("anchor", "positive", "negative"))
    x, mask = torch.cat([anchor, positive, negative]), losses.corrupted_pixels(anchor, positive)
    with torch.no_grad():
        latent, skip = autoencoder.encode(x)
        reconstructed = autoencoder.decode(latent, skip)
        latents, skips = latent.chunk(3), skip.chunk(3)
        swapped_anchor = autoencoder.decode(latents[0], skips[1])
        swapped_positive = autoencoder.decode(latents[1], skips[0])
    assert metrics.ssim(reconstructed, x).mean().item() == pytest.approx(golden["metric:SSIM"].item(), abs=1e-6)
    assert metrics.psnr(reconstructed, x).mean().item() == pytest.approx(golden["metric:PSNR"].item(), rel=1e-5)
    is_golden(losses.reconstruction_autoencoder(x, reconstructed), golden, "rec_loss")
    is_golden(losses.distance(*latents), golden, "dist_loss")
    is_golden(losses.task(positive, reconstructed.chunk(3)[1], mask), golden, "task_loss")
    is_golden(losses.equivalence(anchor, swapped_anchor, positive, swapped_positive, mask), golden, "equiv_loss")


@needs_golden
def test_a_training_step_of_phase_2_has_the_authors_losses_and_directions():
    golden = Golden("ca_train_step")
    model = lnca.build("latent-nafca", dropout=0.0).double().eval()
    model.load_state_dict(golden.autoencoder("autoencoder.") | golden.rule(NAFCA, "cell/", "automaton."))
    with torch.no_grad():
        latent, skip = model.autoencoder.encode(golden.image("x"))
        clean, _ = model.autoencoder.encode(golden.image("y_true"))
    cells = model.automaton.run(model.automaton.seed(latent), int(golden["n"]))
    output = model.automaton.read(cells)
    terms = (
        losses.reconstruction_automaton(golden.image("y_true"), model.autoencoder.decode(output, skip)),
        losses.latent(clean, output),
        losses.overflow(output, 0, 1),
        losses.overflow(model.automaton.hidden(cells), -1, 1),
    )
    for value, name in zip(terms, ("rec_loss", "latent_loss", "out_loss", "hid_loss"), strict=True):
        assert value.item() == pytest.approx(golden[f"loss:{name}"].item(), rel=1e-5)
    (100 * terms[0] + 100 * terms[1] + terms[2] + terms[3]).backward()
    after = golden["after:cell/conv_out/kernel"].reshape(64, 48).T
    moved = after - model.automaton.head.weight.detach()
    gradient = model.automaton.head.weight.grad
    clear = gradient.abs() > 1e-3 * gradient.abs().max()
    assert (moved.sign() == -gradient.sign())[clear].double().mean() > 0.999


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_balanced_errors_weigh_pictures_by_a_power_of_their_error(balance):
    y = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    restored = (y + torch.tensor([0.04, 0.005])[:, None, None, None]).requires_grad_()
    losses.balanced_error(y, restored, balance).backward()
    of_first, of_second = restored.grad.flatten(1).sum(1)
    assert (of_first / of_second).item() == pytest.approx((0.04 / 0.005) ** -balance)
    assert losses.balanced_error(y, y.clone(), balance) == 0
    if not balance:
        assert losses.balanced_error(y, restored).item() == pytest.approx((restored - y).abs().mean().item())
