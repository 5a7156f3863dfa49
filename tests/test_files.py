"""Files are written whole or not at all."""

import pytest

from lnca import LncaError
from lnca.files import write_whole, written_whole


def test_folders_are_made_and_content_replaced(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_content(tmp_path):
    path = tmp_path / "a.txt"
    write_whole(path, b"old")

    def fail(temporary):
        temporary.write(b"half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError), written_whole(path) as temporary:
        fail(temporary)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LncaError, match="cannot write .*: (Not a directory|File exists)"):
        write_whole(tmp_path / "file" / "a.txt", b"")


def test_the_usual_permissions(tmp_path):
    write_whole(tmp_path / "a.txt", b"")
    (tmp_path / "b.txt").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode
