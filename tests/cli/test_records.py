"""Messages and manifest of `lnca restore` for many pictures: bar, failures, lines."""

import io
import json
import os
import re
import sys

import pytest
from PIL import Image

from lnca.restoration import batch

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(command, monkeypatch):
    """Runs the command line with a terminal as stderr; returns its text without escapes."""

    def run(*arguments):
        screen = Terminal()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", screen)
            patched.setenv("TERM", "xterm-256color")
            patched.setenv("COLUMNS", "200")
            command(*arguments)
        return ESCAPES.sub("", screen.getvalue())

    return run


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_bar_of_files_megapixels_a_second_and_time_left(terminal, weights, pictures, tmp_path):
    said = terminal("restore", pictures, "-o", tmp_path / "out", "--model", weights)
    rates = re.findall(r"restoring .* 6/6 (\d+\.\d\d) MP/s \d+\.\d/s 0:00:00", said)
    assert float(rates[-1]) > 0


def test_one_picture_has_a_bar_of_its_share_that_goes_in_the_end(terminal, tmp_path):
    Image.new("RGB", (64, 400)).save(tmp_path / "a.png")
    said = terminal("restore", tmp_path / "a.png", "-o", tmp_path / "b.png")
    shares = [int(share) for share in re.findall(r"restoring .* (\d+)%", said)]
    assert shares == sorted(shares)
    assert shares[-1] == 100
    assert said.split("\r")[-1].strip() == ""


def test_no_bar_where_nothing_is_to_be_said(terminal, weights, pictures, tmp_path):
    arguments = ("restore", pictures, "-o", tmp_path / "out", "--model", weights)
    assert terminal(*arguments, "--quiet") == ""
    assert terminal("restore", pictures / "0.png", "-o", tmp_path / "a.png", "--model", weights, "--quiet") == ""
    (pictures / "broken.png").write_bytes(b"broken")
    said = terminal(*arguments, "--quiet")
    assert said == f"lnca: {pictures / 'broken.png'} is not a picture in a format that is known here\n"


def test_failures_are_said_as_they_come_and_counted_in_the_end(command, weights, pictures, tmp_path):
    for number in range(25):
        (pictures / f"z{number:02}.png").write_bytes(b"broken")
    arguments = ("restore", pictures, "-o", tmp_path / "out", "--model", weights)
    status, out, err = command(*arguments)
    assert (status, out) == (1, f"6 of 31 pictures restored to {tmp_path / 'out'}\n")
    said = err.splitlines()
    assert len(said) == 25 + 1
    assert said[0] == f"lnca: {pictures / 'z00.png'} is not a picture in a format that is known here"
    assert said[25] == "lnca: 25 of 31 pictures failed"
    _, out, err = command(*arguments, "--quiet")
    assert (out, err.splitlines()) == ("", said[:25])


def test_a_failure_has_the_name_of_its_file(command, weights, pictures, tmp_path):
    (tmp_path / "mask.png").write_bytes((pictures / "0.png").read_bytes())
    Image.new("L", (64, 64)).save(pictures / "small.png")
    arguments = ("restore", pictures, "-o", tmp_path / "out", "--model", weights, "--mask", tmp_path / "mask.png")
    status, _, err = command(*arguments)
    assert status == 1
    assert err.splitlines()[0].startswith(f"lnca: {pictures / 'small.png'}: the mask")


def test_an_error_that_nobody_expected_ends_one_picture_and_not_the_rest(
    command, weights, pictures, tmp_path, monkeypatch
):
    restore_photo = batch.restore_photo

    def odd(photo, way, progress):
        odd.calls += 1
        if odd.calls == 2:
            raise ZeroDivisionError("division\nby zero")
        return restore_photo(photo, way, progress)

    odd.calls = 0
    monkeypatch.setattr(batch, "restore_photo", odd)
    status, out, err = command("restore", pictures, "-o", tmp_path / "out", "--model", weights)
    assert (status, "5 of 6 pictures restored" in out) == (1, True)
    sentence = f"{pictures / '1.png'} could not be restored (ZeroDivisionError: division by zero); please report it"
    assert err.splitlines()[0] == f"lnca: {sentence}"
    failed = [line for line in lines(tmp_path / "out" / "lnca.jsonl") if line["error"]]
    assert [line["error"] for line in failed] == [sentence]


