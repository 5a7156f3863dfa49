"""NAFCA against the authors' code and against equation (2)."""

import pytest
import torch

from golden import NAFCA as NAMES
from golden import Golden, assert_close, needs_golden
from lnca.nn.nafca import NAFCA, simple_gate


@needs_golden
def test_one_and_eight_steps_are_the_authors():
    golden = Golden("nafca")
    rule = NAFCA(16, 16, 32).double().eval()
    rule.load_state_dict(golden.rule(NAMES))
    with torch.no_grad():
        assert_close(rule.step(golden["x"]), golden["y1"])
        assert_close(rule.run(golden["x"], 8), golden["y8"])


def test_equation_2_is_a_convolution_with_one_filter():
    rule = NAFCA(4, 4, 8, embed=12).double()
    x = torch.randn(2, 5, 7, 12, dtype=torch.float64)
    plain = rule.attention(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(rule.spatial_attention(x), x * plain)


def test_the_grouped_map_gives_each_channel_two_outputs():
    rule = NAFCA(4, 4, 8, embed=12).double()
    x = torch.randn(2, 5, 7, 12, dtype=torch.float64)
    plain = rule.widen(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(rule.gated(x), simple_gate(plain))


def test_simple_gate_by_hand():
    assert simple_gate(torch.tensor([1.0, 2.0, 3.0, 4.0])).tolist() == [3.0, 8.0]


def test_an_untrained_rule_changes_nothing():
    rule = NAFCA(4, 4, 8)
    cells = torch.randn(1, 6, 6, 16)
    assert torch.equal(rule.run(cells, 3), cells)


def test_the_authors_initial_values_are_a_setting():
    rule = NAFCA(4, 4, 8, residual_scale=0.0, zero_head=False)
    assert rule.beta.abs().max() == 0
    assert rule.head.weight.abs().max() > 0


@pytest.mark.parametrize("training", [True, False])
def test_dropout_acts_in_training_only(training):
    rule = NAFCA(4, 4, 8, zero_head=False, dropout=0.5).train(training)
    cells = torch.randn(1, 6, 6, 16)
    assert torch.equal(rule.update(cells), rule.update(cells)) is not training
