"""The path at full resolution and the deconvolution: their arithmetic, any size, locality."""

import math

import pytest
import torch

import lnca
from lnca.corruption import motion_kernels
from lnca.kernels.blur import fused_blur
from lnca.kernels.native import library
from lnca.nn.deconvolution import Deconvolution, blur
from lnca.nn.residual import Refinement

needs_library = pytest.mark.skipif(library() is None, reason="no C++ compiler when lnca was installed")

KINDS = [
    {}, {"rule": "vitca", "shrink": 2}, {"blurs": 3, "blur_lengths": (5,), "iterations": 2},
    {"context": 1, "depth": 2, "scales": 2, "blurs": 2, "blur_lengths": (3, 5), "iterations": 2, "border": "nearest"},
    {"scales": 2, "width": 8},
    {"blurs": 2, "blur_lengths": (3, 5), "window": 9, "border": "nearest"},
]  # fmt: skip


def trained(**settings):
    """A model none of whose parts does nothing."""
    torch.manual_seed(0)
    model = lnca.build("lnca", **settings).double().eval()
    torch.nn.init.normal_(model.automaton.head.weight, std=0.05)
    torch.nn.init.normal_(model.autoencoder.correct[-1].weight, std=0.05)
    if model.autoencoder.listen is not None:
        torch.nn.init.normal_(model.autoencoder.listen[-1].weight, std=0.5)
    for part in model.modules():
        if isinstance(part, Refinement):
            torch.nn.init.normal_(part.conv.weight, std=0.02)
    return model


def test_every_cell_blurs_with_its_own_kernel():
    torch.manual_seed(0)
    image, kernels = torch.rand(2, 12, 8, 3).double(), torch.rand(2, 3, 2, 25).double()
    result = blur(image, kernels)
    padded = torch.nn.functional.pad(image, (0, 0, 2, 2, 2, 2))
    for b, y, x, c in [(0, 0, 0, 0), (1, 11, 7, 2), (0, 5, 3, 1), (1, 3, 4, 0)]:
        window = padded[b, y : y + 5, x : x + 5, c]
        expected = (kernels[b, y // 4, x // 4].reshape(5, 5) * window).sum()
        torch.testing.assert_close(result[b, y, x, c], expected)


def test_a_known_blur_is_undone():
    """With the right kernel and zeros around the picture, most of the blur goes, and more with more iterations."""
    image = torch.nn.functional.interpolate(torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), 32)
    angles = math.pi * torch.tensor([0, 3, 5, 7]) / 8
    kernels = motion_kernels(7, angles)
    blurry = blur(image.permute(0, 2, 3, 1), kernels.flatten(1)[:, None, None].expand(-1, 8, 8, -1)).permute(0, 3, 1, 2)
    scores = torch.zeros(4, 8, 8, 8)
    scores[torch.arange(4), torch.tensor([0, 3, 5, 7])] = 20
    errors = [(Deconvolution(8, (7,), n)(blurry, scores) - image).abs().mean().item() for n in (0, 8, 32, 128)]
    assert sorted(errors, reverse=True) == errors
    assert errors[-1] < 0.2 * errors[0]


@needs_library
def test_the_fused_blur_and_its_gradients_are_the_plain_ones():
    torch.manual_seed(0)
    for channels, side, border in ((3, 7, "zero"), (1, 3, "nearest"), (8, 5, "zero"), (3, 5, "nearest")):
        image, kernels = torch.rand(3, 16, 20, channels), torch.rand(3, 4, 5, side**2)
        weights = torch.rand(3, 16, 20, channels)
        results = []
        for way, kind in ((fused_blur, torch.float32), (blur, torch.float64)):
            x, k = image.to(kind).requires_grad_(), kernels.to(kind).requires_grad_()
            result = way(x, k, border)
            results.append(
                [result.double(), *(g.double() for g in torch.autograd.grad((result * weights).sum(), (x, k)))]
            )
        for fused, plain in zip(*results, strict=True):
            torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-5)


