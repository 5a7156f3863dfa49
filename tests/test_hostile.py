"""Malicious files and names: each is refused with one sentence, and no file is written outside the output.

Pickles in place of weights, of batches of CIFAR-10 and of checkpoints, and recipes that ask for code, have their tests
with their readers.
"""

import io
import json
import os
import re
import struct
import time
import zipfile
import zlib
from pathlib import Path

import miniatures
import numpy as np
import pytest
from PIL import Image

from conftest import textured
from lnca import LncaError
from lnca.data import source
from lnca.data.prepare import prepare
from lnca.data.prepared import Prepared
from lnca.data.sets import data_set
from lnca.images.reading import read_photo
from lnca.restoration.batch import RestoreOptions, restore_stream


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*chunks, width=16, height=16, depth=8, kind=2):
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


PIXELS = chunk(b"IDAT", zlib.compress(bytes(16 * (1 + 16 * 3))))


def deflated_tiff(side, packed):
    """A TIFF of three 16-bit samples a pixel whose one strip is `packed`."""
    entries = [
        (256, 3, 1, side),
        (257, 3, 1, side),
        (258, 3, 1, 16),
        (259, 3, 1, 8),
        (262, 3, 1, 2),
        (273, 4, 1, 512),
        (277, 3, 1, 3),
        (278, 3, 1, side),
        (279, 4, 1, len(packed)),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries) + bytes(4)
    return (b"II*\x00" + struct.pack("<I", 8) + directory).ljust(512, b"\0") + packed


@pytest.fixture(scope="module")
def zeros():
    """200 MB, deflated."""
    return zlib.compress(bytes(200 * 10**6), 9)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is counted on Linux only")
@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("profile.png", lambda zeros: png(chunk(b"iCCP", b"a\0\0" + zeros), PIXELS)),
        ("text.png", lambda zeros: png(chunk(b"zTXt", b"a\0\0" + zeros), PIXELS)),
        ("pixels.png", lambda zeros: png(chunk(b"IDAT", zeros))),
        ("deep.png", lambda zeros: png(chunk(b"IDAT", zeros), depth=16)),
        ("strip.tif", lambda zeros: deflated_tiff(16, zeros)),
        ("header.png", lambda zeros: png(chunk(b"IDAT", zlib.compress(b"")), width=60_000, height=60_000)),
        ("header.tif", lambda zeros: deflated_tiff(60_000, b"")),
    ],
)
def test_little_files_that_unpack_to_much_take_little_memory(name, made, zeros):
    """They are refused with a sentence, or read with the few pixels that they declare."""
    content = made(zeros)
    before = memory("VmRSS")
    # Reset the peak.
    Path("/proc/self/clear_refs").write_text("5")
    refused = None
    try:
        photo = read_photo(io.BytesIO(content), name, 10**6)
    except LncaError as error:
        refused = str(error)
    assert memory("VmHWM") - before < 60 * 10**6
    if refused is None:
        assert [frame.shape[:2] for frame in photo.frames] == [(16, 16)]
    else:
        assert name in refused
        assert "\n" not in refused


@pytest.mark.parametrize("first", ["whole", "a thumbnail"])
def test_a_little_tiff_that_seems_to_have_a_thousand_pages_takes_little_time(first):
    """Directories of thousands of entries that overlap."""
    begin, entries, count = 2048, 3840, 1000
    content = bytearray(deflated_tiff(16, zlib.compress(bytes(16 * 16 * 6))))
    assert len(content) < begin
    content[8 + 2 + 9 * 12 : 8 + 2 + 9 * 12 + 4] = struct.pack("<I", begin)
    if first == "a thumbnail":
        content[10:22] = struct.pack("<HHII", 254, 4, 1, 1)
    content = content.ljust(begin, b"\0") + struct.pack("<H", entries) * (entries * 6 + 1)
    content += b"".join(struct.pack("<I", begin + 4 * (index + 1)) for index in range(count)) + bytes(entries * 12)
    started = time.process_time()
    with pytest.raises(LncaError, match="a.tif"):
        read_photo(io.BytesIO(bytes(content)), "a.tif", 10**6)
    assert time.process_time() - started < 2


