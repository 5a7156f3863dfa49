"""The automaton on three lattices, row by row: equal to the module in float64, the same bits in any band."""

import copy

import numpy as np
import pytest
import torch

from lnca.kernels.cpu import weights_of
from lnca.nn.pyramid import PyramidAutomaton
from lnca.nn.pyramid import spread as spread_tensor
from lnca.runtime.engine import Native, Numpy
from lnca.runtime.native import INSTRUCTION_SETS, best_level
from lnca.runtime.pyramid import BandPyramid, RowCache, spread, spread_rows
from nn.test_pyramid import shaken

HERE = INSTRUCTION_SETS[: INSTRUCTION_SETS.index(best_level()) + 1] if best_level() else ()
ENGINES = [Numpy(), *map(Native, HERE)]


def banded(model, engine):
    return BandPyramid(weights_of(model), model.channels, len(model.rules), engine)


def restored(bands, image, level, steps, band):
    rows = image.permute(0, 2, 3, 1).numpy()
    height = rows.shape[1]
    source = bands(lambda begin, end: rows[:, begin:end], spread_rows(level.numpy()), height, steps)
    # Rows are views of a cache that changes.
    parts = [source(begin, min(begin + band, height)).copy() for begin in range(0, height, band)]
    return np.concatenate(parts, 1).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("channels", [(8, 12, 16), (5, 7, 9), (64, 80, 96)])
def test_equal_to_the_module(engine, channels):
    model = shaken(PyramidAutomaton(channels, 2))
    plain = copy.deepcopy(model).double()
    image, told = torch.rand(2, 3, 40, 56), 50 * torch.rand(2, 2, 5, 7)
    bands = banded(model, engine)
    with torch.no_grad():
        for steps, expected in enumerate(plain.unrolled(image.double(), told.double(), 2)):
            found = restored(bands, image, told, steps, 40)
            assert np.abs(found - expected.numpy()).max() < 1e-5 * max(1, expected.abs().max())


@pytest.mark.parametrize("engine", [Numpy(), *ENGINES[-1:]], ids=lambda engine: engine.name)
@pytest.mark.parametrize("band", [8, 16, 24, 64])
def test_the_same_bits_in_any_band(band, engine):
    bands = banded(shaken(PyramidAutomaton((8, 12, 16), 3)), engine)
    image, told = torch.rand(1, 3, 136, 48), 50 * torch.rand(1, 2, 17, 6)
    assert np.array_equal(restored(bands, image, told, 3, band), restored(bands, image, told, 3, 136))


@pytest.mark.parametrize("shape", [(1, 2, 1, 1), (2, 2, 3, 7), (1, 2, 2, 1)])
def test_levels_are_spread_as_torch_does(shape):
    level = torch.rand(shape)
    expected = spread_tensor(level).permute(0, 2, 3, 1)
    np.testing.assert_allclose(spread(level.numpy()), expected.numpy(), atol=1e-6)


def test_rows_are_made_once_and_kept_as_long_as_someone_needs_them():
    made = []

    def make(begin, end, out):
        made.append((begin, end))
        return np.arange(begin, end, dtype=np.float32)[None, :, None, None]

    kept = RowCache(100, make)
    ahead, behind = kept.reader(), kept.reader()
    assert ahead(0, 10).ravel().tolist() == list(range(10))
    assert ahead(8, 30).ravel().tolist() == list(range(8, 30))
    assert behind(0, 5).ravel().tolist() == list(range(5))
    assert behind(20, 25).ravel().tolist() == list(range(20, 25))
    assert ahead(28, 40).ravel().tolist() == list(range(28, 40))
    assert made == [(0, 10), (10, 30), (30, 40)]
    assert kept.rows is not None
    assert kept.rows.shape[1] == 20


def test_rows_are_written_behind_the_kept_ones():
    places = []

    def make(begin, end, out):
        rows = np.empty((1, end - begin, 2, 3), np.float32) if out is None else out
        rows[:] = np.arange(begin, end)[None, :, None, None]
        places.append(rows)
        return rows

    kept = RowCache(30, make)
    read = kept.reader()
    read(0, 10)
    assert read(7, 20)[0, :, 1, 2].tolist() == list(range(7, 20))
    assert kept.rows is not None
    assert np.shares_memory(kept.rows, places[1])
