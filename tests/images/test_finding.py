"""Finding files in folders: pictures by their content, and all other files by name."""

import json
import os
import shutil

import pytest
from PIL import Image

from conftest import textured
from lnca import LncaError
from lnca.data.reading import Unreadable, pictures_in
from lnca.images.eight_bit import find_pictures
from lnca.restoration.jobs import plan

APPLE = b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(40)
PSD = b"8BPS\0\1" + bytes(40)
TEXT = b"words that are no picture"


def planned(source, output=None):
    found = plan([source], output, overwrite=False)
    return {job.source.name: job.output.name for job in found.jobs}, {left.file: left.reason for left in found.left}


@pytest.fixture
def folder(tmp_path):
    """A folder with every kind of file that is left out: hidden, linked, of another kind."""
    root = tmp_path / "photos"
    (root / ".hidden").mkdir(parents=True)
    (root / "below").mkdir()
    (tmp_path / "elsewhere").mkdir()
    textured(16, 16).save(root / "a.png")
    textured(16, 16).save(root / "below" / "b.jpg")
    textured(16, 16).save(root / ".hidden" / "c.png")
    textured(16, 16).save(tmp_path / "elsewhere" / "d.png")
    (root / "._a.png").write_bytes(APPLE)
    (root / ".DS_Store").write_bytes(TEXT)
    (root / "e.psd").write_bytes(PSD)
    (root / "notes.txt").write_bytes(TEXT)
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "pipe.png").unlink(missing_ok=True)
    os.mkfifo(root / "pipe.png")
    return root


def test_what_is_left_out_is_said(folder, tmp_path):
    jobs, left = planned(folder)
    assert jobs == {"a.png": "a.png", "b.jpg": "b.jpg"}
    assert left == {
        f"{folder}/.DS_Store": "hidden",
        f"{folder}/.hidden": "hidden",
        f"{folder}/._a.png": "hidden",
        f"{folder}/e.psd": "another kind of file (a Photoshop document)",
        f"{folder}/linked": "a link to a folder; name it to have it restored",
        f"{folder}/notes.txt": "another kind of file",
        f"{folder}/pipe.png": "a pipe, not a file",
    }
    assert planned(folder / "linked", tmp_path / "out")[0] == {"d.png": "d.png"}
    assert planned(folder / ".hidden", tmp_path / "out")[0] == {"c.png": "c.png"}


def test_it_is_said_on_stderr_in_the_manifest_and_in_json(command, weights, folder, tmp_path):
    given = ("restore", folder, "-o", tmp_path / "out", "--model", weights, "--steps", 1)
    status, out, err = command(*given)
    assert (status, out) == (0, f"2 of 2 pictures restored to {tmp_path / 'out'}\n")
    assert err.startswith(f"7 files of other kinds were left out: {folder}/.DS_Store (hidden), ")
    assert err.endswith(", and 2 more\n")
    assert err.count("\n") == 1
    lines = [json.loads(line) for line in (tmp_path / "out" / "lnca.jsonl").read_text().splitlines()]
    assert {line["file"]: line["left_out"] for line in lines if line["left_out"]} == planned(folder)[1]
    assert sum(line["left_out"] is None for line in lines) == 2
    status, out, err = command(*given, "--overwrite", "--json", "--quiet")
    assert [json.loads(line)["file"] for line in out.splitlines() if json.loads(line)["left_out"]] == sorted(
        planned(folder)[1]
    )
    assert err == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_fails(folder, refused):
    (folder / "below").chmod(0)
    assert "below" in refused("restore", folder / "below")


