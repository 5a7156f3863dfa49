"""Restoring in bounded memory gives the same picture to the bit, for all sizes, budgets and shapes of blocks."""

import copy
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import lnca
from conftest import textured
from lnca import LncaError
from lnca.nn.weights_file import save_weights
from lnca.restoration.bands import Plan
from lnca.restoration.lattice import FileLattice
from lnca.restoration.notation import parse_bytes
from lnca.restoration.pictures import Rows
from lnca.runtime.native import BFLOAT16_SETS, best_level, library

pytestmark = pytest.mark.skipif(library() is None, reason="no C++ compiler when lnca was installed")

RANDOM = {
    "nafca": ("latent-nafca", {}),
    "nafca, masked": ("latent-nafca", {"update_rate": 0.6, "hidden_channels": 5}),
    "nafca, three down-samplings": ("latent-nafca", {"downsamplings": 3}),
    "vitca": ("latent-vitca", {"position": "none"}),
    "residual": ("lnca", {"width": 7, "output_channels": 9}),
    "residual, blocks": ("lnca", {"shrink": 2, "width": 18}),
    "residual, vitca": ("lnca", {"rule": "vitca", "width": 8}),
}


@pytest.fixture(scope="module")
def restorers(tmp_path_factory):
    """Models with random weights, and the shipped ones."""
    folder = tmp_path_factory.mktemp("weights")
    made = {model.name: lnca.load(model.name, "cpu", "fused") for model in lnca.models()}
    for name, (architecture, settings) in RANDOM.items():
        torch.manual_seed(1)
        model = lnca.build(architecture, **settings, steps=7)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=min(0.2, parameter[0].numel() ** -0.5) if parameter.ndim > 1 else 0.3)
        torch.nn.init.normal_(model.automaton.head.weight, std=0.03)
        path = folder / f"{len(made)}.safetensors"
        save_weights(path, model, architecture, {**settings, "steps": 7}, {})
        made[name] = lnca.load(path, "cpu", "fused")
    return made


# Those with one lattice; `test_rolling.py` is of the others.
LATENT = [model.name for model in lnca.models() if model.architecture not in ("pyramid", "deblur")]


def plans(rows, columns):
    """Bands and blocks of all kinds, also of columns for wide pictures; memory and file are for display only."""
    size = rows * columns * 64 * 4 * 2
    for across in (False, True) if columns > rows else (False,):
        lines = columns if across else rows
        for band in (1, 3, lines):
            yield Plan(rows, columns, band, None, 0, 0, 0, across)
        for band, block, steps in ((2, 1, 1), (5, 3, 2), (lines, 4, 4), (3, 5, 3), (1, lines, 8)):
            yield Plan(rows, columns, band, block, steps, 0, size, across)


