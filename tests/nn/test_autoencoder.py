"""The autoencoder against the authors' code, and its shapes."""

import pytest
import torch

from golden import Golden, assert_close, needs_golden
from lnca.nn.autoencoder import AdjustedConv, Autoencoder


@needs_golden
def test_encoder_and_decoder_are_the_authors():
    golden = Golden("ae_down2")
    autoencoder = Autoencoder().double().eval()
    autoencoder.load_state_dict(golden.autoencoder())
    with torch.no_grad():
        latent, skip = autoencoder.encode(golden.image("x"))
        assert_close(latent, golden["latent"])
        assert_close(skip, golden.image("skip"))
        assert_close(autoencoder.decode(golden["dec_latent_in"], skip), golden.image("dec_out"))
        assert_close(autoencoder.decode(latent, skip), golden.image("rec0"))


@pytest.mark.parametrize(("downsamplings", "side"), [(2, 8), (3, 4)])
def test_shapes(downsamplings, side):
    autoencoder = Autoencoder(downsamplings=downsamplings).eval()
    latent, skip = autoencoder.encode(torch.rand(2, 3, 32, 32))
    assert latent.shape == (2, side, side, 16)
    assert skip.shape == (2, 8, 16, 16)
    decoded = autoencoder.decode(latent, skip)
    assert decoded.shape == (2, 3, 32, 32)
    assert 0 <= decoded.min() <= decoded.max() <= 1


def test_the_side_channel_reaches_the_latent_but_not_the_skip():
    autoencoder = Autoencoder().eval()
    image = torch.rand(1, 3, 16, 16)
    latent, skip = autoencoder.encode(image)
    torch.nn.init.normal_(autoencoder.side_channel.conv.weight)
    changed_latent, changed_skip = autoencoder.encode(image)
    assert torch.equal(skip, changed_skip)
    assert not torch.equal(latent, changed_latent)


def test_one_downsampling_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        Autoencoder(downsamplings=1)


def test_running_statistics_move_by_a_hundredth_of_the_way():
    layer = AdjustedConv(3, 8, 2).train()
    image = torch.rand(2, 3, 16, 16)
    layer(image)
    mean = layer.conv(torch.nn.functional.pad(image, (0, 1, 0, 1))).mean((0, 2, 3))
    torch.testing.assert_close(layer.norm.running_mean, 0.01 * mean)
