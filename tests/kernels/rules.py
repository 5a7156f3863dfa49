"""Rules with random weights, for the tests of every way to run them."""

import copy
from contextlib import contextmanager

import pytest
import torch

import lnca
from lnca.runtime import threads
from lnca.runtime.native import INSTRUCTION_SETS, best_level

RULES = {
    "nafca": ("latent-nafca", {}),
    "nafca, odd sizes": ("latent-nafca", {"latent_channels": 6, "hidden_channels": 7, "embed": 20, "expansion": 2}),
    "nafca, update rate": ("latent-nafca", {"update_rate": 0.4}),
    "vitca": ("latent-vitca", {"position": "none"}),
    "vitca, position code": ("latent-vitca", {}),
    "vitca, odd sizes": ("latent-vitca", {"hidden_channels": 9, "embed": 20, "heads": 2, "mlp": 10}),
    "vitca in pixel space": ("vitca", {"position": "none"}),
    "vitca-tiny": ("vitca-tiny", {}),
}


def random_rule(name, seed=0):
    """A rule with random weights that changes its cells about as much as a trained rule."""
    torch.manual_seed(seed)
    architecture, settings = RULES[name]
    rule = lnca.build(architecture, **settings).eval().automaton
    for parameter in rule.parameters():
        torch.nn.init.normal_(parameter, std=0.15 if parameter.ndim > 1 else 0.3)
    torch.nn.init.normal_(rule.head.weight, std=0.02)
    return rule


def cells_of(rule, batch, rows, columns):
    return rule.seed(torch.randn(batch, rows, columns, rule.input_channels))


@torch.no_grad()
def plain(rule, cells, steps, seed=0):
    return copy.deepcopy(rule).double().run(cells.double(), steps, seed)


@contextmanager
def allowed(count):
    """Sets the number of threads inside the block."""
    before = threads.count()
    threads.allow(count)
    try:
        yield
    finally:
        threads.allow(before)


def at_levels(precision, *levels, bfloat16=()):
    """Parameters `level` and `precision`: these levels in one precision, then some in bfloat16. Those that the
    processor, the operating system or the compiler does not have are skipped."""
    best = best_level()
    available = INSTRUCTION_SETS[: INSTRUCTION_SETS.index(best) + 1] if best else ()
    ways = [(level, precision) for level in levels] + [(level, "bfloat16") for level in bfloat16]
    cases = [
        pytest.param(*way, marks=pytest.mark.skipif(way[0] not in available, reason=f"no {way[0]} here"))
        for way in ways
    ]
    return pytest.mark.parametrize(("level", "precision"), cases)
