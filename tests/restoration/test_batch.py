"""Where restored files go."""

import pytest

from lnca import LncaError
from lnca.restoration.batch import plan


def targets(source, output=None, overwrite=False):
    return [job.output for job in plan(source, output, overwrite)]


def test_a_file_goes_beside_itself_to_a_file_or_into_a_folder(pictures, tmp_path):
    source = pictures / "0.png"
    assert targets(source) == [pictures / "0-restored.png"]
    assert targets(source, tmp_path / "a.jpg") == [tmp_path / "a.jpg"]
    assert targets(source, tmp_path) == [tmp_path / "0.png"]


def test_a_folder_gives_the_same_tree(pictures, tmp_path):
    found = targets(pictures)
    assert tmp_path / "pictures-restored" / "below" / "5.png" in found
    assert len(found) == 6


def test_a_folder_named_by_a_dot(pictures, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(pictures)
    assert pictures.parent / "pictures-restored" / "0.png" in targets(Path("."))


def test_an_output_folder_inside_is_not_restored_again(pictures):
    output = pictures / "out"
    output.mkdir()
    (pictures / "0.png").rename(output / "0.png")
    assert len(targets(pictures, output, overwrite=True)) == 5


@pytest.mark.parametrize(
    ("source", "output", "sentence"),
    [
        ("nothing.png", None, "nothing.png does not exist"),
        ("pictures", "pictures/0.png", "is a file; give a folder"),
        ("pictures/0.png", "pictures/1.png", "1.png exists; add --overwrite"),
        ("pictures/0.png", "pictures/a.gif", "should end in one of"),
        ("pictures", "pictures", "holds no picture outside|exists"),
    ],
)
def test_plans_that_are_refused(pictures, tmp_path, source, output, sentence):
    with pytest.raises(LncaError, match=sentence):
        plan(tmp_path / source, None if output is None else tmp_path / output, overwrite=False)
