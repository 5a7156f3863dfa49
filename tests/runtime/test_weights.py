"""Weight files that leave tensors to a shipped model: found by name and hash, whole again, in memory once."""

import json
import shutil

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import lnca
from lnca import LncaError, catalogue
from lnca.catalogue import HEADER, describe, shipped_weights
from lnca.hub import WEIGHTS, save_pretrained
from lnca.runtime.weights import digest, identity, sharing, tensors, whole

DEBLUR, DENOISE = shipped_weights()["photo-deblur"], shipped_weights()["photo-denoise"]


def test_the_deblurrer_leaves_its_cells_to_the_denoiser():
    info = describe(DEBLUR)
    assert DEBLUR.stat().st_size < 20_000
    assert info.parameters == describe(DENOISE).parameters
    own, shared = tensors(describe(DENOISE)), tensors(info)
    assert set(shared) == {f"cells.{name}" for name in own}
    assert all(np.array_equal(shared[f"cells.{name}"], own[name]) for name in own)
    assert info.shared["cells"].sha256 == digest(own)


def test_a_whole_file_is_made_and_taken_apart_again(tmp_path):
    path = save_pretrained("photo-deblur", tmp_path) / WEIGHTS
    assert path.read_bytes() == whole(DEBLUR)
    assert describe(path).shared == {}
    assert describe(path).card == describe(DEBLUR).card
    assert sharing(path, "cells", "photo-denoise") == DEBLUR.read_bytes()
    assert whole(path) == path.read_bytes()
    with pytest.raises(LncaError, match="under cells are not those of lnca-denoise"):
        sharing(path, "cells", "lnca-denoise")
    with pytest.raises(LncaError, match="'nothing', which does not come with this lnca"):
        sharing(path, "cells", "nothing")


def test_files_that_share_and_whole_ones_restore_alike(tmp_path):
    path = tmp_path / "own.safetensors"
    path.write_bytes(whole(DEBLUR))
    picture = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    kernel = np.full((1, 5), 0.2)
    expected = lnca.deblur(picture, kernel)
    assert np.array_equal(lnca.deblur(picture, kernel, model=path), expected)
    # Results know a model by its cells, wherever they lie.
    assert identity(describe(path)) == identity(describe(DEBLUR))
    # A copy of the file alone, elsewhere.
    copy = shutil.copy(DEBLUR, tmp_path / "copy.safetensors")
    assert np.array_equal(lnca.deblur(picture, kernel, model=copy), expected)


@pytest.mark.parametrize("backend", ["auto", "plain"])
def test_cells_that_are_shared_are_in_memory_once(backend):
    denoiser, deblurrer = (lnca.load(name, "cpu", backend) for name in ("photo-denoise", "photo-deblur"))
    assert deblurrer.streamer.cells.bands is denoiser.streamer.bands
    other = lnca.load("photo-denoise", "cpu", "plain" if backend == "auto" else "auto")
    assert (other.streamer.bands is denoiser.streamer.bands) == (other.backend == denoiser.backend)


def test_without_the_shipped_model_of_then_a_copy_says_so(tmp_path, monkeypatch):
    copy = tmp_path / "copy.safetensors"
    shutil.copy(DEBLUR, copy)
    other = tmp_path / "package" / "photo-denoise.safetensors"
    other.parent.mkdir()
    with safe_open(DENOISE, "np") as file:
        text = file.metadata()[HEADER]
    save_file({name: array + 1 for name, array in tensors(describe(DENOISE)).items()}, other, {HEADER: text})
    monkeypatch.setattr(catalogue, "shipped_weights", lambda: {"photo-denoise": other})
    for backend in ("auto", "compiled"):
        with pytest.raises(LncaError, match=r"^.*copy.safetensors was made for another version of photo-denoise; get"):
            lnca.load(copy, "cpu", backend)
    monkeypatch.setattr(catalogue, "shipped_weights", dict)
    with pytest.raises(LncaError, match="copy.safetensors shares tensors with 'photo-denoise', which does not come"):
        lnca.load(copy, "cpu")


def test_no_path_is_followed(tmp_path):
    """What a file names is a model of the package, whatever lies beside it."""
    shutil.copy(DENOISE, tmp_path / "mine.safetensors")
    with safe_open(DEBLUR, "np") as file:
        header = json.loads(file.metadata()[HEADER])
    for name in ("mine", str(tmp_path / "mine.safetensors"), "", None, ["photo-denoise"]):
        header["shared"]["cells"]["model"] = name
        save_file({}, tmp_path / "odd.safetensors", {HEADER: json.dumps(header)})
        with pytest.raises(LncaError, match="which does not come with this lnca"):
            lnca.load(tmp_path / "odd.safetensors", "cpu")
