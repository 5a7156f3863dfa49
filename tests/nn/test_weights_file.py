"""Weight files: the same model back, and one sentence for each that cannot be used."""

import json
import pickle
import tracemalloc

import pytest
import torch
from safetensors.torch import load_file, save_file

import lnca
from disks import failing
from lnca.catalogue import HEADER, describe
from lnca.nn.registry import module_of
from lnca.nn.weights_file import load_weights, save_weights

CARD = {"task": "denoise"}


@pytest.fixture
def original():
    torch.manual_seed(0)
    model = lnca.build("latent-nafca", steps=3).eval()
    torch.nn.init.normal_(model.automaton.head.weight, std=0.02)
    torch.nn.init.uniform_(model.autoencoder.mix.norm.running_var)
    return model


@pytest.fixture
def file(tmp_path, original):
    path = tmp_path / "model.safetensors"
    save_weights(path, original, "latent-nafca", {"steps": 3}, CARD)
    return path


def rewrite(path, tensors=None, **header):
    """The same file with some tensors or parts of the header replaced."""
    info = describe(path)
    content = {"version": 1, "architecture": info.architecture, "settings": info.settings, "card": info.card} | header
    save_file(load_file(path) | (tensors or {}), path, {HEADER: json.dumps(content)})


def test_the_same_model_comes_back(file, original):
    model, info = load_weights(file)
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(model(image), original(image))
    assert not model.training
    assert (info.name, info.architecture, info.card) == ("model", "latent-nafca", CARD)
    assert info.settings["steps"] == model.steps == 3
    assert info.parameters == sum(tensor.numel() for tensor in model.state_dict().values())


def test_the_same_model_gives_the_same_bytes(file, tmp_path):
    model, info = load_weights(file)
    save_weights(tmp_path / "again.safetensors", model, info.architecture, info.settings, info.card)
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("kept", [0, 7, 500, -1])
def test_a_truncated_file(file, kept):
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(lnca.LncaError, match="damaged or no safetensors file"):
        lnca.load(file)


def test_bytes_that_are_no_weights(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"not weights at all" * 10)
    with pytest.raises(lnca.LncaError, match="damaged or no safetensors file"):
        lnca.load(path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors"])
def test_a_pickle_is_refused_and_not_run(tmp_path, suffix):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(lnca.LncaError, match="pickle|damaged"):
        lnca.load(path)
    assert not (tmp_path / "ran").exists()


def test_a_file_of_another_program(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(lnca.LncaError, match="not one written by lnca"):
        lnca.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ({"version": 3}, "has format version 3, this lnca reads up to 2; update lnca"),
        ({"shared": []}, "its header cannot be read"),
        ({"shared": {"cells": "photo-denoise"}}, "its header cannot be read"),
        ({"shared": {"cells": {"model": "../other", "sha256": ""}}}, "'../other', which does not come with this lnca"),
        ({"architecture": "unet"}, "damaged: no architecture 'unet'"),
        ({"settings": {"nothing": 1}}, "damaged: no setting"),
        ({"settings": {"hidden_channels": 8}}, r"damaged: .*should have the shape \(40\), and has \(64,\)"),
        ({"settings": {"hidden_channels": "many"}}, "damaged: hidden_channels of latent-nafca should be int"),
        ({"settings": {"hidden_channels": 4096, "latent_channels": 4096}}, "damaged: .*should have the shape"),
        ({"settings": {"update_rate": [0.5]}}, "damaged: update_rate of latent-nafca should be float"),
        ({"settings": 5}, "does not say architecture, settings and card"),
        ({"card": []}, "does not say architecture, settings and card"),
        ({"architecture": ["latent-nafca"]}, "does not say architecture, settings and card"),
        ({"version": "\n" * 5000}, "has format version"),
    ],
)
def test_headers_that_do_not_fit(file, header, sentence):
    rewrite(file, **header)
    with pytest.raises(lnca.LncaError, match=sentence):
        lnca.load(file)


def test_a_header_that_is_nested_without_end(file):
    save_file(load_file(file), file, {HEADER: "[" * 100_000})
    with pytest.raises(lnca.LncaError, match="its header cannot be read"):
        lnca.load(file)


def test_a_small_file_cannot_ask_for_a_large_model(file, monkeypatch):
    """It is seen before the model's memory is taken."""
    rewrite(file, settings={"hidden_channels": 4096, "latent_channels": 4096, "embed": 4096})
    made = []

    def watched(settings):
        model = module_of(settings)
        made.append(all(parameter.is_meta for parameter in model.parameters()))
        return model

    monkeypatch.setattr("lnca.nn.weights_file.module_of", watched)
    with pytest.raises(lnca.LncaError, match="size mismatch"):
        load_weights(file)
    assert made == [True]
    tracemalloc.start()
    with pytest.raises(lnca.LncaError, match="should have the shape"):
        lnca.load(file)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers(file, value):
    rewrite(file, {"automaton.beta": torch.full((64,), value)})
    with pytest.raises(lnca.LncaError, match="NaN or infinite"):
        lnca.load(file)


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({"automaton.beta": torch.zeros(63)}, r"damaged: automaton.beta should have the shape \(64\), and has \(63,\)"),
        ({"automaton.delta": torch.zeros(64)}, "damaged: automaton.delta belongs to no part of the model"),
    ],
)
def test_tensors_that_do_not_fit(file, tensors, sentence):
    rewrite(file, tensors)
    with pytest.raises(lnca.LncaError, match=sentence):
        lnca.load(file)


def test_a_full_disk_leaves_the_old_file_alone(file, original):
    before = file.read_bytes()

    with (
        failing("half", room=len(before) // 2),
        pytest.raises(lnca.LncaError, match="cannot write .*: No space left on device"),
    ):
        save_weights(file, original, "latent-nafca", {"steps": 3}, {"task": "deblur"})
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_folder_that_is_a_file(file, original):
    with pytest.raises(lnca.LncaError, match="cannot write .*: (Not a directory|File exists)"):
        save_weights(file / "model.safetensors", original, "latent-nafca", {"steps": 3}, CARD)
    assert list(file.parent.iterdir()) == [file]


def test_a_missing_file_and_a_misspelt_name():
    with pytest.raises(lnca.LncaError, match="no model 'latent-nafca-denoyse'; did you mean latent-nafca-denoise"):
        lnca.load("latent-nafca-denoyse")


def test_weights_of_16_bits_are_half_as_large_and_become_32(tmp_path):
    model = lnca.build("latent-nafca")
    for name, half in (("whole", False), ("half", True)):
        save_weights(tmp_path / f"{name}.safetensors", model, "latent-nafca", {}, {}, half=half)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    again, _ = load_weights(tmp_path / "half.safetensors")
    for name, tensor in model.state_dict().items():
        other = again.state_dict()[name]
        assert other.dtype == tensor.dtype
        torch.testing.assert_close(other, tensor, rtol=1e-3, atol=1e-6)
