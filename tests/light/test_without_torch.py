"""Everything that works without torch; `make test-light` runs this in its own environment."""

import importlib.util
import json
import re
import subprocess
import sys
import urllib.request
from importlib.metadata import distributions

import numpy as np
import pytest
from PIL import Image

import lnca
from lnca import LncaError
from lnca.demo import photograph

ALL = [model.name for model in lnca.models()]


def command(*words, status=0, folder=None):
    """Runs `lnca`; returns stdout and stderr."""
    line = [sys.executable, "-m", "lnca", *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=folder)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def noisy():
    clean = np.asarray(photograph().crop((100, 100, 228, 212)), float)
    return np.clip(clean + np.random.default_rng(0).normal(0, 20, clean.shape), 0, 255).astype(np.uint8)


def test_torch_is_not_here_and_nothing_asks_for_it():
    names = {distribution.metadata["Name"].lower() for distribution in distributions()}
    assert not names & {"torch", "torchmetrics"}
    assert importlib.util.find_spec("torch") is None


@pytest.mark.parametrize("backend", ["fused", "plain"])
@pytest.mark.parametrize("name", ALL)
def test_every_model_restores(name, backend, noisy):
    restorer = lnca.load(name, backend=backend)
    assert restorer.backend.startswith(backend)
    small = noisy[:48, :56]
    restored = restorer.restore(small)
    assert (restored.dtype, restored.shape) == (small.dtype, small.shape)
    assert len(list(restorer.iterate(small, 2))) == 3


@pytest.mark.parametrize("name", [name for name in ALL if name != "photo-deblur"])
def test_both_ways_to_run_a_model_agree(name, noisy):
    small = noisy[:48, :56].astype(np.float32) / 255
    fused, plain = (lnca.load(name, backend=backend).restore(small) for backend in ("fused", "plain"))
    assert np.abs(fused - plain).max() < 2e-5


def test_functions_take_arrays_images_and_files(noisy, tmp_path):
    restored = lnca.restore(noisy)
    assert np.abs(restored.astype(float) - noisy).mean() > 1
    assert np.array_equal(np.asarray(lnca.restore(Image.fromarray(noisy))), restored)
    Image.fromarray(noisy).save(tmp_path / "p.png")
    assert np.array_equal(np.asarray(Image.open(lnca.restore(tmp_path / "p.png"))), restored)
    assert lnca.denoise(noisy / 255.0, channel_axis=-1).shape == noisy.shape
    assert lnca.deblur(noisy, np.eye(5)).shape == noisy.shape
    with pytest.raises(LncaError, match="needs PyTorch"):
        lnca.load("photo-denoise", device="cuda")
    with pytest.raises(LncaError, match="PyTorch"):
        assert lnca.load("photo-denoise").module


def test_commands(tmp_path):
    photograph().crop((0, 0, 96, 80)).save(tmp_path / "clean.png")
    command("corrupt", "clean.png", "-o", "noisy.png", "--noise", 0.5, folder=tmp_path)
    (tmp_path / "folder").mkdir()
    for number in range(2):
        (tmp_path / "folder" / f"{number}.png").write_bytes((tmp_path / "noisy.png").read_bytes())
    command("restore", "folder", "--workers", 2, "-m", "latent-nafca-denoise", folder=tmp_path)
    one, other = ((tmp_path / "folder-restored" / f"{number}.png").read_bytes() for number in range(2))
    assert one == other
    scores = [
        json.loads(command("compare", "clean.png", picture, "--json", folder=tmp_path)[0])["psnr"]
        for picture in ("noisy.png", "folder-restored/0.png")
    ]
    assert scores[1] > scores[0] + 3
    assert "photo-denoise" in command("models")[0]
    command("demo", "--out", "demo", folder=tmp_path)
    assert "8x8 pixels" in command("restore", "clean.png", "--plan", folder=tmp_path)[0]


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--model", "lnca", "--task", "denoise", "--data", ".", "--out", "run"),
        ("restore", "clean.png", "--device", "cuda"),
        ("restore", "clean.png", "--backend", "compiled"),
        ("restore", "clean.png", "--devices", "2"),
        ("export", "--out", "exported"),
        ("evaluate", "-m", "photo-denoise", "--data", "."),
        ("bench", "inference"),
    ],
    ids=" ".join,
)
def test_what_needs_torch_says_how_to_get_it(words, tmp_path):
    photograph().crop((0, 0, 96, 80)).save(tmp_path / "clean.png")
    _, said = command(*words, status=2, folder=tmp_path)
    assert re.search(r"pip install 'lnca\[(train|export)\]'", said), said
    assert len(said.strip().splitlines()) == 1


@pytest.fixture
def service():
    """The address of a service, and its token."""
    line = [sys.executable, "-m", "lnca", "serve", "--port", "0", "--workers", "1"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = ""
        while not (found := re.search(r"(http://127\.0\.0\.1:\d+)[^$]*token: (\S+)\n", said)):
            text = process.stdout.readline()
            assert text, said
            said += text
        yield found.groups()
        process.terminate()


def test_the_service_restores(service, noisy, tmp_path):
    Image.fromarray(noisy).save(tmp_path / "p.png")
    address, token = service
    head = {"Content-Type": "image/png", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{address}/restore", (tmp_path / "p.png").read_bytes(), head)
    with urllib.request.urlopen(request, timeout=60) as answer:
        (tmp_path / "q.png").write_bytes(answer.read())
    assert np.array_equal(np.asarray(Image.open(tmp_path / "q.png")), lnca.restore(noisy))
