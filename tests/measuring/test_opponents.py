"""The opponents of the benchmark compute the same values as our models; otherwise comparing times is pointless."""

import pytest
import torch

import lnca
from lnca.measuring.opponents import JaxRun, compiled, onnx_runtime


@pytest.fixture(scope="module")
def nafnet():
    torch.manual_seed(0)
    model = lnca.build("nafnet", width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@torch.no_grad()
def test_onnx_runtime_runs_the_model(nafnet):
    run = onnx_runtime(nafnet)
    for shape in ((1, 3, 16, 16), (3, 3, 16, 16), (2, 3, 24, 24)):
        x = torch.rand(shape)
        assert (torch.from_numpy(run(x)) - nafnet(x)).abs().max() < 1e-4


@pytest.mark.slow
@torch.no_grad()
def test_the_compiled_model_is_the_model(nafnet):
    run = compiled(nafnet, torch.float32)
    for shape in ((2, 3, 16, 16), (5, 3, 16, 16), (1, 3, 16, 16), (3, 3, 32, 32)):
        x = torch.rand(shape)
        assert (run(x) - nafnet(x)).abs().max() < 1e-4


@torch.no_grad()
def test_jax_runs_the_rule():
    torch.manual_seed(0)
    rule = lnca.build("latent-nafca").eval().automaton
    for parameter in rule.parameters():
        torch.nn.init.normal_(parameter, std=0.15 if parameter.ndim > 1 else 0.3)
    torch.nn.init.normal_(rule.head.weight, std=0.02)
    cells = rule.seed(torch.randn(2, 5, 9, rule.input_channels))
    expected = rule.double().run(cells.double(), 8)
    rule.float()
    JaxRun(rule).advance(cells.numpy(), 8)
    assert (cells - expected).abs().max() < 1e-5 * expected.abs().max()
    with pytest.raises(ValueError, match="update rate"):
        JaxRun(lnca.build("latent-nafca", update_rate=0.5).automaton)
