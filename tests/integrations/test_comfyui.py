"""The nodes of ComfyUI: their contract, and ComfyUI itself where LNCA_COMFYUI names a checkout of it."""

import importlib.util
import inspect
import io
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lnca
from hosts import ask, free_port, started
from lnca.demo import photograph

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "integrations" / "comfyui"
HOST = os.environ.get("LNCA_COMFYUI")


@pytest.fixture(scope="module")
def package():
    """The node package, imported from its folder under a name made of its path, as ComfyUI does it."""
    name = str(PACKAGE).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, PACKAGE / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    for there in [there for there in sys.modules if there.startswith(name)]:
        del sys.modules[there]


@pytest.fixture
def nodes(package):
    return package.NODE_CLASS_MAPPINGS


def view(width, height, left=60):
    """A part of a photograph, (H, W, 3) float32 in [0, 1]."""
    return np.asarray(photograph(), np.float32)[60 : 60 + height, left : left + width] / 255


def noisy(count=2, channels=3, deviation=0.1, size=(40, 32)):
    """An IMAGE of a view with noise of its own in each picture, in [0, 1]."""
    still = view(*size)
    grain = np.random.default_rng(0).normal(0, deviation, (count, *still.shape))
    image = torch.from_numpy((still + grain).clip(0, 1).astype(np.float32))
    if channels == 4:
        return torch.cat([image, torch.linspace(0, 1, size[0]).expand(count, size[1], size[0])[..., None]], -1)
    return image if channels == 3 else image.mean(-1, keepdim=True)


def call(node, **inputs):
    """A node's function with the widgets' defaults, as the host calls it."""
    wanted = node.INPUT_TYPES()["required"]
    defaults = {name: kind[1]["default"] for name, kind in wanted.items() if "default" in kind[1]}
    return getattr(node(), node.FUNCTION)(**{**defaults, **inputs})


def test_every_node_keeps_the_contract(package, nodes):
    assert set(package.NODE_DISPLAY_NAME_MAPPINGS) == set(nodes)
    for node in nodes.values():
        inputs = node.INPUT_TYPES()
        assert set(inputs) <= {"required", "optional"}
        names = [*inputs["required"], *inputs.get("optional", {})]
        assert list(inspect.signature(getattr(node, node.FUNCTION)).parameters)[1:] == names
        for kind, told in {**inputs["required"], **inputs.get("optional", {})}.values():
            if isinstance(kind, list):
                assert told["default"] in kind
            elif "default" in told:
                assert told["min"] <= told["default"] <= told["max"]
            else:
                assert kind in ("IMAGE", "MASK")
        assert set(node.RETURN_TYPES) <= {"IMAGE", "FLOAT"}
        assert len(getattr(node, "RETURN_NAMES", node.RETURN_TYPES)) == len(node.RETURN_TYPES)
        assert node.CATEGORY
        assert node.DESCRIPTION


def test_the_example_uses_the_nodes_as_they_are(nodes):
    workflow = json.loads((PACKAGE / "example_workflows" / "denoise.json").read_text("utf-8"))
    own = [node for node in workflow["nodes"] if node["type"].startswith("Lnca")]
    assert {node["type"] for node in own} == {"LncaNoiseLevel", "LncaDenoise", "LncaSteps"}
    for node in own:
        widgets = [kind for kind in nodes[node["type"]].INPUT_TYPES()["required"].values() if "default" in kind[1]]
        assert len(node.get("widgets_values", [])) == len(widgets)


def test_every_node_gives_what_it_says(nodes):
    image = noisy()
    for node in nodes.values():
        results = call(node, image=image)
        assert isinstance(results, tuple)
        for kind, result in zip(node.RETURN_TYPES, results, strict=True):
            if kind == "FLOAT":
                assert isinstance(result, float)
            else:
                assert (result.dtype, result.ndim, result.shape[-1]) == (torch.float32, 4, 3)
                assert 0 <= result.min() <= result.max() <= 1


def test_a_batch_is_restored_as_its_pictures_are(nodes):
    image = noisy(3)
    (restored,) = call(nodes["LncaDenoise"], image=image)
    for given, found in zip(image, restored, strict=True):
        assert np.array_equal(found.numpy(), lnca.restore(given.numpy()))
    still = torch.from_numpy(view(40, 32))
    assert ((restored - still) ** 2).mean() < ((image - still) ** 2).mean() / 2


def test_shares_mask_and_alpha(nodes):
    image, node = noisy(2, 4), nodes["LncaDenoise"]
    (restored,) = call(node, image=image)
    assert torch.equal(restored[..., 3], image[..., 3])
    for share in ({"strength": 0.0}, {"luma": 0.0, "chroma": 0.0}):
        torch.testing.assert_close(call(node, image=image, **share)[0], image, atol=1e-6, rtol=0)
    mask = torch.zeros(1, 32, 40)
    mask[:, :, 20:] = 1
    (part,) = call(node, image=image, mask=mask)
    torch.testing.assert_close(part[:, :, :20], image[:, :, :20], atol=1e-6, rtol=0)
    torch.testing.assert_close(part[:, :, 20:], restored[:, :, 20:], atol=1e-6, rtol=0)
    (grey,) = call(node, image=noisy(1, 1))
    assert grey.shape == (1, 32, 40, 1)


def test_the_noise_level_is_found_and_told(nodes):
    image = noisy(2, deviation=0.05, size=(160, 128))
    brightness, colour = call(nodes["LncaNoiseLevel"], image=image)
    assert 0.7 < brightness / (255 * 0.05) < 1.3
    assert colour > 0
    (told,) = call(nodes["LncaDenoise"], image=image, noise_level=60.0)
    (found,) = call(nodes["LncaDenoise"], image=image)
    assert told.diff(dim=1).abs().mean() < found.diff(dim=1).abs().mean()
    with pytest.raises(lnca.LncaError, match="lnca-denoise takes no noise level; leave it at -1"):
        call(nodes["LncaDenoise"], image=image, model="lnca-denoise", noise_level=60.0)