def test_what_cannot_be_looked_at_fails(command, weights, folder, tmp_path, monkeypatch):
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("below"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    status, out, err = command("restore", folder, "-o", tmp_path / "out", "--model", weights, "--steps", 1)
    assert (status, out) == (1, f"1 of 3 pictures restored to {tmp_path / 'out'}\n")
    assert f"lnca: {folder}/below: cannot be read: Permission denied\n" in err
    assert f"lnca: {folder}/gone.png: a link to what is not there\n" in err
    lines = [json.loads(line) for line in (tmp_path / "out" / "lnca.jsonl").read_text().splitlines()]
    assert sum(line["error"] is not None for line in lines) == 2
    with pytest.raises(LncaError, match="not all of .* can be looked at"):
        find_pictures(folder)
    with pytest.raises(Unreadable, match="2 pictures cannot be read; mend this, or go on without with --skip-broken"):
        pictures_in(folder, skip_broken=False)
    assert [path.name for path in pictures_in(folder, skip_broken=True)[0]] == ["a.png"]


def test_first_bytes_say_what_a_file_is(tmp_path):
    for name, kind in (
        ("a.jfif", "JPEG"),
        ("b.jpe", "JPEG"),
        ("C.JPG", "JPEG"),
        ("d", "PNG"),
        ("e.jpg_large", "JPEG"),
        ("f.dib", "BMP"),
        ("g.tmp", "WEBP"),
        ("h", "TIFF"),
    ):
        textured(16, 16).save(tmp_path / name, kind)
    jobs, left = planned(tmp_path)
    assert left == {}
    assert jobs == {
        "a.jfif": "a.jfif",
        "b.jpe": "b.jpe",
        "C.JPG": "C.JPG",
        "d": "d.png",
        "e.jpg_large": "e.jpg_large.jpg",
        "f.dib": "f.dib",
        "g.tmp": "g.tmp.webp",
        "h": "h.tif",
    }
    assert [path.name for path in find_pictures(tmp_path)] == sorted(jobs)
    # A raw file with an unknown suffix begins like TIFF; read as TIFF, it would give its thumbnail.
    shutil.move(tmp_path / "h", tmp_path / "h.nrw")
    assert "another kind of file (TIFF)" in planned(tmp_path)[1].values()


def test_a_file_that_is_not_what_its_name_says(command, weights, tmp_path):
    textured(32, 32).save(tmp_path / "a.jpg", "PNG")
    status, _, err = command("restore", tmp_path / "a.jpg", "--model", weights, "--steps", 1)
    assert (status, err) == (0, f"{tmp_path / 'a.jpg'}: PNG under the name of JPEG became what it is named\n")
    with Image.open(tmp_path / "a-restored.jpg") as written:
        assert written.format == "JPEG"


def test_a_pattern_with_one_match_and_no_folder_yet(command, weights, tmp_path):
    (tmp_path / "one").mkdir()
    textured(32, 32).save(tmp_path / "one" / "a.bmp")
    (tmp_path / "one" / "._a.bmp").write_bytes(APPLE)
    for number, out in enumerate((f"{tmp_path}/out1/", f"{tmp_path}/out2")):
        status, said, _ = command("restore", f"{tmp_path}/one/*.bmp", "-o", out, "--model", weights, "--steps", 1)
        assert (status, said.startswith("1 of 1 pictures restored")) == (0, True), number
        assert (tmp_path / f"out{number + 1}" / "a.bmp").is_file()
        assert (tmp_path / f"out{number + 1}" / "lnca.jsonl").is_file()
    assert command("restore", f"{tmp_path}/one/a.bmp", "-o", f"{tmp_path}/out3/", "--model", weights)[0] == 0
    assert (tmp_path / "out3" / "a.bmp").is_file()
    assert command("restore", f"{tmp_path}/one/*.bmp", "-o", tmp_path / "b.png", "--model", weights)[0] == 0
    assert (tmp_path / "b.png").is_file()


def test_a_pattern_that_matches_other_files_too(folder, tmp_path):
    (folder / "pipe.png").rename(folder / "pipe")
    jobs, left = planned(folder / "*", tmp_path / "out")
    assert jobs == {"a.png": "a.png", "b.jpg": "b.jpg"} | {"d.png": "d.png"}
    assert {name.rpartition("/")[2]: reason for name, reason in left.items() if "pipe" not in name} == {
        "e.psd": "another kind of file (a Photoshop document)",
        "notes.txt": "another kind of file",
    }
    assert "is a pipe; give a file" in left[f"{folder}/pipe"]


def test_one_of_several_named_files_that_is_no_picture(command, weights, folder, tmp_path):
    given = (folder / "a.png", folder / "notes.txt", "-o", tmp_path / "out", "--model", weights, "--steps", 1)
    status, out, err = command("restore", *given)
    assert (status, out) == (1, f"1 of 2 pictures restored to {tmp_path / 'out'}\n")
    assert f"lnca: {folder / 'notes.txt'} is not a picture in a format that is known here" in err


def test_what_is_refused_says_what_it_is(refused, weights, folder, tmp_path):
    (tmp_path / "p.psd").write_bytes(b"8BPS" + bytes(40))
    (tmp_path / "text").write_bytes(TEXT)
    for given, said in (
        ((tmp_path / "p.psd",), "p.psd is a Photoshop document; save it as TIFF or PNG first"),
        ((tmp_path / "text",), "text is not a picture in a format that is known here"),
        ((folder / "pipe.png",), "pipe.png is a pipe; give a file, or - < "),
        ((folder / "a.png", "-o", tmp_path / "out"), f"or in a slash for a folder: {tmp_path / 'out'}/"),
        ((folder / "a.png", "--mask", folder / "pipe.png"), "pipe.png is a pipe"),
    ):
        assert said in refused("restore", *given, "--model", weights)


def test_a_plan_of_what_is_there_already(command, weights, folder, tmp_path):
    textured(16, 16).save(tmp_path / "b.png")
    given = ("restore", folder / "a.png", "-o", tmp_path / "b.png", "--model", weights, "--device", "cpu")
    assert command(*given)[0] == 2
    status, out, _ = command(*given, "--plan")
    assert status in (0, 2)
    assert "exists" not in out
    (folder / "broken.png").write_bytes(TEXT)
    status, out, err = command("restore", folder, "--model", weights, "--device", "cpu", "--plan")
    assert (status, out.count("encoded and decoded in bands")) == (1, 2)
    assert f"lnca: {folder / 'broken.png'} is not a picture" in err


def test_a_model_that_is_no_weight_file(refused, weights, folder, tmp_path):
    from lnca.training.checkpoint import write_checkpoint

    write_checkpoint(tmp_path / "run", 3, {"plan": {}})
    checkpoint = next((tmp_path / "run").iterdir())
    source = folder / "a.png"
    assert "is a checkpoint, which lnca train --resume goes on with" in refused(
        "restore", source, "--model", checkpoint
    )
    assert "run is a folder; give a weight file, a .safetensors file" in refused(
        "restore", source, "--model", tmp_path / "run"
    )
    assert f"such as {weights}" in refused("restore", source, "--model", weights.parent)
    assert "is a pipe; give a weight file" in refused("restore", source, "--model", folder / "pipe.png")
    pipe = folder / "pipe.png"
    assert "is a pipe" in refused("convert", pipe, "-o", tmp_path / "w.safetensors", "--model", "nafnet")


def test_other_files_do_not_keep_tiles_from_being_made(command, folder, tmp_path):
    """They are named, like broken files."""
    textured(80, 80).save(folder / "large.png")
    status, out, _ = command("data", "check", "folder", folder)
    assert (status, "notes.txt is left out: another kind of file" in out) == (0, True)
    assert command("data", "prepare", "folder", folder, "--out", tmp_path / "tiles", "--workers", 1)[0] == 0
    left = json.loads((tmp_path / "tiles" / "tiles.json").read_text())["left_out"]
    assert [line for line in left if "notes.txt" in line] == [f"{folder}/notes.txt is left out: another kind of file"]


def test_each_failure_is_said_once(command, weights, pictures, tmp_path):
    (pictures / "0.png").write_bytes(TEXT)
    status, _, err = command("restore", pictures, "-o", tmp_path / "out", "--model", weights, "--steps", 1)
    assert status == 1
    assert err.count(f"{pictures / '0.png'}") == 1
    assert err.endswith("lnca: 1 of 6 pictures failed\n")