@pytest.mark.parametrize("name", [*RANDOM, *LATENT])
@pytest.mark.parametrize("size", [(8, 8), (41, 58), (64, 33), (10, 90)])
def test_every_plan_gives_the_same_bits(restorers, name, size):
    restorer = restorers[name]
    picture = Rows(textured(*size))
    expected = np.asarray(restorer.streamer.restore(picture, 5))
    multiple = restorer.streamer.coder.multiple
    for plan in plans(-(-size[1] // multiple), -(-size[0] // multiple)):
        assert np.array_equal(np.asarray(restorer.streamer.restore(picture, 5, plan)), expected), plan
    x = torch.from_numpy(np.asarray(textured(*size)) / np.float32(255)).permute(2, 0, 1)[None]
    with torch.no_grad():
        reference = copy.deepcopy(restorer.module).double()(x.double(), 5).clamp(0, 1)
    torch.testing.assert_close(restorer.restore(x, 5).double(), reference, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["nafca, masked", "residual", "residual, blocks"])
def test_bands_of_columns_give_the_same_floats(restorers, name):
    """Of a wide and low picture, with a mask and at half its strength, and of two at once."""
    streamer = restorers[name].streamer
    array = np.asarray(textured(190, 12), np.float32) / 255
    tensor = torch.from_numpy(array).permute(2, 0, 1)[None]
    mask = np.linspace(0, 1, 12 * 190, dtype=np.float32).reshape(12, 190)
    for picture in (Rows(array, 0.5, mask), Rows(torch.cat([tensor, tensor.flip(3)]))):
        rows, columns = streamer.lattice_of(picture)
        expected = np.asarray(streamer.restore(picture, 5))
        for plan in plans(rows, columns):
            assert np.array_equal(np.asarray(streamer.restore(picture, 5, plan)), expected), plan


def test_what_settles_in_blocks_of_columns_is_the_same(restorers):
    streamer = restorers["nafca"].streamer
    picture = Rows(textured(190, 24))
    rows, columns = streamer.lattice_of(picture)
    expected, steps = streamer.settle(picture, 0.01, 7)
    size = rows * columns * 64 * 4 * 2
    for across in (False, True):
        plan = Plan(rows, columns, 3, 5, 2, 0, size, across)
        found, taken = streamer.settle(picture, 0.01, 7, plan=plan)
        assert np.array_equal(np.asarray(found), np.asarray(expected))
        assert np.array_equal(taken, steps)


@pytest.mark.parametrize(("width", "height", "lines"), [(30000, 8, "columns"), (8, 30000, "rows")])
def test_the_shorter_side_is_the_band(restorers, width, height, lines):
    streamer = restorers["lnca-denoise"].streamer
    plan = streamer.plan(Rows(np.zeros((height, width, 3), np.uint8)), 200_000_000)
    assert (plan.memory < 200_000_000, f"bands of {plan.band} {lines};" in str(plan)) == (True, True)
    with pytest.raises(LncaError, match=rf"a picture of {width}x{height} needs at least \d+ MB beside itself"):
        streamer.plan(Rows(np.zeros((height, width, 3), np.uint8)), 1_000_000)


def test_a_file_of_cells_that_is_cut_off_is_said(restorers, monkeypatch):
    restorer = restorers["latent-nafca-denoise"]
    write = FileLattice.write

    def cut(self, begin, cells):
        write(self, begin, cells)
        self.file.truncate(1000)

    monkeypatch.setattr(FileLattice, "write", cut)
    with pytest.raises(LncaError, match="cells in"):
        restorer.restore(textured(400, 300), 1, 2_500_000)


@pytest.mark.parametrize("precision", ["plain", "bfloat16"])
@pytest.mark.parametrize("name", ["nafca, masked", "vitca", "residual, blocks"])
def test_every_plan_gives_the_same_bits_in_other_arithmetic(restorers, name, precision):
    if precision == "bfloat16" and best_level() not in BFLOAT16_SETS:
        pytest.skip("no bfloat16 here")
    options = {"backend": "plain"} if precision == "plain" else {"precision": precision}
    streamer = lnca.load(restorers[name].info.path, "cpu", **options).streamer
    # Wider than what numpy multiplies at a time.
    picture = Rows(textured(244, 17))
    expected = np.asarray(streamer.restore(picture, 3))
    for plan in plans(*streamer.lattice_of(picture)):
        assert np.array_equal(np.asarray(streamer.restore(picture, 3, plan)), expected), plan


@pytest.mark.parametrize("budget", ["1MB", 700_000, "3 MB"])
def test_budgets_change_no_bit_of_any_kind_of_picture(restorers, budget):
    restorer = restorers["latent-nafca-denoise"]
    image = textured(211, 170)
    array = np.asarray(image)
    tensor = torch.from_numpy(array / np.float64(255)).permute(2, 0, 1)[None].repeat(2, 1, 1, 1)
    for picture in (image, image.convert("L"), image.convert("RGBA"), array, (array / 255).astype(np.float32), tensor):
        limit = parse_bytes(str(budget)) * (20 if picture is tensor else 3)
        whole, limited = restorer.restore(picture, 6), restorer.restore(picture, 6, limit)
        assert type(whole) is type(limited) is type(picture)
        assert np.array_equal(np.asarray(whole), np.asarray(limited))


def test_plans_keep_to_the_budget_and_say_so(restorers, tmp_path, command):
    streamer = restorers["latent-nafca-denoise"].streamer
    picture = Rows(np.zeros((900, 1200, 3), np.uint8))
    assert streamer.plan(picture).block is None
    kinds = set()
    for megabytes in (13, 16, 20, 30, 60, 200):
        plan = streamer.plan(picture, megabytes * 1_000_000)
        kinds.add(plan.block is None)
        assert plan.memory <= megabytes * 1_000_000
    assert kinds == {True, False}
    with pytest.raises(LncaError, match=r"a picture of 1200x900 needs at least \d+ MB beside itself"):
        streamer.plan(picture, 1_000_000)
    textured(300, 200).save(tmp_path / "p.png")
    status, out, _ = command("restore", tmp_path / "p.png", "--device", "cpu", "--plan")
    assert status == 0
    assert "38x25 cells of 8x8 pixels, 128 rows of pixels at a time" in out
    assert not (tmp_path / "p-restored.png").exists()
    status, out, _ = command(
        "restore",
        tmp_path / "p.png",
        "--device",
        "cpu",
        "--plan",
        "--max-memory",
        "1700KB",
        "--model",
        "latent-nafca-denoise",
    )
    assert "cells in a file of 1 MB" in out
    status, _, error = command("restore", tmp_path / "p.png", "--max-memory", "2 gigs")
    assert (status, error) == (2, "lnca: '2 gigs' is no size; write 2GB or 500MB\n")
    save_weights(tmp_path / "n.safetensors", lnca.build("nafnet-tiny"), "nafnet-tiny", {}, {})
    status, _, error = command(
        "restore", tmp_path / "p.png", "--device", "cpu", "--model", tmp_path / "n.safetensors", "--max-memory", "1GB"
    )
    assert status == 2
    assert "a limit of memory is for models that are restored in bands" in error


MEASURE = """
import sys
import numpy as np
import lnca
from lnca.measuring.memory import peak_memory
from lnca.memory import give_freed_memory_back
from lnca.runtime import threads

give_freed_memory_back()
threads.allow(1)
restorer = lnca.load(sys.argv[1], "cpu", "fused")
# Written all over, so that all of it is in memory before.
pixels = np.full((int(sys.argv[2]), int(sys.argv[3]), 3), 90, np.uint8)
pixels[::7] = 200
restorer.restore(pixels[:64, :64], 2, "400MB")
before = peak_memory()
restorer.restore(pixels, 2, sys.argv[4] if len(sys.argv) > 4 else None)
print(peak_memory() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
def test_memory_used_keeps_to_the_limit():
    def peak(name, rows, columns, *limit):
        command = [sys.executable, "-c", MEASURE, name, str(rows), str(columns), *limit]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    # The cells of the first picture take 77 MB.
    assert peak("latent-nafca-denoise", 2000, 2400, "60MB") < 60e6
    assert peak("latent-nafca-denoise", 2000, 2400) > 77e6
    assert peak("lnca-denoise", 2000, 2400, "110MB") < 110e6
    assert peak("photo-deblur", 2000, 1200, "500MB") < 500e6
    # Wide and low: bands are of columns.
    assert peak("photo-denoise", 8, 30000, "200MB") < 200e6
    assert peak("latent-nafca-denoise", 64, 20000, "40MB") < 40e6


def test_a_full_disk_is_said_and_nothing_is_left(restorers, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def full(handle, begin, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(LncaError, match=r"no room for \d+ MB of cells in .*; set TMPDIR"):
        restorers["latent-nafca-denoise"].restore(textured(400, 300), 1, 2_500_000)
    assert list(tmp_path.iterdir()) == []


def test_frames_end_where_restoring_does(restorers):
    restorer = restorers["latent-vitca-denoise"]
    frames = list(restorer.iterate(textured(50, 30), 3))
    assert len(frames) == 4
    for step, frame in enumerate(frames):
        assert frame.tobytes() == restorer.restore(textured(50, 30), step).tobytes()


def test_sizes_are_read():
    assert [parse_bytes(text) for text in ("2GB", "500 mb", "1.5 KB", "100000")] == [
        2 * 10**9,
        5 * 10**8,
        1500,
        100_000,
    ]
    for text in ("", "GB", "-1GB", "2GiB", "1e3x", "nan"):
        with pytest.raises(LncaError, match="is no size"):
            parse_bytes(text)
