"""Every example runs."""

import runpy
from pathlib import Path

import pytest

from lnca import demo
from others import need

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
LIBRARIES = {"04_beside_scikit_image": "skimage", "05_in_spandrel": "spandrel", "06_in_deepinv": "deepinv"}


# This example exports a model first.
SLOW = "03_without_torch"


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=pytest.mark.slow if path.stem == SLOW else (), id=path.stem) for path in EXAMPLES]
)
def test_an_example_runs_and_says_something(path, tmp_path, monkeypatch, capsys):
    if path.stem in LIBRARIES:
        need(LIBRARIES[path.stem], monkeypatch)
    # A part of the photograph is enough.
    part = demo.photograph().crop((0, 0, 240, 240))
    monkeypatch.setattr(demo, "photograph", part.copy)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out
    assert any(tmp_path.iterdir())


def test_there_are_examples():
    assert len(EXAMPLES) >= 6
