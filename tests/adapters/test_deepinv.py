"""Our models as deepinv's denoisers."""

import importlib
import sys

import pytest
import torch

import lnca
from others import need


@pytest.fixture
def deepinv(monkeypatch):
    return need("deepinv", monkeypatch)


@pytest.fixture
def denoiser(deepinv, weights):
    from lnca.adapters.deepinv import LatentDenoiser

    return LatentDenoiser(weights)


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_it_is_a_denoiser_and_gives_what_we_give(deepinv, denoiser, weights):
    assert isinstance(denoiser, deepinv.models.Denoiser)
    x = noise(2, 3, 20, 28)
    with torch.no_grad():
        assert torch.allclose(denoiser(x, sigma=0.1), lnca.load(weights, "cpu").restore(x), atol=1e-5)
        beyond = x + 0.5
        assert torch.equal(denoiser(beyond, 0.1), denoiser(beyond.clamp(0, 1), 0.1))


def test_grey_steps_and_gradients(deepinv, denoiser, weights):
    from lnca.adapters.deepinv import LatentDenoiser

    x = noise(2, 1, 16, 16)
    grey = denoiser(x, torch.tensor([0.1, 0.2]))
    assert grey.shape == x.shape
    colours = denoiser(x.expand(-1, 3, -1, -1))
    assert colours.amin() <= grey.amin()
    assert grey.amax() <= colours.amax()
    assert not torch.equal(LatentDenoiser(weights, steps=1)(x), grey)
    x.requires_grad_()
    denoiser(x, 0.1).sum().backward()
    assert x.grad.abs().sum() > 0


def test_it_serves_as_a_prior(deepinv, denoiser):
    clean = noise(1, 3, 16, 16)
    physics = deepinv.physics.Inpainting(img_size=(3, 16, 16), mask=0.9)
    model = deepinv.optim.optim_builder(
        "HQS",
        prior=deepinv.optim.PnP(denoiser=denoiser),
        data_fidelity=deepinv.optim.L2(),
        max_iter=2,
        params_algo={"stepsize": 1.0, "g_param": 0.05},
    )
    with torch.no_grad():
        assert model(physics(clean), physics).shape == clean.shape


def test_what_is_refused(deepinv, denoiser, tmp_path):
    from lnca.adapters.deepinv import LatentDenoiser
    from lnca.nn.weights_file import save_weights

    with pytest.raises(lnca.LncaError, match=r"should have the shape \(B, 3, H, W\) or \(B, 1, H, W\)"):
        denoiser(noise(1, 2, 16, 16))
    settings = {"width": 4, "encoder_blocks": (1,), "middle_blocks": 1, "decoder_blocks": (1,)}
    save_weights(tmp_path / "n.safetensors", lnca.build("nafnet", **settings), "nafnet", settings, {})
    with pytest.raises(lnca.LncaError, match="it has no steps"):
        LatentDenoiser(tmp_path / "n.safetensors", steps=2)


def test_without_the_library_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "lnca.adapters.deepinv", raising=False)
    for name in ("deepinv", "deepinv.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(lnca.LncaError, match="pip install deepinv"):
        importlib.import_module("lnca.adapters.deepinv")
