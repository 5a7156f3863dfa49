"""Restormer against the public release."""

import json

import pytest
import torch

import lnca
from golden import Golden, assert_close, needs_golden
from lnca.nn.restormer import Restormer, settings_of

SMALL = {"dim": 8, "num_blocks": (1, 2, 1, 1), "num_refinement_blocks": 1, "heads": (1, 2, 2, 4)}


@needs_golden
def test_output_is_the_releases_and_settings_are_deduced():
    golden = Golden("restormer_small")
    state = golden.state_dict()
    model = lnca.build("restormer", state_dict=state).double()
    with torch.no_grad():
        assert_close(model(golden["input"]), golden["output"], 1e-10)
    found, config = settings_of(state), json.loads(str(golden.arrays["config"]))
    for name in ("dim", "num_refinement_blocks", "bias"):
        assert found[name] == config[name]
    for name in ("num_blocks", "heads"):
        assert list(found[name]) == config[name]


def test_the_full_size_has_the_papers_parameters_and_is_deduced():
    with torch.device("meta"):
        state = Restormer().state_dict()
        assert sum(value.numel() for value in state.values()) == 26_126_644
        again = Restormer(**settings_of(state)).state_dict()
    assert {name: value.shape for name, value in again.items()} == {name: value.shape for name, value in state.items()}


@pytest.mark.parametrize("settings", [{"bias": True}, {"norm_bias": False}, {"image_channels": 1}])
def test_variants_are_deduced(settings):
    model = lnca.build("restormer", **SMALL, **settings)
    again = lnca.build("restormer", state_dict=model.state_dict())
    image = torch.rand(1, settings.get("image_channels", 3), 16, 16)
    with torch.no_grad():
        assert torch.equal(model(image), again(image))


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (17, 30)])
def test_any_size_is_mirrored_to_a_multiple_of_8(size):
    model = lnca.build("restormer", **SMALL)
    image = torch.rand(1, 3, *size)
    mirrored = torch.nn.functional.pad(image, (0, -size[1] % 8, 0, -size[0] % 8), mode="reflect")
    with torch.no_grad():
        torch.testing.assert_close(model(image), model(mirrored)[..., : size[0], : size[1]])
