"""The paper's two rules in numpy, beside those of `tests/kernels/test_cpu.py`, which are compiled."""

import numpy as np
import pytest
import torch
from rules import RULES, cells_of, plain, random_rule

from lnca.kernels.cpu import rule_of
from lnca.nn.vitca import position_code as code_in_torch
from lnca.runtime.automaton import NumpyRun
from lnca.runtime.rules import erf, position_code


@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 1e-5), (np.float64, 1e-6)])
@pytest.mark.parametrize("name", RULES)
def test_steps_are_those_of_the_module(name, dtype, error):
    rule = random_rule(name)
    for shape in ((1, 5, 7), (3, 8, 8), (2, 1, 9), (1, 6, 60)):
        cells = cells_of(rule, *shape)
        expected = plain(rule, cells, 8, seed=3).numpy()
        found = cells.numpy().copy()
        NumpyRun(rule_of(rule), dtype).advance(found, 8, 3)
        assert np.abs(found - expected).max() < max(error, 3e-7) * np.abs(expected).max()


def test_the_position_code_is_the_modules():
    """Also far into a large lattice, where an error in a frequency shows."""
    for cells, channels in ((300, 128), (20_000, 24)):
        found, expected = position_code(cells, channels), code_in_torch(cells, channels).numpy()
        assert found.shape == expected.shape
        # A last bit of a frequency of at most 1, by so many cells.
        assert np.abs(found - expected).max() <= 2**-24 * cells


def test_the_error_function():
    x = torch.linspace(-6, 6, 2001, dtype=torch.float64)
    np.testing.assert_allclose(erf(x.numpy()), torch.erf(x).numpy(), atol=1.3e-7)
