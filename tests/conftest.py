"""Fixtures that several test files share."""

import os

# Before torch is imported, here and in the processes that tests start: on a busy machine several threads spend far
# longer waiting for each other than the small tensors of the tests take.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Triton's kernels run in its interpreter where there is no GPU; read when Triton is imported, by torch or by us.
if not os.path.exists("/dev/nvidiactl"):
    os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import pytest
import torch
from PIL import Image

import lnca
from lnca.nn.weights_file import save_weights


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A weight file of a small model that changes pictures, untrained, with 4 steps."""
    torch.manual_seed(0)
    settings = {"hidden_channels": 8, "steps": 4}
    model = lnca.build("latent-nafca", **settings)
    torch.nn.init.normal_(model.automaton.head.weight, std=0.05)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, model, "latent-nafca", settings, {"task": "denoise", "recipe": {"tile": 64}})
    return path


def textured(width, height, seed=0):
    """A smooth random RGB picture."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def picture():
    """A smooth random RGB picture of 40x28 pixels."""
    return textured(40, 28)


@pytest.fixture
def pictures(tmp_path):
    """A folder of six pictures of 140x130 pixels, one of them in a folder below it."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    for index in range(6):
        path = folder / "below" / f"{index}.png" if index == 5 else folder / f"{index}.png"
        textured(140, 130, index).save(path)
    return folder


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command line in this process; gives (exit status, stdout, stderr)."""
    from lnca.cli import main

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["lnca", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def refused(command):
    """Runs a command that must end with status 2 and one sentence, which it gives."""

    def run(*arguments):
        status, out, err = command(*arguments)
        assert status == 2, (status, out, err)
        assert out == ""
        assert err.startswith("lnca: ")
        assert err.count("\n") == 1
        return err.strip()

    return run