def test_a_picture_that_memory_is_too_small_for(command, weights, pictures, tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(batch, "restore_photo", full)
    status, _, err = command("restore", pictures / "0.png", "-o", tmp_path / "a.png", "--model", weights)
    sentence = f"{pictures / '0.png'} cannot be restored in the memory there is; see --max-memory"
    assert (status, err) == (2, f"lnca: {sentence}\n")


def test_a_manifest_tells_how_and_why_not(command, weights, pictures, tmp_path):
    (pictures / "2.png").write_bytes(b"broken")
    command("restore", pictures, "-o", tmp_path / "out", "--model", weights, "--steps", 2)
    told = {line["file"]: line for line in lines(tmp_path / "out" / "lnca.jsonl")}
    good, bad = told[str(pictures / "0.png")], told[str(pictures / "2.png")]
    assert (good["model"], good["steps"], good["error"]) == (str(weights), 2, None)
    assert (good["width"], good["height"], good["frames"]) == (140, 130, 1)
    assert good["megapixels"] == pytest.approx(0.0182)
    assert good["seconds"] > 0
    assert bad["error"] == f"{pictures / '2.png'} is not a picture in a format that is known here"
    assert (bad["model"], bad["megapixels"]) == (str(weights), 0)


def test_a_line_that_was_cut_off_does_not_spoil_the_next(command, weights, pictures, tmp_path):
    path = tmp_path / "m.jsonl"
    whole, cut = '{"file": "a.png"}\n', '{"file": "b.png", "outp'
    path.write_text(whole + cut)
    arguments = ("restore", pictures / "0.png", "-o", tmp_path / "a.png", "--model", weights, "--manifest", path)
    command(*arguments)
    command(*arguments, "--overwrite")
    text = path.read_text()
    assert text.startswith(whole + cut + "\n{")
    assert [json.loads(line)["file"] for line in text.splitlines()[2:]] == [str(pictures / "0.png")] * 2


def test_a_manifest_may_be_no_file(command, weights, pictures, tmp_path):
    read, write = os.pipe()
    arguments = ("restore", pictures / "0.png", "-o", tmp_path / "a.png", "--model", weights, "--quiet")
    assert command(*arguments, "--manifest", f"/dev/fd/{write}") == (0, "", "")
    assert json.loads(os.read(read, 10_000))["output"] == str(tmp_path / "a.png")
    os.close(read)
    os.close(write)


def test_workers_restore_as_one_process_does(command, weights, pictures, tmp_path):
    for name, workers in (("one", 1), ("two", 2)):
        arguments = ("restore", pictures, "-o", tmp_path / name, "--model", weights, "--workers", workers)
        assert command(*arguments)[:2] == (0, f"6 of 6 pictures restored to {tmp_path / name}\n")
    assert len(lines(tmp_path / "two" / "lnca.jsonl")) == 6
    for path in (tmp_path / "one").rglob("*.png"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def dies_of_one(job, way, workers):
    """The work of a worker that dies of one of the pictures."""
    if job.source.name == "0.png":
        os._exit(1)
    return batch.restore_file(job, way)


def test_only_the_picture_that_ends_its_worker_fails(command, weights, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "_in_worker", dies_of_one)
    arguments = ("restore", pictures / "0.png", pictures / "1.png", "-o", tmp_path / "out", "--model", weights)
    status, out, err = command(*arguments, "--workers", 2, "--quiet")
    assert (status, out) == (1, "")
    assert err == f"lnca: {pictures / '0.png'} ended its worker, perhaps for want of memory; see --max-memory\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.png", "lnca.jsonl"]