def test_a_flat_picture_has_no_border_when_the_nearest_pixel_goes_on():
    """With zeros beyond the border, the rim of a picture that is flat would be taken for blurred and made brighter."""
    flat, scores = torch.full((1, 3, 16, 16), 0.5), torch.zeros(1, 8, 4, 4)
    kept, changed = (Deconvolution(8, (7,), 4, border)(flat, scores) for border in ("nearest", "zero"))
    torch.testing.assert_close(kept, flat)
    assert (changed - flat).abs().max() > 0.05


def test_a_bank_of_several_lengths_can_leave_a_picture_as_it_is():
    bank = Deconvolution(4, (3, 9), 1).bank
    assert bank.shape == (9, 81)
    torch.testing.assert_close(bank.sum(1), torch.ones(9))
    assert bank[-1, 40] == 1
    assert ((bank > 0).sum(1)[4:8] > (bank > 0).sum(1)[:4]).all()


def test_the_cells_say_how_to_blur_again():
    coder = lnca.build("lnca", blurs=4).autoencoder
    torch.nn.init.zeros_(coder.scatter[-1].weight)
    with torch.no_grad():
        coder.scatter[-1].bias[-4:] = torch.tensor([0.0, 0, 30, 0])
    image = torch.rand(2, 3, 16, 16)
    expected = blur(image.permute(0, 2, 3, 1), coder.deconvolution.bank[2].expand(2, 4, 4, -1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(coder.blurred(image, torch.rand(2, 4, 4, 32), image), expected)


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
    """A pixel reaches correction (3 positions), deconvolution (2 pixels twice an iteration), features (2 positions), a
    cell's far corner (3), and a cell more with every step and with every convolution of cells."""
    model = trained(**settings)
    x = torch.rand(1, 3, 96, 96).double()
    changed = x.clone()
    changed[0, :, 48, 48] = 1 - changed[0, :, 48, 48]
    with torch.no_grad():
        difference = (model(x, 2) - model(changed, 2)).abs().amax((0, 1))
    shrink = settings.get("shrink", 1)
    cells = 2 + 2 * settings.get("context", 0) + (2 * 1 if "scales" in settings else 0)
    reach = (5 + settings.get("depth", 0)) * shrink + 2 * 2 * 2 + 3 + 4 * cells + 2 * (shrink - 1)
    assert difference[48, 48] > 0
    difference[48 - reach : 49 + reach, 48 - reach : 49 + reach] = 0
    assert (difference == 0).all()


@pytest.mark.parametrize(
    "settings", [*KINDS, {"echoes": 1}, {"echoes": 1, "blurs": 2, "blur_lengths": (3, 5), "iterations": 1}]
)
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
        heard = len(coder.deconvolution.bank) if coder.listen else 0
        latent = torch.rand(*latent.shape[:-1], coder.scatter[0].in_channels - coder.around - heard).double()
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


def test_the_decoder_hears_the_blur_by_itself():
    """Scores change with the picture though the cells say nothing, and not before what is heard means anything."""
    settings = {"echoes": 2, "blurs": 2, "blur_lengths": (3, 5), "iterations": 1}
    silent, model = lnca.build("lnca", **settings).double().eval(), trained(**settings)
    latent = torch.zeros(1, 8, 8, 32).double()
    pictures = torch.rand(2, 1, 3, 32, 32).double()
    with torch.no_grad():
        one, other = (model.autoencoder.scores(latent, x) for x in pictures)
        assert (one - other).abs().amax() > 0.01
        one, other = (silent.autoencoder.scores(latent, x) for x in pictures)
        assert torch.equal(one, other)


def test_refinements_change_nothing_before_they_are_trained():
    x, plain = torch.rand(1, 3, 16, 16).double(), trained()
    refined = lnca.build("lnca", context=1, depth=2).double().eval()
    assert not refined.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    assert torch.equal(refined(x), plain(x))
    torch.nn.init.normal_(refined.autoencoder.gather_context[0].conv.weight, std=0.1)
    assert not torch.equal(refined(x), plain(x))


def test_steps_matter():
    model, x = trained(), torch.rand(1, 3, 16, 16).double()
    assert not torch.allclose(model(x, 0), model(x, 8))
