"""Preparation: the same bytes for any number of workers, resumable, and one list of all broken pictures."""

import json
import os
import signal
import subprocess
import sys
import time

import miniatures
import numpy as np
import pytest

from conftest import textured
from lnca import LncaError
from lnca.data import prepare as module
from lnca.data.prepare import prepare
from lnca.data.prepared import Prepared
from lnca.data.sets import data_set
from lnca.data.tile_set import open_tiles


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    miniatures.pairs(tmp_path / "root")
    for workers in (1, 3):
        prepare(data_set("pairs"), tmp_path / "root", tmp_path / str(workers), side=35, workers=workers)
    assert content(tmp_path / "1") == content(tmp_path / "3")
    assert set(content(tmp_path / "1")) == {"tiles.json", "clean.npy", "corrupted.npy", "group.npy"}


def test_an_interrupted_preparation_goes_on_with_what_is_done(tmp_path, monkeypatch):
    miniatures.pairs(tmp_path / "root")
    prepare(data_set("pairs"), tmp_path / "root", tmp_path / "whole")
    made = []
    make = module.Part.make

    def interrupted(part, side):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(part.path)
        make(part, side)

    monkeypatch.setattr(module.Part, "make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(data_set("pairs"), tmp_path / "root", tmp_path / "out")
    assert not (tmp_path / "out" / "tiles.json").exists()
    first, made = list(made), []
    seen = []
    prepare(data_set("pairs"), tmp_path / "root", tmp_path / "out", progress=lambda *at: seen.append(at))
    assert len(made) == 2
    assert not set(first) & set(made)
    assert seen[0] == (3, 5)
    assert seen[-1] == (5, 5)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_one_that_was_killed_at_its_very_end_is_ended(tmp_path, monkeypatch):
    miniatures.pairs(tmp_path / "root")
    whole = prepare(data_set("pairs"), tmp_path / "root", tmp_path / "whole")

    def killed(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(data_set("pairs"), tmp_path / "root", tmp_path / "out")
    assert (tmp_path / "out" / "parts").exists()
    assert prepare(data_set("pairs"), tmp_path / "root", tmp_path / "out") == whole
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    with pytest.raises(LncaError, match="is already prepared"):
        prepare(data_set("pairs"), tmp_path / "root", tmp_path / "out")


def test_an_impatient_interrupt_stops_the_workers_too_and_quietly(tmp_path):
    # So many samples that they are not finished before the interrupt, even on a busy machine.
    for index in range(300):
        path = tmp_path / f"{index}.png"
        if index < 2:
            textured(700, 700, index).save(path)
        else:
            path.write_bytes((tmp_path / f"{index % 2}.png").read_bytes())
    command = ["data", "prepare", "folder", tmp_path, "--out", tmp_path / "out", "--workers", "2"]
    # Background processes ignore SIGINT, and their children would inherit that.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "lnca", *command], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    signal.signal(signal.SIGINT, previous)
    parts = tmp_path / "out" / "parts"
    while not parts.exists() or not list(parts.glob("*.npz")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGINT)
    # The workers hold stderr too, so it ends when they end.
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert 0 < len(list(parts.glob("*.npz"))) < 300


def test_everything_broken_is_named_at_once_and_can_be_left_out(tmp_path):
    miniatures.folder(tmp_path / "root")
    for number in (1, 3):
        path = tmp_path / "root" / f"{number}.png"
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(LncaError) as caught:
        prepare(data_set("folder"), tmp_path / "root", tmp_path / "out", side=32)
    assert "1.png is broken" in str(caught.value)
    assert "3.png is broken" in str(caught.value)
    assert "--skip-broken" in str(caught.value)
    assert not (tmp_path / "out" / "tiles.json").exists()
    said = prepare(data_set("folder"), tmp_path / "root", tmp_path / "out", side=32, skip_broken=True)
    assert [line.split(" is broken")[0][-5:] for line in said["left_out"]] == ["1.png", "3.png"]
    assert said == json.loads((tmp_path / "out" / "tiles.json").read_text())
    assert set(Prepared.open(tmp_path / "out").group.tolist()) == {0, 2, 4}


def test_prepared_tiles_split_as_the_pictures_do(tmp_path):
    miniatures.folder(tmp_path / "root")
    prepare(data_set("folder"), tmp_path / "root", tmp_path / "out", side=32)
    for split in ("train", "validation", "test", "all"):
        direct, prepared = (open_tiles(tmp_path / name, split, 3, 32) for name in ("root", "out"))
        assert len(direct) == len(prepared) > 0
        assert direct.groups == prepared.groups
        assert np.array_equal(direct.clean[direct.rows], prepared.clean[prepared.rows])
        assert direct.digest == prepared.digest
    assert isinstance(Prepared.open(tmp_path / "out").clean, np.memmap)


def test_a_limit_draws_tiles_by_its_seed(pictures):
    everything = open_tiles(pictures, "all", 0, 32)
    assert len(everything) == 96
    few, again = (open_tiles(pictures, "all", 0, 32, 10) for _ in range(2))
    assert len(few) == 10
    assert few.rows.tolist() == again.rows.tolist()
    assert few.rows.tolist() != everything.limited(10, 1).rows.tolist()


def test_pictures_without_content_are_refused(tmp_path):
    from PIL import Image

    (tmp_path / "root").mkdir()
    for number in range(3):
        Image.new("RGB", (64, 64), (number, 9, 9)).save(tmp_path / "root" / f"{number}.png")
    with pytest.raises(LncaError, match="no tile with any content in 3 picture"):
        open_tiles(tmp_path / "root", "all", 0, 32)
    with pytest.raises(LncaError, match="no tile with any content"):
        prepare(data_set("folder"), tmp_path / "root", tmp_path / "out", side=32)


def test_a_prepared_folder_is_not_prepared_again_and_a_damaged_one_is_refused(tmp_path):
    miniatures.folder(tmp_path / "root")
    out = tmp_path / "out"
    prepare(data_set("folder"), tmp_path / "root", out, side=32)
    with pytest.raises(LncaError, match="is already prepared"):
        prepare(data_set("folder"), tmp_path / "root", out, side=32)
    (out / "clean.npy").write_bytes((out / "clean.npy").read_bytes()[:-100])
    with pytest.raises(LncaError, match="is damaged .* prepare it anew"):
        open_tiles(out, "all", 0, 32)
    description = json.loads((out / "tiles.json").read_text())
    (out / "tiles.json").write_text(json.dumps({**description, "format": 9}))
    with pytest.raises(LncaError, match="has format 9"):
        open_tiles(out, "all", 0, 32)
