"""ViTCA in pixel space."""

import pytest
import torch

import lnca
from golden import VITCA, Golden, assert_close, needs_golden


@needs_golden
def test_seed_and_eight_steps_are_the_authors():
    golden = Golden("vitca_pixel")
    model = lnca.build("vitca", update_rate=1.0).double()
    model.load_state_dict(golden.rule(VITCA, "", "automaton."))
    image = golden.image("img")
    with torch.no_grad():
        cells = model.automaton.seed(golden["img"])
        assert_close(cells, golden["seed_of_img"])
        stepped = model.automaton.run(cells, 8)
        assert torch.equal(model(image, 8), model.image(stepped))
        assert_close(model.image(golden["y1"]), golden.image("rgb_out_of_y1"))


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = lnca.build("vitca", embed=16, heads=2, mlp=8, position="none", steps=4).eval()
    torch.nn.init.normal_(model.automaton.head.weight, std=0.1)
    return model


def test_the_papers_settings_are_the_defaults():
    model = lnca.build("vitca")
    automaton = model.automaton
    assert (automaton.input_channels, automaton.output_channels, automaton.hidden_channels) == (3, 3, 32)
    assert automaton.update_rate == 0.5
    assert automaton.position == "sinusoidal"
    assert model.steps == 64


def test_a_run_is_repeated_by_its_seed_whatever_the_batch(model):
    images = torch.rand(2, 3, 9, 11)
    with torch.no_grad():
        assert torch.equal(model(images), model(images))
        torch.testing.assert_close(model(images)[1:], model(images[1:]))
        assert not torch.equal(model(images), model(images, seed=1))


def test_frames_can_be_skipped(model):
    image = torch.rand(1, 3, 9, 11)
    with torch.no_grad():
        frames = list(model.frames(image))
        some = list(model.frames(image, only=(1, 4)))
    assert len(frames) == 5
    assert torch.equal(some[0], frames[1])
    assert torch.equal(some[1], model(image))
