"""Tests that need a GPU: whole restorations, and their CUDA graphs."""

import pytest
import torch

import lnca
from lnca.demo import photograph
from lnca.metrics import ssim
from lnca.restoration.pictures import to_tensor

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", [model.name for model in lnca.models()])
@pytest.mark.parametrize("backend", ["fused", "compiled"])
def test_restorations_are_those_of_the_plain_rule(name, backend):
    clean = to_tensor(photograph())[..., 100:260, 200:360]
    noisy = (clean + 0.2 * torch.randn(1, 1, 160, 160, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    expected = lnca.load(name, "cpu", "plain").restore(noisy)
    exact = lnca.load(name, "cuda", backend)
    assert exact.backend.startswith(backend)
    torch.testing.assert_close(exact.restore(noisy).cpu(), expected, rtol=0, atol=1e-4)
    half = lnca.load(name, "cuda", backend, "bfloat16").restore(noisy).cpu()
    assert abs(ssim(half, clean) - ssim(expected, clean)).item() < 1e-3


def test_a_graph_serves_other_pictures_seeds_and_weights():
    from lnca.kernels.gpu import KEPT_GRAPHS, TritonRun

    torch.manual_seed(0)
    rule = lnca.build("latent-vitca", update_rate=0.5).automaton.cuda()
    torch.nn.init.normal_(rule.head.weight, std=0.02)
    run = TritonRun(rule)
    for side in (8, *range(4, 4 + KEPT_GRAPHS), 8):
        for seed in (1, 2):
            cells = rule.seed(torch.randn(2, side, 8, rule.input_channels, device="cuda"))
            with torch.no_grad():
                torch.testing.assert_close(run(cells, 4, seed), rule.run(cells, 4, seed), rtol=0, atol=1e-4)
                rule.head.weight.mul_(0.9)
    assert len(run._graphs._kept) == KEPT_GRAPHS
