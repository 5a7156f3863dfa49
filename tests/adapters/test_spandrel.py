"""spandrel recognises the weights and restores the same pictures as we do."""

import importlib
import sys

import pytest
import torch

import lnca
from lnca.hub import WEIGHTS, save_pretrained
from lnca.nn.weights_file import load_weights
from others import need


@pytest.fixture
def spandrel(monkeypatch):
    return need("spandrel", monkeypatch)


@pytest.fixture
def loader(spandrel):
    """A loader whose registry is its own, of all architectures."""
    from lnca.adapters.spandrel import register

    registry = spandrel.MAIN_REGISTRY.copy()
    register(registry)
    register(registry)
    return spandrel.ModelLoader(registry=registry)


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("info", lnca.models(), ids=lambda info: info.name)
def test_shipped_weights_are_recognised_and_restore_alike(spandrel, loader, info, tmp_path):
    with pytest.raises(spandrel.UnsupportedModelError):
        spandrel.ModelLoader().load_from_file(info.path)
    whole = save_pretrained(info.path, tmp_path) / WEIGHTS
    descriptor = loader.load_from_file(whole)
    assert isinstance(descriptor, spandrel.ImageModelDescriptor)
    assert (descriptor.architecture.id, descriptor.purpose, descriptor.scale) == ("LNCA", "Restoration", 1)
    assert descriptor.tags == [info.architecture, f"{info.settings['steps']} steps"]
    x = noise(1, 3, 21, 30)
    with torch.no_grad():
        assert torch.allclose(descriptor(x), load_weights(info.path)[0](x), atol=1e-4)


def test_steps_small_pictures_and_half_precision(spandrel, tmp_path):
    from lnca.adapters.spandrel import LatentAutomatonArch, register

    registry = spandrel.ArchRegistry()
    register(registry, steps=3)
    infos = {info.name: info.path for info in lnca.models()}
    loader = spandrel.ModelLoader(registry=registry)
    descriptor = loader.load_from_file(infos["photo-denoise"])
    assert descriptor.model.steps == 3
    assert descriptor.tags == ["pyramid", "3 steps"]
    assert descriptor(noise(1, 3, 5, 6)).shape == (1, 3, 5, 6)
    x = noise(1, 3, 16, 16)
    assert (descriptor(x) - descriptor.half()(x.half()).float()).abs().max() < 0.01
    whole = save_pretrained(infos["photo-deblur"], tmp_path) / WEIGHTS
    assert not loader.load_from_file(whole).supports_half
    assert LatentAutomatonArch().detect({"conv.weight": torch.ones(1)}) is False


def test_weights_of_ones_own_are_built_from_what_they_tell(spandrel, weights):
    from lnca.adapters.spandrel import register

    registry = spandrel.ArchRegistry()
    register(registry, steps=4)
    x = noise(1, 3, 16, 24)
    with torch.no_grad():
        found = spandrel.ModelLoader(registry=registry).load_from_file(weights)(x)
        assert torch.allclose(found, load_weights(weights)[0](x), atol=1e-5)


def test_weights_that_are_not_whole_are_refused(spandrel, loader):
    from lnca.adapters.spandrel import LatentAutomatonArch

    state = loader.load_state_dict_from_file(lnca.models()[0].path)
    del state["automaton.head.weight"]
    with pytest.raises(lnca.LncaError, match=r"these weights of latent-nafca are not whole: .*head.weight"):
        loader.load_from_state_dict(state)
    with pytest.raises(lnca.LncaError, match="no setting of pyramid .step.; did you mean steps"):
        LatentAutomatonArch(step=2).load(loader.load_state_dict_from_file(lnca.models()[-1].path))
    with pytest.raises(lnca.LncaError, match="no weights of an automaton"):
        LatentAutomatonArch().load({"conv.weight": torch.ones(1)})


def test_without_the_library_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "lnca.adapters.spandrel", raising=False)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(lnca.LncaError, match="pip install spandrel"):
        importlib.import_module("lnca.adapters.spandrel")
