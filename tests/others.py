"""The real spandrel and deepinv, for tests."""

import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from unittest.mock import MagicMock

import pytest

# Parts of torchvision that the two libraries import. It needs a matching build of torch, and no test calls it.
NAMES = ("", ".transforms", ".transforms.functional", ".utils", ".datasets", ".datasets.folder", ".datasets.utils")


class NamesOnly(ModuleType):
    """A module that has every public name, without any content."""

    def __init__(self, name):
        super().__init__(name)
        self.__path__ = []
        self.__spec__ = ModuleSpec(name, None, is_package=True)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=name)


def need(library, monkeypatch):
    """The library, or the test is skipped where it is not installed; where torchvision is not, only its names are there
    for as long as the test runs."""
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    if "torchvision" not in sys.modules and find_spec("torchvision") is None:
        for name in NAMES:
            monkeypatch.setitem(sys.modules, f"torchvision{name}", NamesOnly(f"torchvision{name}"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(library)
