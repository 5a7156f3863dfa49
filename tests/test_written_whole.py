"""Files are written whole or not at all on failing disks: every writer, every way to fail."""

import functools
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import writers
from conftest import textured
from disks import FAULTS, failing
from lnca import LncaError
from lnca.cli import bench
from lnca.files import Appended, opened, stamp_of, write_together, write_whole
from lnca.restoration import cluster
from lnca.restoration.batch import RestoreOptions


@pytest.fixture(autouse=True)
def model(weights):
    writers.MODEL[:] = [weights]


def is_whole_records(content):
    """Whether TensorBoard's records, each with its length before it and checksums, end where the file does."""
    while content:
        content = content[8 + 4 + int.from_bytes(content[:8], "little") + 4 :] if len(content) > 15 else b"cut"
        if content == b"cut":
            return False
    return True


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of a writer whose disk does not fail; each writes them once."""

    @functools.cache
    def written(name):
        folder = tmp_path_factory.mktemp("disk") / "whole"
        folder.mkdir()
        writers.WRITERS[name](folder)
        return writers.files(folder)

    return written


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", writers.WRITERS)
def test_a_disk_that_fails_leaves_nothing(name, fault, whole, tmp_path):
    write, written = writers.WRITERS[name], whole(name)
    room = tmp_path / "room"
    room.mkdir()
    size = sum(map(len, written.values()))
    appended = name in ("manifest", "log", "log of a resumed run", "events")
    if appended and not name.endswith("run") and fault in ("rename", "open"):
        pytest.skip("lines are added to a file that has its name" if fault == "rename" else "tested by its own")
    with failing(fault, room=size // 2 if fault == "half" else size - 1), pytest.raises(LncaError, match="annot write"):
        write(room)
    left = writers.files(room)
    assert not [each for each in left if ".lnca-" in each]
    for each, content in left.items():
        if "events.out" in each:
            assert is_whole_records(content)
        else:
            # Files that were complete before the failure; existing lines are whole.
            assert content == written[each] or (appended and (not content or content.endswith(b"\n")))


@pytest.mark.parametrize("name", [name for name in writers.WRITERS if name not in ("manifest", "log", "events")])
@pytest.mark.parametrize("fault", ["half", "close", "rename"])
def test_what_was_there_stays(name, fault, tmp_path):
    write = writers.WRITERS[name]
    write(tmp_path)
    (tmp_path / "tiles" / "tiles.json").unlink(missing_ok=True)
    places = [path for path in tmp_path.rglob("*") if path.is_file()]
    places = [path for path in places if "tensorboard" not in path.parts and "parts" not in path.parts]
    for path in places:
        path.write_bytes(b'{"step": 0}\n')
    with failing(fault, room=1), pytest.raises(LncaError, match="annot write"):
        write(tmp_path)
    after = {path.read_bytes() for path in places if path.name != "log.jsonl"}
    assert after <= {b'{"step": 0}\n'} or name in ("prepared tiles", "log of a resumed run")
    assert not list(tmp_path.rglob(".lnca-*"))


def test_a_file_that_may_not_have_its_last_byte(weights, tmp_path):
    """RLIMIT_FSIZE in a separate process: the behaviour of the real system instead of a simulation."""
    given = [sys.executable, writers.__file__, str(tmp_path), str(weights)]
    paths = os.pathsep.join([str(Path(writers.__file__).parent), *sys.path])
    done = subprocess.run(given, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    for name, came in json.loads(done.stdout).items():
        assert "annot write" in came["said"], (name, came)
        assert "File too large" in came["said"], (name, came)
        assert (came["cut"], came["left"]) == ([], []), (name, came)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4096 bytes, if this machine allows mounting one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".png", ".tif", ".webp", ".gif"])
def test_a_picture_on_a_full_disk(command, weights, small_disk, tmp_path, suffix):
    source = tmp_path / "in.png"
    textured(160, 120).effect_spread(9).save(source)
    status, out, err = command("restore", source, "-o", small_disk / f"one{suffix}", "--model", weights)
    assert (status, out) == (2, "")
    assert err == f"lnca: cannot write {small_disk / f'one{suffix}'}: No space left on device\n"
    assert list(small_disk.iterdir()) == []


def test_a_folder_on_a_full_disk_is_not_done(command, weights, pictures, small_disk):
    for _ in range(2):
        status, _, err = command("restore", pictures, "-o", small_disk, "--model", weights)
        assert status in (1, 2)
        assert "No space left on device" in err
        assert not [path for path in small_disk.rglob("*") if path.suffix != ".jsonl" and path.is_file()]


def test_a_measured_result_that_cannot_be_written_is_printed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lnca.measuring.tables.as_text", lambda table: "what was measured")
    with failing("write"), pytest.raises(LncaError, match="cannot write"):
        bench.finish({"table": "inference"}, tmp_path / "a.json")
    assert capsys.readouterr().out == "what was measured\n"


def test_a_worker_of_a_cluster_that_cannot_keep_the_weights_says_so(weights, tmp_path):
    job = cluster.StoredJob(str(tmp_path / "a.png"), str(tmp_path / "b.png"), str(tmp_path))
    cluster._written.cache_clear()
    with failing("half", room=99):
        row = cluster.restore_row({"job": json.dumps(asdict(job))}, RestoreOptions(str(weights)), weights.read_bytes())
    assert "a worker cannot keep the weights: cannot write" in json.loads(row["record"])["error"]


def test_a_folder_that_vanishes(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    replace = os.replace

    def gone(source, target):
        source.unlink()
        folder.rmdir()
        replace(source, target)

    monkeypatch.setattr(os, "replace", gone)
    with pytest.raises(LncaError, match="cannot write .*a.txt: No such file or directory"):
        write_whole(folder / "a.txt", b"content")


def test_files_that_belong_together_all_get_their_names_or_none(tmp_path, monkeypatch):
    write_together(tmp_path, {"a": b"old", "b": b"old", "c": b"old"})
    replace, names = os.replace, []

    def third(source, target):
        names.append(target.name)
        if target.name == "c" and names.count("c") == 1:
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", third)
    with pytest.raises(LncaError, match="cannot write .*c: Input/output error"):
        write_together(tmp_path, {"a": b"new", "b": b"new", "c": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old", "b": b"old", "c": b"old"}
    monkeypatch.setattr(os, "replace", replace)
    write_together(tmp_path, {"a": b"new", "b": b"new", "c": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"new", "b": b"new", "c": b"new"}


def test_a_line_is_added_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"one\ntwo, cut")
    with Appended(path) as lines:
        lines.write("three\n")
    assert path.read_bytes() == b"one\ntwo, cut\nthree\n"
    with (
        failing("half", room=3),
        pytest.raises(LncaError, match="cannot write .*a.jsonl: No space left"),
        Appended(path) as lines,
    ):
        lines.write("four\n")
    assert path.read_bytes() == b"one\ntwo, cut\nthree\n"


def test_lines_go_to_a_pipe_too(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    reading = os.open(tmp_path / "pipe.jsonl", os.O_RDONLY | os.O_NONBLOCK)
    with Appended(tmp_path / "pipe.jsonl") as lines:
        lines.write("one\n")
    assert os.read(reading, 99) == b"one\n"
    os.close(reading)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_replaced(tmp_path, make):
    make(tmp_path / "a.png")
    with pytest.raises(LncaError, match="cannot write .*a.png: it is a (folder|pipe); choose another name"):
        write_whole(tmp_path / "a.png", b"content")
    assert not (tmp_path / "a.png").is_file()
    with pytest.raises(LncaError, match="is a (folder|pipe); give a file"), opened(tmp_path / "a.png"):
        pass


@pytest.mark.parametrize(
    ("mode", "umask", "expected"),
    [(0o600, 0o022, 0o600), (0o644, 0o077, 0o600), (0o664, 0o022, 0o644), (0o440, 0o002, 0o440)],
)
def test_an_output_has_the_permissions_of_its_source_less_the_umask(command, weights, tmp_path, mode, umask, expected):
    textured(40, 30).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(mode)
    os.utime(tmp_path / "a.png", (1e9, 1e9))
    beside = ("--compare", tmp_path / "both.png", "--frames", tmp_path / "film.gif")
    given = ("restore", tmp_path / "a.png", "--model", weights, "--steps", 1)
    before = os.umask(umask)
    try:
        assert command(*given, "-o", tmp_path / "b.png", *beside)[0] == 0
        assert command(*given, "-o", tmp_path / "a.png", "--overwrite")[0] == 0
    finally:
        os.umask(before)
    for name in ("a.png", "b.png", "both.png", "film.gif"):
        assert (tmp_path / name).stat().st_mode & 0o777 == expected, name
    assert (tmp_path / "a.png").stat().st_mtime > 1.5e9


def test_times_of_the_source_where_they_are_asked_for(command, weights, pictures, tmp_path):
    os.utime(pictures / "0.png", (1e9, 1e9))
    given = ("restore", pictures, "-o", tmp_path / "out", "--model", weights, "--steps", 1, "--times")
    assert command(*given)[0] == 0
    assert (tmp_path / "out" / "0.png").stat().st_mtime == 1e9
    assert stamp_of(pictures / "0.png").times is None
