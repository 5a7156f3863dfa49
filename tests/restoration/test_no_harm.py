"""The models of photographs do not damage clean pictures, flat areas, colours and borders."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

import lnca
from lnca import metrics
from lnca.degradation import gaussian_noise
from lnca.demo import photograph
from lnca.restoration.pictures import to_tensor

GREYS = [(0.0,) * 3, (0.18,) * 3, (0.5,) * 3, (1.0,) * 3, (0.8, 0.3, 0.2), (0.1, 0.5, 0.9)]


@pytest.fixture(scope="module", params=["photo-denoise", pytest.param("photo-deblur", marks=pytest.mark.slow)])
def model(request):
    return lnca.load(request.param, "cpu")


@pytest.fixture(scope="module")
def denoiser():
    return lnca.load("photo-denoise", "cpu")


@pytest.mark.parametrize("colour", GREYS)
def test_a_card_of_one_colour_stays_as_it_is(model, colour):
    card = torch.tensor(colour)[None, :, None, None].expand(1, 3, 72, 104)
    result = model.restore(card)
    # Corners have the least context; their error is a few of 255.
    assert (result - card).abs().max() < 5 / 255
    assert (result - card)[..., 8:-8, 8:-8].abs().max() < 1 / 255
    assert (result - card).mean((2, 3)).abs().max() < 0.5 / 255


def test_a_gradient_stays_smooth_and_keeps_its_colours(model):
    ramp = torch.linspace(0.1, 0.9, 160).expand(1, 3, 96, 160) * torch.tensor([1.0, 0.9, 0.7])[:, None, None]
    result = model.restore(ramp)
    assert (result - ramp).abs().max() < 3 / 255
    assert (result - ramp)[..., 8:-8, 8:-8].abs().max() < 1 / 255
    assert (result - ramp).mean((2, 3)).abs().max() < 0.5 / 255


def test_a_clean_picture_is_left_alone(model):
    room = io.BytesIO()
    photograph().save(room, "JPEG", quality=95)
    clean = to_tensor(Image.open(room))
    assert metrics.psnr(model.restore(clean), clean).item() > 40


def test_a_noisy_sky_is_smooth_and_has_the_skys_colour(denoiser):
    """No texture of its own: what is left is far below the noise, and nowhere far off."""
    sky = torch.tensor([0.45, 0.6, 0.85])[None, :, None, None].expand(1, 3, 128, 128)
    noisy = gaussian_noise(sky, 25 / 255, torch.Generator().manual_seed(0))
    result = denoiser.restore(noisy)
    assert (result - sky).std() < 0.12 * 25 / 255
    assert (result - sky).mean((2, 3)).abs().max() < 1.25 / 255
    assert (result - sky).abs().max() < 0.6 * 25 / 255


def test_borders_are_restored_as_well_as_the_middle(denoiser):
    clean = to_tensor(photograph())
    given = gaussian_noise(clean, 25 / 255, torch.Generator().manual_seed(0))
    error = (denoiser.restore(given) - clean).abs().mean(1)[0].numpy()
    rim = np.ones_like(error, bool)
    rim[8:-8, 8:-8] = False
    assert error[rim].mean() < 1.35 * error[~rim].mean() + 0.5 / 255
