"""Deblurring of whole pictures: windows without seams, kernels in and out, and limits."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.signal import fftconvolve

import lnca
from lnca import LncaError
from lnca.degradation.shake import shaken_kernel
from lnca.restoration import deblurring
from lnca.restoration.deblurring import window_of, window_share, window_starts
from lnca.restoration.kernel import kernel_of, read_kernel, write_kernel
from scenes import scene

KERNEL = np.outer([1, 2, 1], [1, 1, 1, 1, 1]) / 20


def blurred(side, kernel=KERNEL, seed=0):
    """A blurred picture of rectangles, uint8, and the sharp one."""
    colours = np.stack([scene(side, seed + channel) for channel in range(3)], -1)
    given = np.stack([fftconvolve(plane, kernel, "valid") for plane in colours.transpose(2, 0, 1)], -1)
    rows, columns = (size // 2 for size in kernel.shape)
    sharp = colours[rows : rows + given.shape[0], columns : columns + given.shape[1]]
    return (given.clip(0, 1) * 255).round().astype(np.uint8), sharp


def psnr(picture, sharp, border=12):
    inner = slice(border, -border)
    return -10 * np.log10(np.square((picture / 255 - sharp)[inner, inner]).mean())


@pytest.mark.parametrize("size", [100, 768, 769, 1300, 2000])
def test_windows_cover_every_pixel_once(size):
    side, overlap = window_of(0)
    total = np.zeros(size)
    for begin in window_starts(size, side, overlap):
        end = min(begin + side, size)
        total[begin:end] += window_share(begin, end, size, overlap)
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_windows_grow_with_the_kernel():
    assert window_of(31) == window_of(0)
    side, overlap = window_of(200)
    assert side >= 4 * 200
    assert overlap >= 200


def test_a_picture_of_many_windows_is_the_picture_in_one(monkeypatch):
    given, sharp = blurred(300)
    whole = lnca.deblur(given, KERNEL)
    assert psnr(whole, sharp) > psnr(given, sharp) + 6
    monkeypatch.setattr(deblurring, "WINDOW", 224)
    monkeypatch.setattr(deblurring, "OVERLAP", 128)
    pieces = lnca.deblur(given, KERNEL)
    # The cells see what lies beyond a window in only one of the two; no seam is left of it.
    assert np.abs(pieces.astype(int) - whole)[8:-8, 8:-8].mean() < 1.5
    assert psnr(pieces, sharp) > psnr(whole, sharp) - 0.3


def test_a_kernel_of_any_kind_and_sum_means_the_same():
    given, _ = blurred(120)
    expected = lnca.deblur(given, KERNEL)
    for kernel in (KERNEL * 20, (KERNEL * 20).astype(np.uint8), torch.from_numpy(KERNEL), KERNEL.tolist()):
        assert np.array_equal(lnca.deblur(given, kernel), expected)
    image = lnca.deblur(Image.fromarray(given), KERNEL)
    assert np.array_equal(np.asarray(image), expected)


@pytest.mark.parametrize(
    ("kernel", "sentence"),
    [
        ("soft", "auto or an array"),
        (np.ones(5), r"shape \(K, L\), got \(5,\)"),
        (np.zeros((3, 3)), "not all be 0"),
        (-np.eye(3), "not negative"),
        (np.full((3, 3), np.nan), "finite"),
        (np.ones((400, 3)), "3x400, the picture 116x118"),
        (object(), "auto or an array"),
    ],
)
def test_what_is_no_kernel_is_refused(kernel, sentence):
    with pytest.raises(LncaError, match=sentence):
        lnca.deblur(blurred(120)[0], kernel)


def test_a_model_that_takes_no_kernel_says_so():
    restorer = lnca.load("photo-denoise")
    with pytest.raises(LncaError, match="photo-denoise takes no blur kernel"):
        restorer.restore(blurred(120)[0], kernel=KERNEL)
    with pytest.raises(LncaError, match="photo-denoise takes no blur kernel"):
        restorer.blur(blurred(120)[0])
    # Where cells settle, a kernel is not lost either.
    with pytest.raises(LncaError, match="latent-nafca-deblur takes no blur kernel"):
        lnca.load("latent-nafca-deblur").restore(blurred(120)[0], "auto", kernel=KERNEL)


def test_a_blur_that_was_found_is_of_one_picture():
    restorer = lnca.load("photo-deblur")
    given, _ = blurred(90)
    found = restorer.blur(given)
    with pytest.raises(LncaError, match="of one picture, got 2"):
        restorer.restore_together([given, given], kernel=found)
    with pytest.raises(LncaError, match="in one picture, got 2"):
        restorer.blur(torch.rand(2, 3, 40, 40))


def test_a_kernel_goes_to_a_file_and_back(tmp_path):
    kernel = shaken_kernel(12, 15, np.random.default_rng(0))
    for name, error in (("k.npy", 1e-7), ("k.png", 1e-5), ("k.tif", 1e-5)):
        write_kernel(tmp_path / name, kernel)
        found = kernel_of(read_kernel(tmp_path / name), 100, 100)
        np.testing.assert_allclose(found, kernel, atol=error)
    with pytest.raises(LncaError, match="should end in .png"):
        write_kernel(tmp_path / "k.jpg", kernel)
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "text.png").write_text("no picture")
    Image.new("L", (2000, 4)).save(tmp_path / "long.png")
    for name, sentence in (
        ("objects.npy", "objects.npy cannot be read as a kernel: it holds object"),
        ("nothing.npy", "nothing.npy cannot be read as a kernel: No such file"),
        ("text.png", "no picture in a known format"),
        ("long.png", "is 2000x4; a kernel has 1023 rows at most"),
    ):
        with pytest.raises(LncaError, match=sentence):
            read_kernel(tmp_path / name)


def test_a_small_picture_in_colour_is_a_kernel_too(tmp_path):
    Image.new("RGB", (5, 3), (30, 60, 90)).save(tmp_path / "k.png")
    assert np.array_equal(read_kernel(tmp_path / "k.png"), np.full((3, 5), 60.0))


@pytest.mark.slow
def test_what_is_found_is_what_is_used():
    kernel = shaken_kernel(14, 25, np.random.default_rng(1))
    given, _ = blurred(330, kernel, seed=5)
    restored, found = lnca.deblur(given, return_kernel=True)
    assert found.shape == (31, 31)
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert found[15, 15] < 0.9
    assert not np.array_equal(restored, given)
    # Asked for or not, it is looked for and used alike.
    assert np.array_equal(lnca.deblur(given), restored)
    told, kernel_again = lnca.deblur(given, found, return_kernel=True)
    assert np.array_equal(kernel_again, found)
    assert not np.array_equal(told, given)
    with pytest.raises(LncaError, match="auto or an array"):
        lnca.deblur(given, "soft", return_kernel=True)


def test_in_little_memory_it_is_the_same_or_refused():
    given, _ = blurred(120)
    assert np.array_equal(lnca.deblur(given, KERNEL, max_memory="2GB"), lnca.deblur(given, KERNEL))
    with pytest.raises(LncaError, match="needs at least"):
        lnca.deblur(given, KERNEL, max_memory="1MB")


def test_fused_and_plain_cells_agree():
    given, _ = blurred(120)
    plain = lnca.load("photo-deblur", backend="plain").restore(given, kernel=KERNEL)
    assert np.abs(plain.astype(int) - lnca.deblur(given, KERNEL)).max() <= 1


def test_the_command_takes_and_gives_kernels(tmp_path, command):
    # Too small for the longer kernels, whose search takes longest.
    given, sharp = blurred(90)
    Image.fromarray(given).save(tmp_path / "shaken.png")
    write_kernel(tmp_path / "psf.npy", KERNEL)
    words = ["restore", str(tmp_path / "shaken.png"), "--model", "photo-deblur", "--json"]
    status, out, _ = command(*words, "--kernel", str(tmp_path / "psf.npy"), "-o", str(tmp_path / "told.png"))
    assert status == 0
    assert json.loads(out)["model"] == "photo-deblur"
    assert psnr(np.asarray(Image.open(tmp_path / "told.png")), sharp) > psnr(given, sharp) + 4
    status, _, _ = command(*words, "--kernel-out", str(tmp_path / "k.png"), "-o", str(tmp_path / "blind.png"))
    assert status == 0
    restored, found = lnca.deblur(Image.open(tmp_path / "shaken.png"), return_kernel=True)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "blind.png")), np.asarray(restored))
    np.testing.assert_allclose(kernel_of(read_kernel(tmp_path / "k.png"), 100, 100), found, atol=1e-4)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--kernel", "{psf}"], "takes no blur kernel; add --model photo-deblur"),
        (["--model", "photo-deblur", "--kernel", "{psf}", "--kernel-out", "k.png"], "leave --kernel out"),
        (["--model", "photo-deblur", "--kernel", "{psf}.not"], "psf.npy.not"),
        (["--model", "photo-deblur", "--kernel-out", "k.jpg"], "should end in one of .png"),
    ],
)
def test_what_the_command_refuses(tmp_path, command, words, sentence):
    Image.fromarray(blurred(60)[0]).save(tmp_path / "in.png")
    write_kernel(tmp_path / "psf.npy", KERNEL)
    words = [word.format(psf=tmp_path / "psf.npy") for word in words]
    status, _, err = command("restore", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), *words)
    assert status == 2
    assert sentence in err
    assert not (tmp_path / "out.png").exists()


def test_how_far_it_is_is_told_after_each_window_and_never_less(monkeypatch):
    monkeypatch.setattr(deblurring, "WINDOW", 128)
    monkeypatch.setattr(deblurring, "OVERLAP", 64)
    told = []
    lnca.deblur(blurred(160)[0], KERNEL, progress=told.append)
    assert told == sorted(told)
    assert set(told) == {0.25, 0.5, 0.75, 1}
