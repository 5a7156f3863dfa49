"""A loaded model restores every type of picture."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

import lnca
from lnca.kernels.devices import choose_device
from lnca.nn.weights_file import save_weights
from lnca.restoration import devices
from lnca.restoration.devices import device_named


@pytest.fixture(scope="module")
def model(weights):
    return lnca.load(weights, "cpu")


def test_all_kinds_are_restored_to_the_same_pixels(model, picture):
    array = np.asarray(picture)
    tensor = torch.from_numpy(array / 255).permute(2, 0, 1)[None].float()
    expected = model.restore(tensor)
    assert not torch.equal(expected, tensor)
    pixels = (expected[0].permute(1, 2, 0) * 255).round().numpy().astype(np.uint8)
    assert np.array_equal(model.restore(array), pixels)
    assert np.array_equal(np.asarray(model.restore(picture)), pixels)
    np.testing.assert_allclose(model.restore(array / 255), expected[0].permute(1, 2, 0), atol=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (13, 9), (31, 17)])
def test_any_size(model, size):
    assert model.restore(Image.new("RGB", size)).size == size


def test_alpha_passes_through_and_grey_stays_grey(model, picture):
    alpha = picture.convert("L").rotate(180)
    with_alpha = picture.copy()
    with_alpha.putalpha(alpha)
    restored = model.restore(with_alpha)
    assert restored.getchannel("A").tobytes() == alpha.tobytes()
    assert restored.convert("RGB").tobytes() == model.restore(picture).tobytes()
    assert model.restore(picture.convert("L")).mode == "L"


def test_the_input_is_not_changed_and_the_result_is_an_ordinary_tensor(model):
    x = torch.rand(2, 3, 16, 16)
    before = x.clone()
    restored = model.restore(x)
    assert torch.equal(x, before)
    (restored * torch.ones(1, requires_grad=True)).sum().backward()


def test_iterate_gives_every_step(model, picture):
    frames = list(model.iterate(picture))
    assert len(frames) == 5
    assert frames[-1].tobytes() == model.restore(picture).tobytes()
    assert frames[2].tobytes() == model.restore(picture, steps=2).tobytes()
    assert frames[0].tobytes() == model.restore(picture, steps=0).tobytes() != frames[-1].tobytes()


def test_iterate_leaves_gradients_on_for_its_caller(model, picture):
    for _ in model.iterate(picture):
        assert torch.is_grad_enabled()


def test_negative_steps_are_refused(model, picture):
    with pytest.raises(lnca.LncaError, match="steps must be 0 or more and 10000 at most, got -1"):
        model.restore(picture, steps=-1)


def test_memory_that_runs_out_is_said_in_a_sentence(model, picture, monkeypatch):
    def fail(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.setattr(model, "module", fail)
    if model.streamer is not None:
        monkeypatch.setattr(model.streamer, "restore", fail)
    with pytest.raises(lnca.LncaError, match="a picture of 40x28 pixels does not fit into the memory of cpu"):
        model.restore(picture)


def test_a_model_without_steps_has_none(picture, tmp_path):
    network = lnca.build("nafnet", width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,))
    settings = {"width": 4, "encoder_blocks": (1,), "middle_blocks": 1, "decoder_blocks": (1,)}
    save_weights(tmp_path / "net.safetensors", network, "nafnet", settings, {"task": "denoise"})
    model = lnca.load(tmp_path / "net.safetensors", "cpu")
    assert model.restore(picture).size == picture.size
    with pytest.raises(lnca.LncaError, match="net restores in one go, it has no steps"):
        model.restore(picture, steps=3)
    with pytest.raises(lnca.LncaError, match="it has no steps"):
        next(model.iterate(picture))


@pytest.mark.parametrize("choose", [device_named, choose_device])
@pytest.mark.parametrize("name", ["tpu", "cpu:x", "cuda:99", ""])
def test_devices_that_are_not_there(name, choose):
    with pytest.raises(lnca.LncaError, match="device"):
        choose(name)


def test_auto_is_a_device():
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    assert device_named("auto").partition(":")[0] in ("cpu", "cuda", "mps")
    assert device_named("cpu") == "cpu"


def test_torch_is_imported_only_where_a_gpu_may_be(monkeypatch):
    monkeypatch.setattr(devices, "a_gpu_may_be_here", lambda: False)
    monkeypatch.setitem(sys.modules, "lnca.kernels.devices", None)
    assert device_named("auto") == "cpu"
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    with pytest.raises(lnca.LncaError, match="--device cuda needs PyTorch"):
        device_named("cuda")
