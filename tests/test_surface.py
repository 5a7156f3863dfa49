"""The public functions: results have the type of the input, also for files and for type checkers."""

import inspect
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

import lnca
from conftest import textured


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    textured(40, 30).save(path, dpi=(300, 300))
    return path


def test_a_file_gives_another_file(photo, weights):
    written = lnca.restore(photo, model=weights)
    assert written == photo.with_name("photo-restored.png")
    expected = lnca.restore(Image.open(photo), model=weights)
    with Image.open(written) as restored:
        assert restored.tobytes() == expected.tobytes()
        assert round(restored.info["dpi"][0]) == 300
    with pytest.raises(lnca.LncaError, match="photo-restored.png exists; "):
        lnca.restore(photo, model=weights)
    assert lnca.restore(str(photo), model=weights, overwrite=True) == written


def test_a_file_goes_where_it_is_told_with_what_is_told(photo, tmp_path, weights):
    mask = np.zeros((30, 40), np.float32)
    mask[:15] = 1
    Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    for number, given in enumerate((mask, tmp_path / "mask.png", str(tmp_path / "mask.png"))):
        there = tmp_path / f"{number}.png"
        assert lnca.restore(photo, output=there, model=weights, mask=given, strength=0.5) == there
        expected = lnca.restore(Image.open(photo), model=weights, mask=mask, strength=0.5)
        assert Image.open(there).tobytes() == expected.tobytes()


def test_what_a_file_loses_is_warned_of(tmp_path, weights):
    textured(30, 30).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    with pytest.warns(UserWarning, match="PNG under the name of JPEG"):
        lnca.restore(tmp_path / "a.jpg", model=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        textured(30, 30).save(tmp_path / "b.png")
        lnca.restore(tmp_path / "b.png", model=weights)


def test_a_film_gives_another_film(tmp_path, weights):
    av = pytest.importorskip("av")
    given = tmp_path / "clip.mkv"
    with av.open(str(given), "w") as film:
        stream = film.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 40, 32, "yuv420p"
        film.mux(stream.encode(av.VideoFrame.from_image(textured(40, 32))))
        film.mux(stream.encode())
    assert lnca.restore(given, model=weights) == tmp_path / "clip-restored.mkv"
    with pytest.raises(lnca.LncaError, match="clip-restored.mkv exists"):
        lnca.restore(given, model=weights)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data_range": 2}, "data_range is for arrays and tensors, not for files"),
        ({"channel_axis": -1}, "channel_axis is for arrays and tensors"),
        ({"channel_axis": 0}, "channel_axis is for arrays and tensors"),
        ({"output": "there.txt"}, "should end in one of"),
    ],
)
def test_files_take_what_files_have(photo, weights, options, words):
    with pytest.raises(lnca.LncaError, match=words):
        lnca.restore(photo, model=weights, **options)


def test_what_is_no_one_file_is_refused(tmp_path, weights):
    with pytest.raises(lnca.LncaError, match="is a folder; give one picture, or use the command"):
        lnca.restore(tmp_path, model=weights)
    with pytest.raises(lnca.LncaError, match="does not exist"):
        lnca.restore(tmp_path / "none.png", model=weights)
    with pytest.raises(lnca.LncaError, match="output and overwrite are for files"):
        lnca.restore(textured(16, 16), output=tmp_path / "there.png", model=weights)


def test_misspelt_options_are_refused_and_all_are_explained():
    with pytest.raises(TypeError, match="strenght"):
        lnca.restore(textured(16, 16), strenght=0.5)
    parameters = inspect.signature(lnca.restore).parameters
    assert all(each.kind == each.KEYWORD_ONLY for name, each in parameters.items() if name != "picture")
    described = lnca.restore.__doc__.partition("Args:")[2].partition("Returns:")[0]
    assert all(name in described for name in parameters)
    shown = repr(lnca.models()[0])
    assert "card" not in shown
    assert len(shown) < 500


USES = """
from pathlib import Path
import numpy as np
import torch
from PIL import Image
import lnca

reveal_type(lnca.restore(Image.new("RGB", (9, 9))))
reveal_type(lnca.restore(np.zeros((9, 9))))
reveal_type(lnca.restore(torch.zeros(1, 3, 9, 9)))
reveal_type(lnca.restore("photo.jpg"))
reveal_type(lnca.restore(Path("photo.jpg"), output="there.jpg"))
lnca.restore("photo.jpg", strenght=0.5)
lnca.restore(np.zeros((9, 9)), output="there.jpg")
"""


@pytest.mark.slow
def test_a_type_checker_knows_what_comes_out(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "uses.py").write_text(USES)
    command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--cache-dir", str(tmp_path), "uses.py"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    revealed = [line.split('"')[1] for line in said.splitlines() if "Revealed type" in line]
    names = [name.partition("[")[0].rpartition(".")[2] for name in revealed]
    assert names == ["Image", "ndarray", "Tensor", "Path", "Path"]
    assert said.count("No overload variant") == 2, said
