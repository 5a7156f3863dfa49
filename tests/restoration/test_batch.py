"""Outputs of restored files, and their records."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lnca
from conftest import textured
from lnca import LncaError
from lnca.images.reading import open_photo
from lnca.restoration.batch import RestoreOptions, restore_file, restore_files
from lnca.restoration.jobs import Job, plan
from lnca.restoration.mask import FEATHER, mask_of
from lnca.restoration.notation import parse_region


def targets(source, output=None, overwrite=False):
    return [job.output for job in plan([source], output, overwrite)[0]]


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
        ("pictures", "pictures/0.png/deeper", "pictures/0.png is a file; give a folder"),
        ("pictures/0.png", "pictures/1.png", "1.png exists; add --overwrite"),
        ("pictures/0.png", "pictures/a.xyz", "should end in one of"),
        ("pictures", "pictures", "holds no picture outside"),
        ("pictures/*.jpg", None, "no file matches"),
    ],
)
def test_plans_that_are_refused(pictures, tmp_path, source, output, sentence):
    with pytest.raises(LncaError, match=sentence):
        plan([tmp_path / source], None if output is None else tmp_path / output, overwrite=False)


def test_what_is_done_is_left_out_unless_it_is_to_be_done_again(pictures, tmp_path):
    (tmp_path / "out" / "below").mkdir(parents=True)
    (tmp_path / "out" / "below" / "5.png").touch()
    planned = plan([pictures], tmp_path / "out", False)
    assert (len(planned.jobs), planned.done, planned.single) == (5, 1, False)
    planned = plan([pictures], tmp_path / "out", True)
    assert (len(planned.jobs), planned.done, planned.folder) == (6, 0, tmp_path / "out")


def test_an_output_folder_is_known_however_it_is_written(pictures, monkeypatch):
    monkeypatch.chdir(pictures)
    (pictures / "out").mkdir()
    (pictures / "0.png").rename(pictures / "out" / "0.png")
    assert len(plan([Path(".")], pictures / "out", True).jobs) == 5


def test_patterns_files_and_folders_together(pictures, tmp_path):
    jobs, *_ = plan([pictures / "[01].png", pictures / "below"], tmp_path / "out", False)
    assert [job.output.relative_to(tmp_path / "out").as_posix() for job in jobs] == ["0.png", "1.png", "below/5.png"]
    with pytest.raises(LncaError, match="would both become"):
        plan([pictures / "below", pictures / "0.png", pictures / "below" / ".." / "0.png"], tmp_path / "out", False)


def test_raw_files_become_tiff_and_hidden_leftovers_are_not_pictures(tmp_path):
    for name in ("a.NEF", ".lnca-x.png"):
        (tmp_path / name).touch()
    assert targets(tmp_path) == [tmp_path.with_name(f"{tmp_path.name}-restored") / "a.tif"]


def test_a_record_says_what_became_of_a_file(weights, pictures, tmp_path):
    way = RestoreOptions(str(weights), device="cpu", steps=2)
    record = restore_file(Job(pictures / "0.png", tmp_path / "a.png", tmp_path), way)
    assert (record.steps, record.width, record.height, record.frames, record.error) == (2, 140, 130, 1, None)
    assert record.megapixels == pytest.approx(140 * 130 / 1e6)
    again = open_photo(tmp_path / "a.png")
    assert again.exif[0x0131] == f"lnca {lnca.__version__}: small, 2 steps"
    expected = lnca.load(weights, "cpu").restore(open_photo(pictures / "0.png").frames[0], 2)
    assert np.array_equal(again.frames[0], expected)
    failed = restore_file(Job(pictures / "none.png", tmp_path / "b.png", tmp_path), way)
    assert "does not exist" in failed.error
    assert not (tmp_path / "b.png").exists()


def test_workers_write_the_same_files(weights, pictures, tmp_path):
    (pictures / "2.png").write_bytes(b"broken")
    way = RestoreOptions(str(weights), device="cpu")
    for name, workers in (("one", 1), ("two", 2)):
        jobs, *_ = plan([pictures], tmp_path / name, False)
        records = list(restore_files(jobs, way, workers))
        assert sorted(record.file for record in records) == sorted(str(job.source) for job in jobs)
        assert [record.file for record in records if record.error] == [str(pictures / "2.png")]
    for path in (tmp_path / "one").rglob("*.png"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_a_region_fades_inside_and_not_at_the_pictures_own_border():
    mask = mask_of(60, 50, (0, 10, 40, 100), None)
    assert mask.shape == (50, 60)
    assert mask[30, 0] == 1
    assert mask[49, 20] == 1
    assert not mask[:10].any()
    assert not mask[:, 40:].any()
    assert mask[10 + FEATHER, 39 - FEATHER] == 1
    assert 0 < mask[10, 20] < mask[13, 20] < 1
    assert mask_of(60, 50, None, None) is None
    with pytest.raises(LncaError, match="begins at 60,0, outside"):
        mask_of(60, 50, (60, 0, 5, 5), None)


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "1,2,-3,4", "1,2,0,4"])
def test_regions_that_are_none(text):
    with pytest.raises(LncaError, match="region"):
        parse_region(text)


def test_a_drawn_mask(tmp_path):
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / "m.png")
    mask = mask_of(16, 16, None, tmp_path / "m.png")
    np.testing.assert_allclose(mask, np.arange(256).reshape(16, 16) / 255, atol=1e-4)
    textured(16, 16).save(tmp_path / "colour.png")
    assert mask_of(16, 16, None, tmp_path / "colour.png").shape == (16, 16)
    with pytest.raises(LncaError, match="is 16x16, the picture 17x16"):
        mask_of(17, 16, None, tmp_path / "m.png")
