"""NAFNet against the public release."""

import json

import pytest
import torch

import lnca
from golden import Golden, assert_close, needs_golden
from lnca.nn.nafnet import GlobalMean, NAFNet, settings_of


@pytest.fixture(scope="module")
def small():
    return NAFNet(8, (1, 2), 1, (1, 1)).double().eval()


@needs_golden
def test_output_is_the_releases_and_settings_are_deduced():
    golden = Golden("nafnet_small")
    state = golden.state_dict()
    model = lnca.build("nafnet", state_dict=state).double()
    with torch.no_grad():
        assert_close(model(golden["input"]), golden["output"], 1e-10)
    config = json.loads(str(golden.arrays["config"]))
    found = settings_of(state)
    assert found["width"] == config["width"]
    assert list(found["encoder_blocks"]) == config["enc_blk_nums"]
    assert list(found["decoder_blocks"]) == config["dec_blk_nums"]
    assert found["middle_blocks"] == config["middle_blk_num"]


def test_the_full_size_has_the_papers_parameters():
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in NAFNet().parameters()) == 115_982_915


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (17, 30)])
def test_any_size(small, size):
    image = torch.rand(1, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        assert small(image).shape == image.shape


def test_padding_is_zeros_below_and_at_the_right(small):
    image = torch.rand(1, 3, 10, 11, dtype=torch.float64)
    padded = torch.nn.functional.pad(image, (0, 1, 0, 2))
    with torch.no_grad():
        torch.testing.assert_close(small(image), small(padded)[..., :10, :11])


def test_local_means_are_means_of_windows():
    mean = GlobalMean()
    x = torch.rand(1, 2, 9, 12, dtype=torch.float64)
    torch.testing.assert_close(mean(x), x.mean((2, 3), keepdim=True))
    mean.window = 4
    inner = torch.nn.functional.avg_pool2d(x, 4, 1)
    torch.testing.assert_close(mean(x), torch.nn.functional.pad(inner, (1, 2, 1, 2), mode="replicate"))
    mean.window = 100
    torch.testing.assert_close(mean(x), x.mean((2, 3), keepdim=True))


def test_the_local_mode_can_be_switched_on_and_off():
    torch.manual_seed(0)
    model = NAFNet(8, (1, 1), 1, (1, 1)).eval()
    for name, parameter in model.named_parameters():
        if name.endswith(("beta", "gamma")):
            torch.nn.init.normal_(parameter)
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        plain = model(image)
        model.use_local_means(32)
        assert torch.equal(model(image), plain)
        model.use_local_means(8)
        assert not torch.allclose(model(image), plain)
        model.use_local_means(None)
        assert torch.equal(model(image), plain)


@pytest.mark.parametrize(
    ("name", "state", "sentence"),
    [
        ("nafnet", {}, "no weights of nafnet"),
        ("restormer", {"intro.weight": torch.zeros(1)}, "no weights of restormer"),
        ("latent-nafca", {}, "settings can be deduced for nafnet and restormer only"),
    ],
)
def test_weights_of_something_else(name, state, sentence):
    with pytest.raises(lnca.LncaError, match=sentence):
        lnca.build(name, state_dict=state)


def test_a_missing_weight_is_named(small):
    state = small.state_dict()
    del state["ending.bias"]
    with pytest.raises(lnca.LncaError, match="ending.bias"):
        lnca.build("nafnet", state_dict=state)


@pytest.mark.parametrize(("tiny", "full"), [("nafnet-tiny", "nafnet"), ("restormer-tiny", "restormer")])
def test_tiny_presets_have_a_twentieth_of_the_arithmetic(tiny, full):
    from torch.utils.flop_counter import FlopCounterMode

    def operations(name):
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
            lnca.build(name)(torch.rand(1, 3, 64, 64))
        return counter.get_total_flops()

    assert 15 < operations(full) / operations(tiny) < 25
