"""Recomputing in the backward pass: the same gradients from far fewer bytes."""

import pytest
import torch

import lnca
from lnca import LncaError
from lnca.training.recipe import load_recipe
from lnca.training.unroll import checked, compiled, unroll

RULES = {
    "nafca": ("latent-nafca", {"dropout": 0.0}),
    "nafca with dropout": ("latent-nafca", {"dropout": 0.3}),
    "vitca with masks": ("vitca", {"position": "none"}),
}


def gradients(name, backward, steps=11):
    """Gradients of a loss after some steps, and the bytes that were kept for them."""
    torch.manual_seed(0)
    architecture, settings = RULES[name]
    rule = lnca.build(architecture, **settings).double().train().automaton
    torch.nn.init.normal_(rule.head.weight, std=0.05)
    image = torch.randn(2, 6, 5, rule.input_channels, dtype=torch.float64, requires_grad=True)
    cells = rule.seed(image)
    masks = [rule.mask(3, step, cells) for step in range(steps)]
    kept: dict[int, int] = {}
    weights = {p.data_ptr() for p in rule.parameters()}

    def pack(x):
        if x.untyped_storage().data_ptr() not in weights:
            kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        step = compiled(rule.change, backward) if backward == "budget" else rule.change
        result = unroll(step, cells, masks, backward, rule.input_channels)
    (result.square().mean() + result[..., 7].sum()).backward()
    return [result.detach(), image.grad, *(p.grad for p in rule.parameters())], sum(kept.values())


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("backward", ["recompute", "segments"])
def test_gradients_are_the_same_to_the_bit(name, backward):
    plain, all_bytes = gradients(name, "keep")
    again, few_bytes = gradients(name, backward)
    for a, b in zip(plain, again, strict=True):
        assert torch.equal(a, b)
    assert few_bytes < all_bytes / {"recompute": 10, "segments": 15}[backward]


# A warning of the compiler about its own inspection.
@pytest.mark.filterwarnings("ignore:The .grad attribute")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["nafca", "vitca with masks"])
def test_gradients_of_compiled_steps_are_the_same(name):
    plain, all_bytes = gradients(name, "keep")
    again, few_bytes = gradients(name, "budget")
    for a, b in zip(plain, again, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    assert few_bytes < all_bytes / 10


def test_segments_keep_fewer_bytes_than_steps():
    assert gradients("nafca", "segments", 25)[1] < gradients("nafca", "recompute", 25)[1] / 2


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4, 5, 10])
def test_any_number_of_steps_is_run(steps):
    def step(image, cells, mask):
        return cells + mask

    masks = [torch.full((), 10.0**index, dtype=torch.float64) for index in range(steps)]
    for backward in ("keep", "recompute", "segments"):
        cells = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        assert unroll(step, cells, masks, backward, 0).item() == sum(10.0**index for index in range(steps))


def test_a_budget_without_a_compiler_is_refused():
    with pytest.raises(LncaError, match="works for compiled steps only"):
        checked("budget", compile=False)
    assert load_recipe("stable", ["backward=segments"]).backward == "segments"
    with pytest.raises(LncaError, match=r"recipe\.backward"):
        load_recipe("stable", ["backward=little"])
