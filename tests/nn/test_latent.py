"""Whole models against the authors' code, on any size, batch and data type."""

import pytest
import torch

import lnca
from golden import NAFCA, VITCA, Golden, assert_close, needs_golden

RULES = [("latent-nafca", "latentnafca_forward8", NAFCA), ("latent-vitca", "latentvitca_forward8", VITCA)]


def trained(name="latent-nafca", **settings):
    """A model whose head is not zero, so that steps matter."""
    torch.manual_seed(0)
    model = lnca.build(name, **settings).eval()
    torch.nn.init.normal_(model.automaton.head.weight, std=0.02)
    return model


@needs_golden
@pytest.mark.parametrize(("name", "file", "names"), RULES)
def test_the_whole_forward_pass_is_the_authors(name, file, names):
    golden = Golden(file)
    model = lnca.build(name).double().eval()
    model.load_state_dict(golden.autoencoder("autoencoder.") | golden.rule(names, "cell/", "automaton."))
    image = golden.image("x")
    with torch.no_grad():
        latent, skip = model.autoencoder.encode(image)
        assert_close(latent, golden["latent"])
        assert_close(skip, golden.image("skip"))
        cells = model.automaton.run(model.automaton.seed(latent), 8)
        assert_close(cells, golden["latent_ca_out"])
        assert_close(model(image, 8), golden.image("output"))
        from_pool = model.automaton.run(golden["pool"], 8)
        assert_close(from_pool, golden["latent_ca_out_from_pool"])
        assert_close(model.autoencoder.decode(model.automaton.read(from_pool), skip), golden.image("output_from_pool"))


@pytest.mark.parametrize("name", ["latent-nafca", "latent-vitca"])
@pytest.mark.parametrize("size", [(8, 8), (13, 31), *((height, 8 + 7 * height % 10) for height in range(8, 18))])
def test_any_size_keeps_its_size(name, size):
    model = trained(name)
    image = torch.rand(1, 3, *size)
    with torch.no_grad():
        for restored in (model(image, 2), model.bypass(image), *model.frames(image, 1)):
            assert restored.shape == image.shape
            assert 0 <= restored.min() <= restored.max() <= 1


def test_the_part_that_was_there_does_not_depend_on_the_padding():
    model = trained(downsamplings=3)
    image = torch.rand(1, 3, 24, 21)
    mirrored = torch.nn.functional.pad(image, (0, 3, 0, 0), mode="reflect")
    with torch.no_grad():
        torch.testing.assert_close(model(image, 2), model(mirrored, 2)[..., :21])


@pytest.mark.parametrize("size", [(8, 8), (9, 17), (16, 15)])
def test_three_downsamplings_take_any_size_too(size):
    image = torch.rand(1, 3, *size)
    with torch.no_grad():
        assert trained(downsamplings=3)(image, 2).shape == image.shape


@pytest.mark.parametrize("size", [(7, 8), (8, 7)])
def test_smaller_than_8_is_refused(size):
    with pytest.raises(ValueError, match="at least 8x8"):
        trained()(torch.rand(1, 3, *size))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-4), (torch.bfloat16, 0.1)])
def test_any_data_type(dtype, tolerance):
    model = trained(steps=4)
    image = torch.rand(3, 3, 16, 12)
    with torch.no_grad():
        plain = model(image)
        converted = model.to(dtype)(image.to(dtype))
    assert converted.dtype == dtype
    torch.testing.assert_close(converted.float(), plain, atol=tolerance, rtol=0)


def test_pictures_of_a_batch_do_not_see_each_other():
    model = trained(steps=3)
    images = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(model(images)[1:2], model(images[1:2]))


def test_the_last_frame_is_the_restored_image_and_steps_have_a_default():
    model = trained(steps=5)
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        frames = list(model.frames(image))
        assert len(frames) == 6
        assert torch.equal(frames[-1], model(image))
        assert torch.equal(frames[2], model(image, 2))
        assert not torch.equal(frames[0], frames[-1])
        assert not torch.equal(model.bypass(image), frames[0])


@pytest.mark.parametrize(("name", "settings"), [("latent-nafca", {}), ("latent-vitca", {"position": "none"})])
def test_what_is_far_away_does_not_matter(name, settings):
    """Each step widens the receptive field by one cell, which is 4 pixels wide."""
    model = trained(name, **settings)
    image = torch.rand(1, 3, 16, 96)
    changed = image.clone()
    changed[..., :8] = 0
    with torch.no_grad():
        difference = (model(image, 4) - model(changed, 4)).abs().amax((0, 1, 2))
    assert difference[:8].max() > 0
    assert difference[32:].max() == 0
