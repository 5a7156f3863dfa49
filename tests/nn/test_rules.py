"""Rules by name, and rules of other packages."""

import shutil
import tomllib
from pathlib import Path

import pytest
import torch

import lnca
from lnca import LncaError
from lnca.nn.nafca import NAFCA
from lnca.nn.rules import GROUP, rule_named
from lnca.training.plan import Plan
from lnca.training.recipe import load_recipe
from lnca.training.run import Run

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_rule"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The example as pip would install it, and broken entry points."""
    shutil.copy(EXAMPLE / "lnca_perception.py", tmp_path)
    points = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
    points |= {"missing": "lnca_nowhere:Rule", "wrong": "pathlib:Path"}
    info = tmp_path / "lnca_perception-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lnca-perception\nVersion: 0.1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]) + "\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_the_papers_rules():
    assert rule_named("nafca") is NAFCA
    with pytest.raises(LncaError, match="no rule 'nafka'; did you mean nafca"):
        rule_named("nafka")


def test_a_rule_of_another_package_is_trained_and_loaded_again(installed, pictures, tmp_path):
    assert len((EXAMPLE / "lnca_perception.py").read_text().splitlines()) <= 60
    settings = "{rule: perception, width: 4, mixing: 8, output_channels: 6, hidden_channels: 4, steps: 2}"
    changes = ["residual.epochs=1", "residual.most_steps=5", "batch_size=8", "tile=32", "model.lnca=" + settings]
    changes += ["training_tiles=16", "validation_tiles=4"]
    plan = Plan("lnca", "denoise", pictures, load_recipe("lnca-denoise", changes))
    weights = Run(plan, tmp_path / "run")()
    model = lnca.load(weights, "cpu")
    assert type(model.module.automaton).__name__ == "Perception"
    assert model.module.automaton.head.weight.abs().sum() > 0
    x = torch.rand(1, 3, 21, 34)
    assert model.backend == "plain"
    assert model.restore(x).shape == x.shape


def test_rules_that_cannot_be_used(installed):
    with pytest.raises(LncaError, match="'missing' of lnca_nowhere:Rule cannot be imported"):
        rule_named("missing")
    with pytest.raises(LncaError, match="'wrong' of pathlib:Path is no class derived"):
        lnca.build("lnca", rule="wrong")
