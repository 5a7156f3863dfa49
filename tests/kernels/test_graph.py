"""The step in exported graphs agrees with the rule."""

import pytest
import torch

from lnca.kernels.graph import GraphNAFCA
from lnca.nn.nafca import NAFCA


@pytest.mark.parametrize("settings", [{}, {"embed": 24, "expansion": 2}])
def test_graph_step_is_the_rule(settings):
    torch.manual_seed(0)
    rule = NAFCA(5, 4, 7, zero_head=False, **settings).eval()
    for parameter in rule.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    cells = torch.randn(2, 7, 9, rule.channels)
    with torch.no_grad():
        expected = rule.step(cells)
        assert (expected - cells).abs().max() > 0.01
        torch.testing.assert_close(GraphNAFCA(rule)(cells), expected, atol=2e-6, rtol=1e-5)
