"""`lnca restore` as a part of a pipe: real processes, bytes in and bytes out."""

import io
import subprocess
import sys

import numpy as np
import pytest

import lnca
from conftest import textured, write_dng
from lnca.images.photo import Photo
from lnca.images.reading import open_photo, read_photo
from lnca.images.writing import save_photo


@pytest.fixture
def expected(weights):
    """The first frame of a file, restored by the model."""
    restorer = lnca.load(weights, "cpu")
    return lambda path: restorer.restore(open_photo(path).frames[0])


@pytest.fixture
def piped(weights):
    """Runs `lnca restore` with a file as stdin; returns stdout. stderr must hold only the notes `said`."""

    def run(*arguments, stdin=None, said=b""):
        content = b"" if stdin is None else stdin.read_bytes()
        command = [sys.executable, "-m", "lnca", "restore", *map(str, arguments), "--model", str(weights)]
        ended = subprocess.run(command, input=content, capture_output=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, said)
        return ended.stdout

    return run


def read(content):
    return read_photo(io.BytesIO(content), "what came out")


def deep():
    rows, columns = np.mgrid[:40, :56]
    return np.stack([rows * 900 + columns, columns * 800 + 7 * rows, rows * columns * 8], -1).astype(np.uint16)


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".tif", "TIFF")])
def test_16_bits_from_stdin_to_stdout(piped, expected, tmp_path, suffix, kind):
    save_photo(Photo([deep()]), tmp_path / f"a{suffix}")
    photo = read(piped("-", stdin=tmp_path / f"a{suffix}"))
    assert photo.kind == kind
    assert photo.frames[0].dtype == np.uint16
    assert np.array_equal(photo.frames[0], expected(tmp_path / f"a{suffix}"))


def test_8_bits_from_stdin_to_a_file(piped, expected, tmp_path):
    textured(56, 40).save(tmp_path / "a.jpg")
    assert piped("-", "-o", tmp_path / "b.tif", stdin=tmp_path / "a.jpg") == f"{tmp_path / 'b.tif'}\n".encode()
    assert np.array_equal(open_photo(tmp_path / "b.tif").frames[0], expected(tmp_path / "a.jpg"))


def test_a_file_to_stdout_keeps_its_format_where_that_can_be_written(piped, expected, tmp_path):
    textured(56, 40).save(tmp_path / "a.bmp")
    textured(56, 40).save(tmp_path / "a.ppm")
    for name, kind in (("a.bmp", "BMP"), ("a.ppm", "PNM")):
        photo = read(piped(tmp_path / name, "-o", "-"))
        assert photo.kind == kind
        assert np.array_equal(photo.frames[0], expected(tmp_path / name))


def test_a_raw_file_without_a_name_is_developed(piped, expected, tmp_path):
    write_dng(tmp_path / "a.dng")
    said = b"the raw data were developed; what is told of the sensor was left out\n"
    photo = read(piped("-", stdin=tmp_path / "a.dng", said=said))
    assert (photo.kind, photo.frames[0].dtype, photo.exif[0x010F]) == ("TIFF", np.uint16, "Camera")
    assert np.array_equal(photo.frames[0], expected(tmp_path / "a.dng"))


def test_streams_that_are_refused(refused, weights, pictures, tmp_path, monkeypatch):
    class Stdin:
        buffer = io.BytesIO(b"no picture")

    monkeypatch.setattr(sys, "stdin", Stdin)
    source, model = pictures / "0.png", ("--model", weights)
    for arguments, sentence in (
        (("-", source), "- is one picture"),
        ((source, source, "-o", "-"), "- is one picture"),
        (("-", "--compare", tmp_path / "c.png"), "leave out other sources and options that write more"),
        (("-", "-o", source), "0.png exists; add --overwrite to replace it"),
        (("-", "-o", tmp_path / "a.xyz"), "a.xyz should end in one of .jpg"),
        ((pictures, "-o", "-"), "pictures is a folder, and - is one picture"),
        ((tmp_path / "none.png", "-o", "-"), "none.png does not exist"),
        (("-", "-o", tmp_path / "a.png"), "the input is not a picture"),
    ):
        assert sentence in refused("restore", *arguments, *model)
    assert not (tmp_path / "a.png").exists()
