"""Names and settings."""

import pytest

import lnca
from lnca.architectures import resolve
from lnca.nn.registry import module_of


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("latent-nafka", {}, "no architecture 'latent-nafka'; did you mean latent-nafca"),
        ("unet", {}, "no architecture 'unet'; did you mean nafnet"),
        ("xyz", {}, "there are latent-nafca, latent-vitca, lnca, pyramid, deblur, vitca, nafnet, restormer"),
        (
            "latent-nafca",
            {"hiden_channels": 8},
            "no setting of latent-nafca 'hiden_channels'; did you mean hidden_channels",
        ),
        ("latent-vitca", {"heads": 3}, "cannot build latent-vitca: embed must be a multiple of heads"),
        ("latent-vitca", {"steps": 8, "downsamplings": 1}, "downsamplings must be at least 2"),
        ("latent-nafca", {"name": "x"}, "no setting of latent-nafca 'name'"),
        ("latent-nafca", {"embed": "128"}, "embed of latent-nafca should be int, none above 4096, got '128'"),
        ("latent-nafca", {"hidden_channels": 10**9}, "none above 4096, got '1000000000'"),
        ("latent-nafca", {"update_rate": [1]}, "update_rate of latent-nafca should be float"),
        ("latent-nafca", {"zero_head": 1}, "zero_head of latent-nafca should be bool"),
        ("latent-vitca", {"position": "4d"}, "position of latent-vitca should be Literal"),
        ("latent-vitca", {"heads": 0}, "cannot build latent-vitca"),
        ("nafnet", {"encoder_blocks": [1] * 17}, "encoder_blocks of nafnet should be tuple"),
        ("nafnet", {"state_dict": 5}, "these are no weights of nafnet; give a state dict"),
    ],
)
def test_what_cannot_be_built_is_said(name, settings, sentence):
    with pytest.raises(lnca.LncaError, match=sentence):
        lnca.build(name, **settings)


@pytest.mark.parametrize("name", ["latent-nafca", "latent-vitca"])
def test_settings_reach_the_modules(name):
    model = lnca.build(name, hidden_channels=8, latent_channels=4, downsamplings=3, update_rate=0.5, steps=7)
    automaton = model.automaton
    assert (automaton.input_channels, automaton.output_channels, automaton.hidden_channels) == (4, 4, 8)
    assert automaton.update_rate == 0.5
    assert model.steps == 7
    assert model.autoencoder.multiple == 8


@pytest.mark.parametrize(("name", "most"), [("latent-nafca", 60_000), ("latent-vitca", 120_000)])
def test_models_are_small(name, most):
    assert 40_000 < sum(parameter.numel() for parameter in lnca.build(name).parameters()) < most


@pytest.mark.parametrize(("given", "steps"), [({}, 3), ({"rules": 2}, 2), ({"rules": 2, "steps": 5}, 5)])
def test_a_pyramid_makes_as_many_steps_as_it_has_rules(given, steps):
    _, settings = resolve("pyramid", given)
    assert settings.steps == module_of(settings).steps == steps
