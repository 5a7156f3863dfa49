"""docs/extending.md, followed line by line in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import textured

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")


def section(title):
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def follow(text, package):
    """Copies the file of a section to its place, and adds the lines of its diff."""
    named, shown = re.search(r"`src/lnca/(\S+\.py)`:\n\n``` \{ \.python \}\n--8<-- \"(\S+)\"", text).groups()
    shutil.copy(ROOT / shown, package / named)
    changed, diff = re.search(r"In `src/lnca/(\S+)`:\n\n``` \{ \.diff \}\n(.*?)```", text, re.S).groups()
    content = (package / changed).read_text("utf-8").splitlines()
    before = None
    for line in diff.splitlines():
        if line.startswith("+"):
            content.insert(content.index(before) + 1, line[1:])
        else:
            assert content.count(line[1:]) == 1, f"{changed} has no line of its own {line[1:]!r}"
        before = line[1:]
    (package / changed).write_text("\n".join(content) + "\n", "utf-8")


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A function that runs a copy of the package (without its weights) with all additions of the page."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(
        ROOT / "src" / "lnca", folder / "lnca", ignore=shutil.ignore_patterns("weights", "web", "__pycache__")
    )
    for title in ("A coder", "A file format", "A data set"):
        follow(section(title), folder / "lnca")

    def run(*words):
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        found = subprocess.run(
            [sys.executable, "-m", *words], env=environment, cwd=folder, capture_output=True, text=True
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    return run


def test_a_format_is_read_restored_and_written(extended, weights, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, (16, 20, 4), np.uint16)
    head = b"farbfeld" + (20).to_bytes(4, "big") + (16).to_bytes(4, "big")
    (tmp_path / "a.ff").write_bytes(head + pixels.astype(">u2").tobytes())
    extended("lnca", "restore", str(tmp_path / "a.ff"), "--model", str(weights), "--strength", "0")
    again = (tmp_path / "a-restored.ff").read_bytes()
    restored = np.frombuffer(again[16:], ">u2").reshape(16, 20, 4)
    assert again[:16] == head
    assert np.array_equal(restored, pixels)


@pytest.mark.slow
def test_a_coder_is_trained_and_restores(extended, pictures, tmp_path):
    extended(
        "lnca",
        "train",
        "--model",
        "blocks",
        "--task",
        "denoise",
        "--data",
        str(pictures),
        "--out",
        str(tmp_path / "run"),
        "--set",
        "residual.epochs=1",
        "--set",
        "residual.most_steps=5",
        "--set",
        "tile=32",
        "--set",
        "batch_size=8",
    )
    textured(21, 34).save(tmp_path / "p.png")
    weights = tmp_path / "run" / "blocks-denoise.safetensors"
    extended("lnca", "restore", str(tmp_path / "p.png"), "--model", str(weights))
    assert (tmp_path / "p-restored.png").exists()


def test_a_data_set_is_prepared(extended, tmp_path):
    for scene in range(3):
        for kind in ("sharp", "shaken"):
            textured(128, 128, scene).save(tmp_path / f"{scene}-{kind}.png")
    (tmp_path / "1-shaken.png").unlink()
    said = extended(
        "lnca", "data", "prepare", "twins", str(tmp_path), "--out", str(tmp_path / "tiles"), "--skip-broken"
    )
    assert "tiles of 2 samples" in said
