"""The path at full resolution: its arithmetic, any size, locality."""

import pytest
import torch

import lnca
from lnca.errors import LncaError

KINDS = [{}, {"rule": "vitca", "shrink": 2}, {"width": 8, "mixing": 24}]


def trained(**settings):
    """A model whose parts all have an effect."""
    torch.manual_seed(0)
    model = lnca.build("lnca", **settings).double().eval()
    torch.nn.init.normal_(model.automaton.head.weight, std=0.05)
    torch.nn.init.normal_(model.autoencoder.correct[-1].weight, std=0.05)
    return model


def test_an_untrained_model_gives_back_what_it_gets():
    x = torch.rand(1, 3, 17, 22)
    assert torch.equal(lnca.build("lnca").eval()(x), x)


@pytest.mark.parametrize("settings", KINDS)
@pytest.mark.parametrize("size", [(8, 8), (13, 31), (32, 32)])
def test_any_size_stays_in_range(settings, size):
    result = trained(**settings)(torch.rand(2, 3, *size).double())
    assert result.shape == (2, 3, *size)
    assert ((result >= 0) & (result <= 1)).all()
    assert result.std() > 0.01


@pytest.mark.parametrize("settings", KINDS)
def test_every_layer_is_local(settings):
    """A pixel reaches correction (3 positions), features (2 positions), a cell's far corner (3), and a cell more with
    every step."""
    model = trained(**settings)
    x = torch.rand(1, 3, 96, 96).double()
    changed = x.clone()
    changed[0, :, 48, 48] = 1 - changed[0, :, 48, 48]
    with torch.no_grad():
        difference = (model(x, 2) - model(changed, 2)).abs().amax((0, 1))
    shrink = settings.get("shrink", 1)
    reach = 5 * shrink + 3 + 4 * 2 + 2 * (shrink - 1)
    assert difference[48, 48] > 0
    difference[48 - reach : 49 + reach, 48 - reach : 49 + reach] = 0
    assert (difference == 0).all()


@pytest.mark.parametrize("settings", KINDS)
def test_coders_say_how_far_they_reach(settings):
    coder = trained(**settings).autoencoder
    cells = 2 * coder.reach + 5
    middle, near = cells // 2, slice(2, -2)
    x = torch.rand(1, 3, 4 * cells, 4 * cells).double()
    place = slice(4 * middle, 4 * middle + 4)
    changed = x.clone()
    changed[..., place, place] = 1 - changed[..., place, place]
    with torch.no_grad():
        (latent, skip), (other, other_skip) = coder.encode(x), coder.encode(changed)
        latent = torch.rand(*latent.shape[:-1], coder.scatter[0].in_channels).double()
        there = latent.clone()
        there[:, middle, middle] += 1
        restored = [
            (coder.decode(latent, skip) - coder.decode(*given)).abs().amax((0, 1))
            for given in ((there, skip), (latent, other_skip))
        ]
        found = [
            (coder.encode(x)[0] - other).abs().amax((0, 3)),
            *(r.unflatten(0, (-1, 4)).unflatten(2, (-1, 4)).amax((1, 3)) for r in restored),
        ]
    for difference in found:
        assert difference[near, near].any()
        difference[near, near] = 0
        assert not difference.any()


def test_what_was_taken_out_is_named_where_a_model_has_it():
    """Old files hold all settings; unused ones are ignored."""
    lnca.build("lnca", context=0, blurs=0, blur_lengths=[7], border="zero", window=0)
    with pytest.raises(LncaError, match="it has blurs, which lnca no longer has: train it again"):
        lnca.build("lnca", blurs=24, blur_lengths=[7])


def test_steps_matter():
    model, x = trained(), torch.rand(1, 3, 16, 16).double()
    assert not torch.allclose(model(x, 0), model(x, 8))
