"""`lnca restore`, `corrupt`, `compare` and `demo`: their outputs and errors."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import lnca
from conftest import textured
from lnca import demo


def load(path):
    with Image.open(path) as image:
        return np.asarray(image)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_restored_as_python_does_it(command, weights, pictures, tmp_path):
    status, out, _ = command("restore", pictures / "0.png", "-o", tmp_path / "a.png", "--model", weights)
    assert (status, out.strip()) == (0, str(tmp_path / "a.png"))
    assert np.array_equal(load(tmp_path / "a.png"), lnca.load(weights, "cpu").restore(load(pictures / "0.png")))


def test_steps_are_taken(command, weights, pictures, tmp_path):
    command("restore", pictures / "0.png", "-o", tmp_path / "a.png", "--model", weights, "--steps", 1)
    expected = lnca.load(weights, "cpu").restore(load(pictures / "0.png"), steps=1)
    assert np.array_equal(load(tmp_path / "a.png"), expected)


def test_a_folder_gives_the_same_tree_and_a_broken_file_does_not_stop_it(command, weights, pictures, tmp_path):
    (pictures / "broken.png").write_bytes((pictures / "0.png").read_bytes()[:2000])
    status, out, err = command("restore", pictures, "-o", tmp_path / "out", "--model", weights)
    assert status == 1
    assert files(tmp_path / "out") == ["0.png", "1.png", "2.png", "3.png", "4.png", "below/5.png", "lnca.jsonl"]
    assert "6 of 7 pictures restored" in out
    said, counted = err.splitlines()
    assert said.startswith(f"lnca: {pictures / 'broken.png'} is broken or truncated")
    assert counted.startswith("lnca: 1 of 7 pictures failed")


def test_overwrite(command, refused, weights, pictures, tmp_path):
    arguments = ("restore", pictures / "0.png", "-o", pictures / "1.png", "--model", weights)
    before = load(pictures / "1.png")
    assert "1.png exists; add --overwrite to replace it" in refused(*arguments)
    assert np.array_equal(load(pictures / "1.png"), before)
    assert command(*arguments, "--overwrite")[0] == 0
    assert not np.array_equal(load(pictures / "1.png"), before)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "is empty"), (b"text", "is not a picture"), (b"\x89PNG\r\n\x1a\n....", "is not a picture|is broken")],
)
def test_a_broken_picture_writes_nothing(refused, weights, tmp_path, content, sentence):
    (tmp_path / "in.png").write_bytes(content)
    said = refused("restore", tmp_path / "in.png", "-o", tmp_path / "out.png", "--model", weights)
    assert any(part in said for part in sentence.split("|"))
    assert files(tmp_path) == ["in.png"]


def test_the_pixel_limit(command, refused, weights, pictures, tmp_path):
    arguments = ("restore", pictures / "0.png", "-o", tmp_path / "a.png", "--model", weights, "--max-pixels")
    assert "the limit is 0 million; raise it with --max-pixels" in refused(*arguments, 100)
    assert command(*arguments, 140 * 130)[0] == 0


def test_a_folder_without_pictures(refused, weights, tmp_path):
    (tmp_path / "a.txt").touch()
    assert "holds no picture" in refused("restore", tmp_path, "--model", weights)


def test_an_unknown_model_and_a_damaged_one(refused, weights, pictures, tmp_path):
    picture = pictures / "0.png"
    assert "did you mean latent-nafca-denoise" in refused("restore", picture, "--model", "latent-nafca-denois")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(weights.read_bytes()[:5000])
    assert "is damaged" in refused("restore", picture, "--model", damaged)
    (tmp_path / "model.pt").write_bytes(b"")
    assert "may hold a pickle" in refused("restore", picture, "--model", tmp_path / "model.pt")
    assert files(pictures) == ["0.png", "1.png", "2.png", "3.png", "4.png", "below/5.png"]


def test_an_output_that_cannot_be_written(refused, weights, pictures):
    said = refused("restore", pictures / "0.png", "-o", pictures / "1.png" / "a.png", "--model", weights)
    assert said.startswith(f"lnca: cannot write {pictures / '1.png' / 'a.png'}")


def test_a_device_that_is_not_there(refused, weights, pictures):
    assert "no device 'tpu'" in refused("restore", pictures / "0.png", "--model", weights, "--device", "tpu")


def test_the_command_itself_ends_without_a_traceback(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "lnca", "restore", str(tmp_path / "nothing.png")], capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"lnca: {tmp_path / 'nothing.png'} does not exist\n"


@pytest.mark.parametrize("option", [("--noise", 0.5), ("--blur", 7)])
def test_corruption_follows_its_seed(command, pictures, tmp_path, option):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        command("corrupt", pictures / "0.png", "-o", tmp_path / f"{name}.png", *option, "--seed", seed)
    a, b, c = (load(tmp_path / f"{name}.png") for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert a.shape == load(pictures / "0.png").shape


def test_blur_has_no_dark_rim(command, tmp_path):
    Image.new("RGB", (40, 40), (200, 100, 50)).save(tmp_path / "a.png")
    command("corrupt", tmp_path / "a.png", "-o", tmp_path / "b.png", "--blur", 9)
    assert np.array_equal(load(tmp_path / "a.png"), load(tmp_path / "b.png"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "give either --noise or --blur"),
        (("--noise", 0.5, "--blur", 3), "give either --noise or --blur"),
        (("--noise", 1.5), "between 0 and 1, got 1.5"),
        (("--blur", 0), "between 1 and the picture's shorter side"),
        (("--blur", 500), "between 1 and the picture's shorter side"),
    ],
)
def test_corruptions_that_are_refused(refused, pictures, tmp_path, options, sentence):
    assert sentence in refused("corrupt", pictures / "0.png", "-o", tmp_path / "a.png", *options)
    assert not (tmp_path / "a.png").exists()


def test_compare(command, refused, pictures, tmp_path):
    status, out, _ = command("compare", pictures / "0.png", pictures / "0.png")
    assert (status, out) == (0, "SSIM 1.0000  PSNR inf dB\n")
    _, out, _ = command("compare", pictures / "0.png", pictures / "1.png", "--json")
    scores = json.loads(out)
    assert scores["ssim"] < 0.9
    assert 5 < scores["psnr"] < 30
    textured(20, 20).save(tmp_path / "small.png")
    assert "different sizes, 140x130 and 20x20" in refused("compare", pictures / "0.png", tmp_path / "small.png")
    textured(9, 9).save(tmp_path / "tiny.png")
    assert "at least 11x11" in refused("compare", tmp_path / "tiny.png", tmp_path / "tiny.png")


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(("torch", "torchmetrics")))
from lnca.cli import main
main()
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("corrupt", "a.png", "-o", "b.png", "--noise", "0.5"),
        ("corrupt", "a.png", "-o", "b.png", "--blur", "7"),
        ("compare", "a.png", "a.png"),
        ("demo", "--out", "demo", "--device", "cpu"),
    ],
    ids=["noise", "blur", "compare", "demo"],
)
def test_without_torch(tmp_path, arguments):
    textured(40, 30).save(tmp_path / "a.png")
    run = subprocess.run([sys.executable, "-c", WITHOUT, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")


def test_the_demonstration(command, refused, weights, tmp_path):
    status, out, _ = command("demo", "--out", tmp_path / "demo", "--model", weights, "--device", "cpu")
    assert status == 0
    assert files(tmp_path / "demo") == ["clean.png", "comparison.jpg", "corrupted.png", "restored.png", "steps.gif"]
    clean, restored = (load(tmp_path / "demo" / f"{name}.png") for name in ("clean", "restored"))
    assert clean.shape == restored.shape == (500, 500, 3)
    assert load(tmp_path / "demo" / "comparison.jpg").shape == (500, 1500, 3)
    _, compared, _ = command("compare", tmp_path / "demo" / "restored.png", tmp_path / "demo" / "clean.png", "--json")
    said = next(line for line in out.splitlines() if line.startswith("restored"))
    assert float(said.split()[2]) == pytest.approx(json.loads(compared)["ssim"], abs=2e-3)
    with Image.open(tmp_path / "demo" / "steps.gif") as animation:
        assert animation.n_frames == 6
    assert "exists; add --overwrite" in refused("demo", "--out", tmp_path / "demo", "--model", weights)


def test_the_demonstration_of_the_default_model_shows_a_noisy_photograph_too(command, tmp_path, monkeypatch):
    photograph = demo.photograph

    def small(*noisy):
        """A part of the clean photograph is enough."""
        return photograph(*noisy) if noisy else photograph().crop((0, 0, demo.CLOSE_UP, demo.CLOSE_UP))

    monkeypatch.setattr(demo, "photograph", small)
    status, out, _ = command("demo", "--out", tmp_path / "demo", "--device", "cpu")
    assert status == 0
    assert "real.jpg" in out
    both = load(tmp_path / "demo" / "real.jpg").astype(np.float64)
    assert both.shape == (352, 896, 3)
    # A part without anything sharp.
    given, restored = (part[100:160, 48:112].mean(-1) for part in (both[:, :448], both[:, 448:]))
    assert np.diff(restored).std() < 0.85 * np.diff(given).std()
