"""Facts about lnca and its models for all hosts, from pyproject.toml, CITATION.cff, the cards of the weight files, and
the results of the public benchmarks. Figures and licences are written nowhere else."""

import json
import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from lnca.catalogue import ModelInfo, models
from lnca.errors import LncaError
from lnca.runtime.weights import identity
from lnca.version import __version__

ROOT = Path(__file__).resolve().parents[2]
# Placeholder for the account that publishes.
OWNER = "OWNER"
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts of one release.

    Args:
        owner: the account on GitHub and on the hub.
        date: date of the release, yyyy-mm-dd.
        sdist: the source archive.
        judges: the content of benchmarks/results/judges.json.

    Raises:
        LncaError: the date has another form, or there is no source archive of this version.
    """

    owner: str
    date: str
    sdist: Path
    judges: dict[str, Any]

    def __post_init__(self) -> None:
        if not DATE.fullmatch(self.date):
            raise LncaError(f"the date should be written yyyy-mm-dd, got {self.date!r}")
        if self.sdist.name != f"lnca-{__version__}.tar.gz" or not self.sdist.is_file():
            raise LncaError(f"{self.sdist} is not the source archive of lnca {__version__}; python -m build --sdist")

    version = __version__

    @property
    def repository(self) -> str:
        """URL of the repository."""
        return f"https://github.com/{self.owner}/lnca"

    @cached_property
    def project(self) -> dict[str, Any]:
        """The table [project] of pyproject.toml."""
        found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        return found

    @cached_property
    def paper(self) -> str:
        """URL of the paper."""
        return str(yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["preferred-citation"]["url"])

    @property
    def licence(self) -> str:
        """The licence of the code, an SPDX expression."""
        return str(self.project["license"])

    def hub(self, model: str, name: str = "") -> str:
        """URL of a model on the hub, or of one of its files."""
        page = f"https://huggingface.co/{self.owner}/{model}"
        return f"{page}/resolve/main/{name}" if name else page

    def judged(self, info: ModelInfo) -> bool:
        """Whether the public benchmarks have scores of a model.

        Raises:
            LncaError: the scores belong to other weights with the same name.
        """
        method = self.judges["methods"].get(info.name)
        if method is not None and method["identity"] != identity(info):
            raise LncaError(
                f"benchmarks/results/judges.json has scores of other weights of {info.name}; "
                f"run benchmarks/judges.py --methods {info.name} first"
            )
        return method is not None


def shipped(names: list[str] | None = None) -> list[ModelInfo]:
    """The shipped models, or those with the given names.

    Raises:
        LncaError: a model does not exist.
    """
    found = {info.name: info for info in models()}
    if missing := [name for name in names or [] if name not in found]:
        raise LncaError(f"no model {missing[0]!r}; there are {', '.join(found)}")
    return [found[name] for name in names or found]


def judges(path: Path = ROOT / "benchmarks" / "results" / "judges.json") -> dict[str, Any]:
    """The results of the public benchmarks."""
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return sha256(path.read_bytes()).hexdigest()