def memory(what):
    """Bytes of this process: VmRSS for now, VmHWM for the peak."""
    found = re.search(rf"{what}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024


def celeba_with(folder, **members):
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data_set("celeba").scan(folder)


def jpeg(seed=0):
    buffer = io.BytesIO()
    textured(178, 218, seed).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name",
    ["../../evil.jpg", "/tmp/evil.jpg", "img/../../evil.jpg", "..\\evil.jpg", "C:/evil.jpg", "\\\\host\\evil.jpg"],
)
def test_names_that_lead_out_of_an_archive_are_left_out_and_said(tmp_path, name):
    found = celeba_with(tmp_path / "set", **{"img_align_celeba/000001.jpg": jpeg(), name: jpeg(1)})
    assert [sample.name for sample in found.samples] == ["000001.jpg"]
    assert any("leads out of the archive; it is left out" in problem for problem in found.problems)
    prepare(data_set("celeba"), tmp_path / "set", tmp_path / "out" / "tiles", skip_broken=True)
    assert {path.name for path in tmp_path.iterdir()} == {"set", "out"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"tiles"}


def test_a_link_in_an_archive_is_no_picture(tmp_path):
    link = zipfile.ZipInfo("img_align_celeba/000001.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "img_align_celeba.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    (sample,) = data_set("celeba").scan(tmp_path).samples
    with pytest.raises(LncaError, match="000001.jpg is not a picture"):
        sample.clean.read()


def test_a_bomb_and_damage_in_an_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MEMBER_LIMIT", 10**6)
    (sample,) = celeba_with(tmp_path, **{"img_align_celeba/000001.jpg": bytes(2 * 10**6)}).samples
    with pytest.raises(LncaError, match="000001.jpg has 2 MB unpacked and the limit is 1 MB"):
        sample.clean.read()
    source.open_archive.cache_clear()
    content = bytearray((tmp_path / "img_align_celeba.zip").read_bytes())
    begin = 30 + len("img_align_celeba/000001.jpg")
    content[begin : begin + 20] = b"\xff" * 20
    (tmp_path / "img_align_celeba.zip").write_bytes(content)
    monkeypatch.setattr(source, "MEMBER_LIMIT", 10**9)
    with pytest.raises(LncaError, match="000001.jpg cannot be read .*; get a whole copy of the archive"):
        sample.clean.read()


def test_lists_that_name_files_elsewhere(tmp_path):
    miniatures.tiny_imagenet(tmp_path)
    listed = next(tmp_path.rglob("wnids.txt"))
    elsewhere = tmp_path / "elsewhere" / "images"
    elsewhere.mkdir(parents=True)
    textured(64, 64).save(elsewhere / "a.JPEG")
    listed.write_text(f"{listed.read_text()}\n{tmp_path / 'elsewhere'}\n../../elsewhere\n..\n")
    found = data_set("tiny-imagenet").scan(tmp_path)
    assert sum("is no name of a folder" in problem for problem in found.problems) == 3
    assert not any("elsewhere" in str(sample) for sample in found.samples)


def test_a_parquet_file_that_names_a_file_in_place_of_a_picture(tmp_path):
    import datasets

    textured(40, 40).save(tmp_path / "secret.png")
    features = datasets.Features({"image": datasets.Image()})
    rows = datasets.Dataset.from_dict({"image": [str(tmp_path / "secret.png")]}, features=features)
    rows.cast_column("image", datasets.Image(decode=False)).to_parquet(tmp_path / "own.parquet")
    (sample,) = data_set(f"hf:{tmp_path / 'own.parquet'}").scan(tmp_path).samples
    with pytest.raises(LncaError, match="holds the name of a file .*secret.png.* in place of a picture"):
        sample.clean.read()


def test_tiles_that_are_a_pickle_are_refused_and_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    folder = tmp_path / "tiles"
    folder.mkdir()
    np.save(folder / "clean.npy", np.array([Bomb()], object), allow_pickle=True)
    description = {"format": 1, "tiles": 1, "groups": ["a"], "pairs": False, "task": None}
    (folder / "tiles.json").write_text(json.dumps(description))
    with pytest.raises(LncaError, match="is damaged .*prepare it anew"):
        Prepared.open(folder)
    assert not (tmp_path / "ran").exists()


ODD = ("a\nb.png", "\udcff.png", "\x1b[31mred.png", "a\r.png", "-o.png", "$(touch x).png")


def test_odd_names_are_restored_recorded_and_shown_in_one_line(command, weights, tmp_path, monkeypatch):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ODD:
        textured(24, 16).save(folder / name)
        (folder / f"broken {name}").write_bytes(b"\x89PNG nothing")
    status, _, err = command("restore", folder, "-o", out, "--model", weights, "--json")
    assert status == 1
    assert {path.name for path in out.iterdir()} == {*ODD, "lnca.jsonl"}
    *said, counted = err.splitlines()
    assert (len(said), counted) == (len(ODD), f"lnca: {len(ODD)} of {2 * len(ODD)} pictures failed")
    assert all(line.startswith("lnca: ") and line.isprintable() for line in said)
    records = [json.loads(line) for line in (out / "lnca.jsonl").read_text().splitlines()]
    assert {record["file"] for record in records} == {str(path) for path in folder.iterdir()}
    monkeypatch.chdir(folder)
    status, _, err = command("restore", "broken a\nb.png", "--model", weights)
    assert (status, err.count("\n")) == (2, 1)
    assert "broken a\\nb.png" in err
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


def test_names_that_are_no_unicode_are_printed_as_they_are(weights, tmp_path):
    """In a separate process, whose standard output is strict."""
    import subprocess
    import sys

    path = tmp_path / "\udcff.png"
    textured(24, 16).save(path)
    words = [sys.executable, "-m", "lnca", "restore", "--steps", "1", "--model", weights, path]
    done = subprocess.run(words, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == os.fsencode(tmp_path / "\udcff-restored.png") + b"\n"


def test_a_name_that_is_too_long_is_a_sentence(refused, weights):
    assert "File name too long" in refused("restore", "a" * 300 + ".png", "--model", weights)


def test_steps_without_end(refused, weights, pictures):
    said = refused("restore", pictures / "0.png", "-o", pictures / "x.png", "--model", weights, "--steps", "9" * 40)
    assert "steps must be 0 or more and 10000 at most" in said


def test_a_link_that_leads_out_of_the_output_folder(command, weights, pictures, tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "below").symlink_to(elsewhere)
    (out / "0.png").symlink_to(elsewhere / "0.png")
    status, _, err = command("restore", pictures, "-o", out, "--model", weights, "--quiet")
    assert status == 1
    assert err.count("\n") == 1
    assert f"{out / 'below'} is a link that leads out of {out}" in err
    assert not list(elsewhere.iterdir())
    assert not (out / "0.png").is_symlink()


def test_links_in_a_circle_and_pipes_are_no_pictures(command, weights, pictures, tmp_path):
    (pictures / "circle.png").symlink_to("circle.png")
    (pictures / "folder").symlink_to(pictures)
    os.mkfifo(pictures / "pipe.png")
    status, out, _ = command("restore", pictures, "-o", tmp_path / "out", "--model", weights)
    # A broken link counts as a picture that is missing.
    assert (status, "6 of 7 pictures" in out) == (1, True)


def test_what_decoders_say_of_odd_files_stays_inside(weights, tmp_path, capfd):
    content = io.BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint16)).save(content, "TIFF")
    broken = content.getvalue()[:60] + b"\xff" * 40
    record = restore_stream(broken, io.BytesIO(), RestoreOptions(str(weights)))
    assert record.error is not None
    assert "\n" not in record.error
    assert capfd.readouterr() == ("", "")


def test_nothing_of_the_package_unpickles_or_evaluates():
    """Except the reader of CIFAR-10, which allows only arrays, and torch with `weights_only`."""
    import ast

    root = Path(source.__file__).parent.parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "os.system"), path
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if called == "torch.load":
                assert options["weights_only"] == "True", path
            if called == "np.load":
                assert options["allow_pickle"] == "False", path
            assert options.get("shell") != "True", path
