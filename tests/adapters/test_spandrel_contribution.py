"""integrations/spandrel, as spandrel would have it among its own architectures."""

import importlib
from pathlib import Path

import pytest
import torch

import lnca
from lnca.nn.weights_file import load_weights
from others import need

FOLDER = Path(__file__).parents[2] / "integrations" / "spandrel" / "libs" / "spandrel" / "spandrel" / "architectures"


@pytest.fixture
def spandrel(monkeypatch):
    """spandrel with the contribution in its place."""
    library = need("spandrel", monkeypatch)
    package = importlib.import_module("spandrel.architectures")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(FOLDER)])
    return library


@pytest.fixture
def architecture(spandrel):
    return importlib.import_module("spandrel.architectures.LNCA")


def test_the_shipped_weights_are_recognised_among_all_others_and_restore_alike(spandrel, architecture):
    registry = spandrel.MAIN_REGISTRY.copy()
    registry.add(spandrel.ArchSupport.from_architecture(architecture.LNCAArch()))
    path = {info.name: info.path for info in lnca.models()}["photo-denoise"]
    descriptor = spandrel.ModelLoader(registry=registry).load_from_file(path)
    assert isinstance(descriptor.model, architecture.PyramidAutomaton)
    assert (descriptor.architecture.id, descriptor.purpose, descriptor.scale) == ("LNCA", "Restoration", 1)
    assert descriptor.tags == ["64-80-96", "3 steps"]
    model = load_weights(path)[0]
    for shape in ((2, 3, 64, 64), (1, 3, 21, 30), (1, 3, 8, 9)):
        x = torch.rand(*shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(descriptor(x), model(x), atol=1e-5, rtol=0)
            assert (descriptor(x) - x).abs().max() > 0.05


@pytest.mark.parametrize(
    "settings",
    [{}, {"channels": (8, 12, 16)}, {"rules": 1}, {"filters": 6, "hidden": 10}, {"shared": 5, "own": 3}],
)
def test_settings_are_told_by_the_tensors(architecture, settings):
    state = architecture.PyramidAutomaton(**settings).state_dict()
    loaded = architecture.LNCAArch().load(state).model
    assert loaded.hyperparameters == architecture.PyramidAutomaton().hyperparameters | settings


def test_weights_of_other_models_are_not_taken(architecture):
    arch = architecture.LNCAArch()
    for info in lnca.models():
        state = load_weights(info.path)[0].state_dict()
        assert arch.detect(state) == (info.architecture == "pyramid"), info.name
