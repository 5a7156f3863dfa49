"""The recipe for conda-forge, in the format that rattler-build reads (recipe.yaml, schema 1)."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from .facts import ROOT, Facts, digest

KERNELS = "${{ '1' if unix and build_platform == target_platform else '0' }}"
SCHEMA = "https://raw.githubusercontent.com/prefix-dev/recipe-format/main/schema.json"
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(.*)")


def write(facts: Facts, folder: Path) -> None:
    """Writes recipes/lnca/recipe.yaml, in the layout of conda-forge/staged-recipes."""
    path = folder / "recipes" / "lnca" / "recipe.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(recipe(facts), sort_keys=False, width=120, allow_unicode=True)
    path.write_text(f"# yaml-language-server: $schema={SCHEMA}\n{text}", "utf-8")


def recipe(facts: Facts) -> dict[str, Any]:
    """The content of recipe.yaml. The kernels are compiled if build platform and target platform are equal, and the
    compiler is GCC or Clang; otherwise lnca is pure Python."""
    run = [spaced(requirement) for requirement in facts.project["dependencies"]]
    lowest = facts.project["requires-python"]
    return {
        "schema_version": 1,
        "context": {"version": facts.version},
        "package": {"name": "lnca", "version": "${{ version }}"},
        "source": {
            "url": "https://pypi.org/packages/source/l/lnca/lnca-${{ version }}.tar.gz",
            "sha256": digest(facts.sdist),
        },
        "build": {
            "number": 0,
            "python": {"entry_points": [f"{name} = {where}" for name, where in facts.project["scripts"].items()]},
            "script": {
                "env": {"LNCA_KERNELS": KERNELS},
                "content": "${{ PYTHON }} -m pip install . -vv --no-deps --no-build-isolation",
            },
        },
        "requirements": {
            "build": [
                {"if": "not win", "then": ["${{ compiler('cxx') }}", "${{ stdlib('c') }}"]},
                {"if": "build_platform != target_platform", "then": ["python", "cross-python_${{ target_platform }}"]},
            ],
            "host": ["python", "pip", *(spaced(each) for each in build_requirements())],
            "run": [f"python {lowest}", *run],
        },
        "tests": [
            {"python": {"imports": ["lnca"], "pip_check": True}},
            {"script": ["lnca --version", "lnca demo --out demo"]},
        ],
        "about": {
            "homepage": facts.repository,
            "repository": facts.repository,
            "summary": facts.project["description"],
            "license": facts.licence,
            "license_file": facts.project["license-files"][0],
        },
        "extra": {"recipe-maintainers": [facts.owner]},
    }


def build_requirements() -> list[str]:
    """The build requirements in pyproject.toml."""
    found: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    return found


def spaced(requirement: str) -> str:
    """A requirement in conda's notation, such as "numpy >=2.0"."""
    match = REQUIREMENT.fullmatch(requirement)
    assert match is not None, requirement
    name, bounds = match.groups()
    return f"{name} {bounds}".strip()
