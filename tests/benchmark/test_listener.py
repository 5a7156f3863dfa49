"""`benchmarks/listener.py` finds the echoes of a few cells by a way of its own."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from lnca.nn.echoes import echoes


@pytest.fixture
def listener(monkeypatch):
    path = Path(__file__).parents[2] / "benchmarks" / "listener.py"
    spec = importlib.util.spec_from_file_location("listener", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "listener", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("scales", [1, 6])
def test_echoes_of_few_cells_are_those_of_all(listener, scales):
    draw = torch.Generator().manual_seed(0)
    picture = torch.rand(2, 3, listener.SIDE, listener.SIDE, generator=draw)
    expected = echoes(picture.permute(0, 2, 3, 1), scales)[:, listener.CELLS, listener.CELLS].flatten(1, 2)
    torch.testing.assert_close(listener.echoes_at(picture, scales), expected, rtol=1e-4, atol=1e-5)
