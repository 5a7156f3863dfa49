"""`lnca restore`: many files, streams, parts of a picture, and further outputs."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageSequence

import lnca
from lnca.cli.groups import AMOUNT, HELP, MACHINE, OUTPUT, PLACE, USUAL, WHAT
from lnca.images.photo import Photo
from lnca.images.reading import open_photo
from lnca.images.writing import save_photo

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"


def pixels(path):
    return open_photo(path).frames[0]


@pytest.fixture
def restorer(weights):
    return lnca.load(weights, "cpu")


def test_a_folder_goes_on_where_it_stopped_and_writes_a_manifest(command, weights, pictures, tmp_path):
    arguments = ("restore", pictures, "-o", tmp_path / "out", "--model", weights)
    (pictures / "3.png").rename(tmp_path / "3.png")
    status, out, _ = command(*arguments)
    assert (status, "5 of 5 pictures restored" in out) == (0, True)
    stamp = (tmp_path / "out" / "0.png").stat().st_mtime_ns
    (tmp_path / "3.png").rename(pictures / "3.png")
    _, out, _ = command(*arguments)
    assert "1 of 1 pictures restored" in out
    assert "5 were there already" in out
    assert (tmp_path / "out" / "0.png").stat().st_mtime_ns == stamp
    lines = [json.loads(line) for line in (tmp_path / "out" / "lnca.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    assert {line["file"] for line in lines} == {str(path) for path in pictures.rglob("*.png")}
    assert all(line["error"] is None and line["steps"] == 4 and line["width"] == 140 for line in lines)
    _, out, _ = command(*arguments)
    assert "0 of 0 pictures" in out


def test_several_files_json_and_quiet(command, weights, pictures, tmp_path):
    arguments = ("restore", pictures / "0.png", pictures / "1.png", "-o", tmp_path / "out", "--model", weights)
    _, out, _ = command(*arguments, "--json", "--manifest", tmp_path / "m.jsonl")
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["output"] for record in records] == [str(tmp_path / "out" / f"{i}.png") for i in (0, 1)]
    assert (tmp_path / "m.jsonl").read_text() == out
    assert command(*arguments, "--overwrite", "--quiet") == (0, "", "")


def test_several_files_without_an_output_go_beside_themselves(command, weights, pictures):
    status, out, _ = command("restore", pictures / "0.png", pictures / "1.png", "--model", weights)
    assert (status, out) == (0, "2 of 2 pictures restored\n")
    assert all((pictures / f"{index}-restored.png").is_file() for index in (0, 1))
    assert not list(pictures.rglob("*.jsonl"))


def test_a_pattern_for_one_folder_that_is_done(command, weights, pictures, tmp_path):
    arguments = ("restore", f"{pictures}/bel*", "-o", tmp_path / "out", "--model", weights)
    assert command(*arguments)[0] == 0
    status, out, _ = command(*arguments)
    assert (status, "1 were there already" in out) == (0, True)


def test_a_dry_run_writes_nothing(command, weights, pictures, tmp_path):
    _, out, _ = command("restore", pictures, "-o", tmp_path / "out", "--model", weights, "--dry-run")
    assert f"{pictures / '0.png'} -> {tmp_path / 'out' / '0.png'}" in out.splitlines()
    assert not (tmp_path / "out").exists()


def test_from_stdin_to_stdout(command, refused, weights, restorer, pictures, monkeypatch):
    class Stream:
        def __init__(self, content=b""):
            self.buffer = io.BytesIO(content)

        def write(self, text):
            return len(text)

        def flush(self):
            pass

    content = (pictures / "0.png").read_bytes()
    written = Stream()
    monkeypatch.setattr(sys, "stdin", Stream(content))
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", written)
        from lnca.cli.restore import STREAM, restore

        restore([STREAM], model=str(weights), device="cpu")
    with Image.open(io.BytesIO(written.buffer.getvalue())) as picture:
        assert picture.format == "PNG"
        assert np.array_equal(np.asarray(picture), restorer.restore(pixels(pictures / "0.png")))
    monkeypatch.setattr(sys, "stdin", Stream(b"no picture"))
    assert "the input is not a picture" in refused("restore", "-", "--model", weights)
    assert "- is one picture" in refused("restore", "-", pictures / "0.png", "--model", weights)


def test_sixteen_bits_stay_sixteen_bits(command, weights, restorer, tmp_path):
    """The result has values between those that 8 bits can hold."""
    rows, columns = np.mgrid[:64, :96]
    deep = np.stack([rows * 400 + columns, columns * 500 + 7 * rows, rows * columns * 8], -1).astype(np.uint16)
    save_photo(Photo([deep]), tmp_path / "a.png")
    command("restore", tmp_path / "a.png", "-o", tmp_path / "b.tif", "--model", weights)
    result = pixels(tmp_path / "b.tif")
    assert result.dtype == np.uint16
    assert np.array_equal(result, restorer.restore(deep))
    assert (result % 257 != 0).mean() > 0.9


def test_every_frame_of_an_animation_is_restored(command, weights, restorer, pictures, tmp_path):
    frames = [pixels(pictures / f"{index}.png") for index in range(3)]
    exif, profile = Image.Exif(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif[0x010F] = "Camera"
    save_photo(Photo(frames, exif, XMP, profile, durations=[50, 60, 70], loop=2), tmp_path / "a.webp")
    command("restore", tmp_path / "a.webp", "-o", tmp_path / "b.png", "--model", weights)
    source, result = open_photo(tmp_path / "a.webp"), open_photo(tmp_path / "b.png")
    assert (result.durations, result.loop) == ([50, 60, 70], 2)
    assert (result.exif[0x010F], result.xmp, result.icc) == ("Camera", XMP, profile)
    assert result.exif[0x0131].startswith("lnca")
    for before, after in zip(source.frames, result.frames, strict=True):
        assert np.array_equal(after, restorer.restore(before))


def test_strength_region_and_mask(command, refused, weights, restorer, pictures, tmp_path):
    source = pictures / "0.png"
    before, whole = pixels(source), restorer.restore(pixels(source))
    arguments = ("restore", source, "--model", weights, "-o")
    command(*arguments, tmp_path / "none.png", "--strength", 0)
    assert np.array_equal(pixels(tmp_path / "none.png"), before)
    command(*arguments, tmp_path / "half.png", "--strength", 0.5)
    assert np.abs(pixels(tmp_path / "half.png") - (before / 2 + whole / 2)).max() <= 1
    command(*arguments, tmp_path / "part.png", "--region", "20,30,60,50")
    part = pixels(tmp_path / "part.png")
    assert np.array_equal(part[40:70, 30:70], whole[40:70, 30:70])
    outside = np.ones(before.shape[:2], bool)
    outside[30:80, 20:80] = False
    assert np.array_equal(part[outside], before[outside])
    mask = np.zeros(before.shape[:2], np.uint8)
    mask[:50] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    command(*arguments, tmp_path / "masked.png", "--mask", tmp_path / "mask.png")
    assert np.array_equal(pixels(tmp_path / "masked.png"), np.where(mask[..., None] > 0, whole, before))
    for options, sentence in (
        (("--strength", 1.5), "should lie between 0 and 1, got 1.5"),
        (("--region", "1,2,3"), "is no region"),
        (("--region", "900,0,5,5"), "outside the picture"),
        (("--mask", tmp_path / "nothing.png"), "does not exist"),
    ):
        assert sentence in refused(*arguments, tmp_path / "a.png", *options)
    assert not (tmp_path / "a.png").exists()


def test_before_and_after_in_one_picture_and_the_steps_as_a_film(command, refused, weights, pictures, tmp_path):
    source = pictures / "0.png"
    arguments = ("restore", source, "--model", weights, "-o", tmp_path / "a.png")
    beside = ("--compare", tmp_path / "c.png", "--frames", tmp_path / "f.gif")
    assert command(*arguments, *beside)[0] == 0
    compared = pixels(tmp_path / "c.png")
    assert np.array_equal(compared[:, :60], pixels(source)[:, :60])
    assert np.array_equal(compared[:, 80:], pixels(tmp_path / "a.png")[:, 80:])
    assert (compared[:, 70] == 255).all()
    with Image.open(tmp_path / "f.gif") as film:
        assert len(list(ImageSequence.Iterator(film))) == 5
    assert "exists; add --overwrite" in refused("restore", source, "-o", tmp_path / "b.png", *beside)
    command(*arguments, "--overwrite", "--frames", tmp_path / "folder", "--steps", 2)
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["000.png", "001.png", "002.png"]
    command(*arguments, "--overwrite", "--frames", tmp_path / "still", "--strength", 0)
    assert np.array_equal(pixels(tmp_path / "still" / "004.png"), pixels(source))
    assert "should end in .gif or .mp4" in refused(*arguments, "--overwrite", "--frames", tmp_path / "f.avi")
    assert "--compare is for one picture" in refused("restore", pictures, "--compare", tmp_path / "x.png")


def test_a_film_as_mp4(command, weights, pictures, tmp_path):
    import av

    command("restore", pictures / "0.png", "--model", weights, "-o", tmp_path / "a.png", "--frames", tmp_path / "f.mp4")
    with av.open(str(tmp_path / "f.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 5
    assert frames[0].shape == (130, 140, 3)
    assert np.abs(frames[-1].astype(int) - pixels(tmp_path / "a.png")).mean() < 8


def test_what_could_not_stay_as_it_was_is_said(command, weights, pictures, tmp_path):
    Image.open(pictures / "0.png").convert("CMYK").save(tmp_path / "a.jpg")
    _, _, err = command("restore", tmp_path / "a.jpg", "-o", tmp_path / "b.jpg", "--model", weights)
    assert err == f"{tmp_path / 'a.jpg'}: CMYK became RGB\n"


@pytest.mark.parametrize(
    ("suffix", "dtype"), [(".jpg", np.uint8), (".png", np.uint8), (".png", np.uint16), (".tif", np.uint16)]
)
def test_what_goes_with_a_picture_is_in_the_restored_one(command, weights, pictures, tmp_path, suffix, dtype):
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8769)[0x829A] = 0.25
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 0.0)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    frame = pixels(pictures / "0.png").astype(dtype) * (257 if dtype == np.uint16 else 1)
    source, output = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    save_photo(Photo([frame], exif, xmp, icc), source)
    status, out, err = command("restore", source, "-o", output, "--model", weights)
    assert (status, out, err) == (0, f"{output}\n", "")
    photo = open_photo(output)
    assert photo.frames[0].dtype == dtype
    assert (photo.xmp, photo.icc) == (xmp, icc)
    assert (photo.exif[0x010F], photo.exif[0x0131]) == ("Camera", f"lnca {lnca.__version__}: small, 4 steps")
    assert float(photo.exif.get_ifd(0x8769)[0x829A]) == 0.25
    assert [float(part) for part in photo.exif.get_ifd(0x8825)[2]] == [48, 8, 0]


@pytest.mark.parametrize(("limit", "kept"), [((), 1), (("--max-memory", "2GB"), 0)])
def test_freed_memory_is_kept_where_none_is_to_be_saved(command, weights, pictures, tmp_path, monkeypatch, limit, kept):
    calls = []
    monkeypatch.setattr("lnca.memory.keep_freed_memory", lambda: calls.append(1))
    monkeypatch.setattr("lnca.memory.give_freed_memory_back", lambda: calls.append(0))
    status, _, _ = command("restore", pictures / "0.png", "-o", tmp_path / "out.png", "--model", weights, *limit)
    assert (status, calls) == (0, [kept])


def test_the_help_stands_in_groups_the_usual_options_first(command):
    _, out, _ = command("restore", "--help")
    headings = [line[:-1] for line in out.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Arguments", USUAL, WHAT, AMOUNT, PLACE, OUTPUT, MACHINE, HELP, "Examples"]
    usual = out.partition(f"{USUAL}:")[2].partition(f"{WHAT}:")[0]
    assert [word for word in usual.split() if word.startswith("--")] == [
        "--output",
        "--model",
        "--strength",
        "--noise-level",
        "--compare",
    ]
    for line in out.partition("Examples:")[2].strip().splitlines():
        assert line.strip().startswith("lnca restore ")


def test_no_command_of_the_help_is_cut_off(command):
    _, out, _ = command("--help")
    assert "restore   Restore a picture, or every picture in a folder." in out
    assert "..." not in out.partition("Commands:")[2]
