"""Noise levels in bands of rows agree with the module in float64."""

import copy

import numpy as np
import pytest
import torch

from lnca.kernels.cpu import weights_of
from lnca.nn.noise_level import NoiseEstimator
from lnca.runtime.engine import Native, Numpy
from lnca.runtime.native import best_level
from lnca.runtime.noise_level import BAND_ROWS, SIDE, BandEstimator, means
from nn.test_pyramid import shaken

ENGINES = [Numpy(), *([Native(best_level())] if best_level() else [])]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("size", [(41, 5), (1, 1), (2, 30), (BAND_ROWS, 3)])
def test_levels_are_those_of_the_module(size, engine):
    estimator = shaken(NoiseEstimator())
    image = np.random.default_rng(0).random((2, size[0] * SIDE, size[1] * SIDE, 3), np.float32)
    asked = []

    def rows(begin, end):
        asked.append((begin, end))
        return image[:, begin:end]

    found = BandEstimator(weights_of(estimator), engine).levels(rows, len(image[0]))
    with torch.no_grad():
        expected = copy.deepcopy(estimator).double()(torch.from_numpy(image).double().permute(0, 3, 1, 2)).numpy()
    assert found.shape == (2, 2, *size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    assert len(asked) == -(-size[0] // BAND_ROWS)


def test_means_of_blocks():
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    assert means(x, 2)[0, ..., 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert means(x, 1) is x
