"""Fixtures that several test files share.

torch is imported where it is used: the process that hands out the tests begins sooner without it.
"""

import gc
import os

# Set this before torch is imported, here and in processes that tests start: on a busy machine several threads would
# wait for each other much longer than the small tensors of the tests take.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Without a GPU Triton's kernels run in its interpreter; Triton reads this when it is imported.
if not os.path.exists("/dev/nvidiactl"):
    os.environ["TRITON_INTERPRET"] = "1"

import far  # noqa: F401
import numpy as np
import pytest
from PIL import Image

import lnca

# These tests run without torch (`make test-light`).
collect_ignore = ["light"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """One process for every core that this process may use, but at most four, because of memory."""
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def pytest_collection():
    """What is imported from now on stays: the garbage collector need not look through it again and again."""
    gc.disable()


def pytest_collection_finish():
    """See `pytest_collection`."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _unsynced():
    """Files are closed without waiting for the disk: no test cuts the power. Processes that tests start do wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A weight file of a small model that changes pictures, untrained, with 4 steps."""
    import torch

    from lnca.nn.weights_file import save_weights

    torch.manual_seed(0)
    settings = {"hidden_channels": 8, "steps": 4}
    model = lnca.build("latent-nafca", **settings)
    torch.nn.init.normal_(model.automaton.head.weight, std=0.05)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, model, "latent-nafca", settings, {"task": "denoise", "recipe": {"tile": 64}})
    return path


def save_small_pyramid(path, card):
    """Writes a small model that takes a noise level, changes pictures and estimates their noise; returns the path."""
    import torch

    from lnca.nn.weights_file import save_weights

    torch.manual_seed(0)
    settings = {"channels": (8, 8, 8), "rules": 2}
    model = lnca.build("pyramid", **settings)
    with torch.no_grad():
        torch.nn.init.normal_(model.decode.weight, std=0.02)
        torch.nn.init.normal_(model.estimator.conclude[-1].weight, std=0.1)
    save_weights(path, model, "pyramid", settings, card)
    return path


def textured(width, height, seed=0):
    """A smooth random RGB picture."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def write_dng(path):
    """A DNG of 64x48 pixels as a camera without lens corrections might write it: a Bayer mosaic of greys from left to
    right, with half as much red."""
    import tifffile

    light = np.linspace(0, 1, 64)[None, :, None] * np.array([0.5, 1, 1]) * np.ones((48, 1, 1))
    sensor = (light * 65535).astype(np.uint16)
    mosaic = sensor[..., 1].copy()
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = sensor[0::2, 0::2, 0], sensor[1::2, 1::2, 2]
    from_xyz = (32406, -15372, -4986, -9689, 18758, 415, 557, -2040, 10570)
    tags = [
        (0x010F, 2, 0, "Camera", True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes((0, 1, 1, 2)), True),
        (50706, 1, 4, bytes((1, 4, 0, 0)), True),
        (50708, 2, 0, "Camera", True),
        (50721, 10, 9, [part for value in from_xyz for part in (value, 10000)], True),
        (50728, 5, 3, (1, 1) * 3, True),
        (50717, 4, 1, 65535, True),
        (50778, 3, 1, 21, True),
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, metadata=None, extratags=tags)


@pytest.fixture
def picture():
    """A smooth random RGB picture of 40x28 pixels."""
    return textured(40, 28)


@pytest.fixture
def pictures(tmp_path):
    """A folder of six pictures of 140x130 pixels, one of them in a subfolder."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    for index in range(6):
        path = folder / "below" / f"{index}.png" if index == 5 else folder / f"{index}.png"
        textured(140, 130, index).save(path)
    return folder


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command line in this process; returns (exit status, stdout, stderr)."""
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
    """Runs a command that must end with status 2 and one sentence; returns the sentence."""

    def run(*arguments):
        status, out, err = command(*arguments)
        assert status == 2, (status, out, err)
        assert out == ""
        assert err.startswith("lnca: ")
        assert err.count("\n") == 1
        return err.strip()

    return run
