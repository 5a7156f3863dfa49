"""The Triton steps against the plain rule in float64, on a GPU or else through Triton's interpreter."""

import copy

import pytest
import torch
from rules import RULES, cells_of, plain, random_rule

from lnca.kernels.gpu import TritonRun

pytest.importorskip("triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

SHAPES = ((1, 5, 7), (2, 4, 4), (2, 1, 9), (1, 6, 1), (1, 1, 1))


@pytest.fixture(autouse=True)
def _poisoned():
    """Fills memory that nothing wrote with NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def run(rule, cells, steps, seed=0, first=0, **settings):
    fused = TritonRun(copy.deepcopy(rule).to(DEVICE), **{"block": 16, "warps": 1, **settings})
    return fused(cells.to(DEVICE), steps, seed, first).cpu()


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_float32_is_the_plain_rule_within_1e_5(name):
    rule = random_rule(name)
    for shape in SHAPES:
        cells = cells_of(rule, *shape)
        expected = plain(rule, cells, 2, seed=3)
        result = run(rule, cells, 2, 3)
        assert result.dtype == torch.float32
        assert (result - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", RULES)
def test_bfloat16_is_the_plain_rule_within_half_a_percent(name):
    rule = random_rule(name)
    # One block: the interpreter takes seconds for each.
    cells = cells_of(rule, 1, 3, 5)
    expected = plain(rule, cells, 2, seed=3)
    difference = (run(rule, cells, 2, 3, precision="bfloat16") - expected).abs().max()
    assert 1e-5 * expected.abs().max() < difference < 5e-3 * expected.abs().max()


@pytest.mark.parametrize("name", ["nafca, update rate", "vitca in pixel space"])
def test_blocks_and_single_steps_change_next_to_nothing(name):
    rule = random_rule(name)
    cells = cells_of(rule, 2, 3, 5)
    whole = run(rule, cells, 2, 7)
    stepped = run(rule, run(rule, cells, 1, 7), 1, 7, first=1, block=32)
    torch.testing.assert_close(stepped, whole, rtol=0, atol=1e-5)


def test_changed_weights_are_noticed_and_a_copy_has_its_own():
    rule = random_rule("nafca").to(DEVICE)
    cells = cells_of(rule.cpu(), 1, 4, 4)
    rule, cells = rule.to(DEVICE), cells.to(DEVICE)
    fused = TritonRun(rule, block=16, warps=1)
    before = fused(cells, 1)
    rule.runner = fused
    with torch.inference_mode():
        assert torch.equal(fused(cells, 1), before)
    twin = copy.deepcopy(rule)
    with torch.no_grad():
        rule.head.weight.mul_(0.5)
    assert not torch.equal(fused(cells, 1), before)
    assert twin.runner.rule is twin
    assert torch.equal(twin.runner(cells, 1), before)


def test_a_rule_without_a_kernel_is_refused():
    from lnca import LncaError
    from lnca.nn.nafca import NAFCA

    class Other(NAFCA):
        pass

    with pytest.raises(LncaError, match="no fused kernel for this Other; use the plain rule"):
        TritonRun(Other(4, 4, 4))
