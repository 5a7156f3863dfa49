"""A state dict determines its model and settings."""

import pytest
import torch

import lnca
from lnca.nn.recognition import architecture_of, settings_of

BUILT = [
    ("latent-nafca", {"latent_channels": 8, "hidden_channels": 12, "downsamplings": 3, "embed": 24, "expansion": 2}),
    ("latent-vitca", {"hidden_channels": 8, "embed": 32, "mlp": 16, "position": "none"}),
    ("lnca", {}),
    ("lnca", {"rule": "vitca", "width": 8, "shrink": 2, "mixing": 24, "embed": 16, "mlp": 8}),
    ("lnca", {"output_channels": 24, "hidden_channels": 4, "expansion": 2}),
]


@pytest.mark.parametrize(("name", "settings"), BUILT)
def test_a_model_built_from_what_the_weights_tell_is_the_same(name, settings):
    torch.manual_seed(0)
    model = lnca.build(name, **settings).eval()
    for parameter in model.parameters():
        # Layers that start at zero have to have an effect.
        torch.nn.init.normal_(parameter, std=0.05)
    state = model.state_dict()
    assert architecture_of(state) == name
    again = lnca.build(name, **settings_of(state)).eval()
    again.load_state_dict(state, strict=True)
    x = torch.rand(1, 3, 24, 32)
    with torch.no_grad():
        assert torch.equal(again(x, steps=2), model(x, steps=2))


def test_other_weights_are_not_taken_for_ours():
    for name in ("nafnet-tiny", "restormer-tiny", "vitca-tiny"):
        assert architecture_of(lnca.build(name).state_dict()) is None
    assert architecture_of({}) is None


def test_a_missing_tensor_is_named():
    state = lnca.build("lnca").state_dict()
    del state["autoencoder.scatter.0.weight"]
    with pytest.raises(KeyError, match=r"scatter\.0\.weight"):
        settings_of(state)
