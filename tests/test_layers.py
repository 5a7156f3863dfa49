"""Imports go down the list of layers in docs/architecture.md."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "lnca"
SOURCES = sorted(PACKAGE.rglob("*.py"))


def layers() -> dict[str, int]:
    """The line of each module and package of lnca, from the top."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    block = text.partition("```layers\n")[2].partition("```")[0]
    lines = [line.partition("  ")[0].split() for line in block.splitlines()]
    return {name: number for number, names in enumerate(lines) for name in names}


def name_of(path: Path) -> str:
    """The name of the module or package directly below lnca."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yields line numbers and the part of lnca that is imported there, at the top of a module or in a function."""
    package = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            targets = [name.name.split(".") for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ["lnca", *package[: len(package) - node.level + 1]] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            targets = [[*module, name.name] for name in node.names]
        else:
            continue
        for target in targets:
            if target[0] == "lnca":
                name = target[1] if len(target) > 1 else "__init__"
                there = (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()
                yield node.lineno, name if there else "__init__"


def test_every_module_has_a_layer():
    assert set(layers()) == {name_of(path) for path in SOURCES}


def test_no_import_goes_up():
    found = layers()
    up = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in SOURCES
        for line, name in imported(path)
        if name != name_of(path) and found[name] <= found[name_of(path)]
    ]
    assert not up, "\n".join(up)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from ..cli import app", "cli"),
        ("def f():\n    from .. import metrics", "metrics"),
        ("import lnca.paper.tables", "paper"),
        ("from lnca import restore", "__init__"),
        ("from ..errors import LncaError", "errors"),
    ],
)
def test_lazy_and_absolute_imports_are_seen(text, name, monkeypatch):
    path = PACKAGE / "nn" / "latent.py"
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: text)
    assert [found for _, found in imported(path)] == [name]