def test_a_told_kernel_is_undone_and_handed_out(nodes):
    still = view(128, 96)
    kernel = np.zeros((5, 5), np.float32)
    kernel[2] = 1
    blurred = np.mean([view(128, 96, 60 + shift) for shift in range(-2, 3)], 0)
    as_image = torch.from_numpy(kernel)[None, ..., None].expand(1, 5, 5, 3)
    image = torch.from_numpy(blurred)[None].repeat(2, 1, 1, 1)
    sharp, used = call(nodes["LncaDeblur"], image=image, kernel=as_image, noise_level=1.0)
    assert torch.equal(used, as_image.expand(2, 5, 5, 3))
    assert ((sharp[0].numpy() - still) ** 2).mean() < ((blurred - still) ** 2).mean() / 2


def test_steps_come_as_a_batch(nodes):
    image = noisy(2)
    (states,) = call(nodes["LncaSteps"], image=image)
    assert states.shape == (2 * 4, *image.shape[1:])
    assert torch.equal(states[0], image[0])
    assert torch.equal(states[4], image[1])
    (restored,) = call(nodes["LncaDenoise"], image=image)
    torch.testing.assert_close(states[[3, 7]], restored, atol=1e-6, rtol=0)
    assert len(call(nodes["LncaSteps"], image=image, model="lnca-denoise", steps=2)[0]) == 2 * 3


def test_what_is_refused(nodes):
    image = noisy(3)
    for inputs, sentence in (
        ({"image": image[0]}, "should have the shape"),
        ({"image": image[..., :2]}, "or 4 or 1 channels, got"),
        ({"image": image[:, :4]}, "at least 8x8 pixels"),
        ({"image": image, "mask": torch.ones(2, 32, 40)}, "2 masks for 3 pictures"),
        ({"image": image, "mask": torch.ones(16, 40)}, "should have the same size"),
    ):
        with pytest.raises(lnca.LncaError, match=sentence):
            call(nodes["LncaDenoise"], **inputs)
    with pytest.raises(lnca.LncaError, match="2 kernels for 3 pictures"):
        call(nodes["LncaDeblur"], image=image, kernel=torch.ones(2, 3, 3, 3))


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """ComfyUI with the node package in its custom_nodes; gives its address and the folder it works in."""
    base = tmp_path_factory.mktemp("comfyui")
    for name in ("custom_nodes", "input", "output", "models", "user", "temp"):
        (base / name).mkdir()
    (base / "custom_nodes" / "lnca").symlink_to(PACKAGE)
    port = free_port()
    options = ("--cpu", "--listen", "127.0.0.1", "--port", port, "--base-directory", base)
    address = f"http://127.0.0.1:{port}"
    with started(Path(HOST) / "main.py", options, f"{address}/system_stats", base):
        yield address, base


@pytest.mark.slow
@pytest.mark.skipif(HOST is None, reason="LNCA_COMFYUI names no checkout of ComfyUI")
def test_comfyui_loads_the_nodes_and_runs_a_workflow(host):
    address, base = host
    known = json.loads(ask(f"{address}/object_info"))
    for name in ("LncaDenoise", "LncaDeblur", "LncaNoiseLevel", "LncaSteps"):
        assert known[name]["python_module"] == "custom_nodes.lnca"
    image = noisy(1)
    Image.fromarray((255 * image[0].numpy()).round().astype(np.uint8)).save(base / "input" / "noisy.png")
    told = {"strength": 1.0, "luma": 1.0, "chroma": 1.0}
    denoise = {"model": "photo-denoise", "noise_level": ["level", 0], "noise_scale": 1.0, **told}
    graph = {
        "load": {"class_type": "LoadImage", "inputs": {"image": "noisy.png"}},
        "level": {"class_type": "LncaNoiseLevel", "inputs": {"image": ["load", 0]}},
        "denoise": {"class_type": "LncaDenoise", "inputs": {"image": ["load", 0], **denoise}},
        "deblur": {"class_type": "LncaDeblur", "inputs": {"image": ["load", 0], "noise_level": -1.0, **told}},
        "steps": {"class_type": "LncaSteps", "inputs": {"image": ["load", 0], "model": "lnca-denoise", "steps": 2}},
    }
    for name in ("denoise", "deblur", "steps"):
        graph[f"save {name}"] = {"class_type": "SaveImage", "inputs": {"images": [name, 0], "filename_prefix": name}}
    number = json.loads(ask(f"{address}/prompt", {"prompt": graph}))["prompt_id"]
    for _ in range(1200):
        done = json.loads(ask(f"{address}/history/{number}")).get(number)
        if done:
            break
        time.sleep(0.5)
    assert done["status"]["status_str"] == "success", done["status"]
    assert [len(done["outputs"][f"save {name}"]["images"]) for name in ("denoise", "deblur", "steps")] == [1, 1, 3]
    file = done["outputs"]["save denoise"]["images"][0]["filename"]
    seen = np.asarray(Image.open(io.BytesIO(ask(f"{address}/view?type=output&filename={file}"))))
    given = np.asarray(Image.open(base / "input" / "noisy.png"))
    level = float(lnca.load("photo-denoise").noise_levels(given)[..., 0].mean())
    wanted = lnca.restore(given, noise_level=level)
    # ComfyUI cuts what it writes to 8 bits off, where lnca rounds.
    assert np.abs(seen.astype(int) - wanted).max() <= 1
