"""Scores denoisers picture by picture on public sets, and keeps the scores in a file.

The file has a score for each method, condition (a key such as "papers/colour/CBSD68/25") and picture. So a run
continues where another one ended, and only computes missing scores.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import LncaError
from ..evaluation.drawn import drawn_pictures
from ..evaluation.protocols import PROTOCOLS, SIGMAS, noisy, score
from ..evaluation.public_sets import read, real_pairs, set_pictures
from ..files import write_whole
from .denoisers import Denoiser

# Version of drawing noise and scoring; results of another version are dropped.
VERSION = 1
PARTS = ("papers", "users", "grey", "real", "levels", "clean", "steps")
# Seconds between two writes of the result file.
PATIENCE = 10.0
# Sigma of the noise for the table of PSNR against steps.
STEPS_SIGMA = 25


class Material(NamedTuple):
    """The input of a method, float, and the clean reference, uint8."""

    given: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class Trial:
    """One picture and how to restore it.

    Args:
        key: the condition.
        picture: name of the picture.
        make: reads the picture and draws the noise.
        level: the noise level that the method gets, or None.
        steps: number of steps; None means the model's own number.
    """

    key: str
    picture: str
    make: Callable[[], Material]
    level: float | None = None
    steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class Judges:
    """The test pictures: their folders, and how many of them to use.

    Args:
        benchmarks: folder with a folder for each of `SETS`.
        real: folder of real pairs.
        sets: names of the sets.
        every: use every n-th picture of a set.
        every_real: use every n-th pair.
    """

    benchmarks: Path
    real: Path
    sets: Sequence[str]
    every: int = 1
    every_real: int = 1

    def trials(self, part: str, method: Denoiser) -> Iterator[Trial]:
        """The trials of a part for a method, as far as the method supports them.

        Raises:
            LncaError: the part, a set or the pairs do not exist.
        """
        if part not in PARTS:
            raise LncaError(f"no part {part!r}; there are {', '.join(PARTS)}")
        if part == "real":
            yield from self._real(method, [None] if method.blind else [])
        elif part == "levels":
            yield from self._real(method, method.levels)
        elif part == "clean":
            yield from self._clean(method)
        elif part == "steps":
            yield from self._steps(method)
        elif part == "grey":
            yield from self._gaussian(method, list(PROTOCOLS), grey=True)
        else:
            yield from self._gaussian(method, [name for name in PROTOCOLS if name.startswith(part)], grey=False)

    def _gaussian(self, method: Denoiser, protocols: list[str], grey: bool) -> Iterator[Trial]:
        if not (method.grey if grey else method.colour):
            return
        kind = "grey" if grey else "colour"
        for name in protocols:
            protocol = PROTOCOLS[name]
            if not (method.told if protocol.told else method.blind):
                continue
            # Already scored under "users".
            if protocol.clipped and protocol.told and not method.heeds:
                continue
            for chosen in self.sets:
                for sigma in SIGMAS:
                    for path in set_pictures(self.benchmarks, chosen, self.every):
                        make = _gaussian(path, chosen, sigma, protocol.clipped, grey)
                        level = sigma if protocol.told else None
                        yield Trial(f"{name}/{kind}/{chosen}/{sigma}", path.stem, make, level)

    def _real(self, method: Denoiser, levels: Sequence[float | None]) -> Iterator[Trial]:
        if not method.colour:
            return
        for level in levels:
            key = "real" if level is None else f"real/{level:g}"
            for pair in real_pairs(self.real, self.every_real):
                yield Trial(key, pair.noisy.stem.removesuffix("_real"), _read(pair.noisy, pair.truth), level)

    def _clean(self, method: Denoiser) -> Iterator[Trial]:
        if not (method.blind and method.colour):
            return
        for name in self.sets:
            for path in set_pictures(self.benchmarks, name, self.every):
                yield Trial(f"clean/{name}", path.stem, _read(path, path))
        for name, picture in drawn_pictures().items():
            yield Trial("clean/drawn", name, _same(picture))

    def _steps(self, method: Denoiser) -> Iterator[Trial]:
        """Real pairs, and the first set with the noise of 8-bit files, without a noise level."""
        if method.stepped is None or method.steps is None:
            return
        name = self.sets[0]
        for steps in step_counts(method.steps):
            for path in set_pictures(self.benchmarks, name, self.every):
                make = _gaussian(path, name, STEPS_SIGMA, True, False)
                yield Trial(f"steps/{name}/{STEPS_SIGMA}/{steps}", path.stem, make, steps=steps)
            for pair in real_pairs(self.real, self.every_real):
                picture = pair.noisy.stem.removesuffix("_real")
                yield Trial(f"steps/real/{steps}", picture, _read(pair.noisy, pair.truth), steps=steps)


def step_counts(trained: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, ..., up to four times the number of steps in training, including both numbers."""
    most = 4 * trained
    doubled = [base << power for base in (1, 3) for power in range(most.bit_length())]
    return sorted({count for count in [*doubled, trained, most] if count <= most})


def _gaussian(path: Path, name: str, sigma: int, clipped: bool, grey: bool) -> Callable[[], Material]:
    def make() -> Material:
        truth = read(path, grey)
        return Material(noisy(truth, sigma, clipped, name, path.stem), truth)

    return make


def _read(given: Path, truth: Path) -> Callable[[], Material]:
    return lambda: Material(read(given) / 255, read(truth))


def _same(picture: np.ndarray) -> Callable[[], Material]:
    return lambda: Material(picture / 255, picture)


class Record:
    """Scores in a file. Several processes may write to it, each for other methods.

    Args:
        path: JSON file; created if it does not exist.

    Attributes:
        methods: entries by name: {"identity", "parameters", "operations", "refusal", "heeds", "steps", "rows": key ->
            picture -> [PSNR, SSIM]}.
    """

    def __init__(self, path: Path):
        self.path = path
        self._changed: set[str] = set()
        self._written = time.monotonic()
        self.methods: dict[str, Any] = self.read()["methods"]

    def begin(self, method: Denoiser) -> None:
        """Adds a method; drops scores of the method with another identity."""
        kept = self.methods.get(method.name, {})
        rows = kept.get("rows", {}) if kept.get("identity") == method.identity else {}
        self.methods[method.name] = {
            "identity": method.identity,
            "parameters": method.parameters,
            "operations": method.operations,
            "refusal": method.refusal,
            "heeds": method.heeds,
            "steps": method.steps,
            "rows": rows,
        }
        self._changed.add(method.name)

    def has(self, method: Denoiser, trial: Trial) -> bool:
        """Whether the file has the score of a trial."""
        return trial.picture in self.methods[method.name]["rows"].get(trial.key, {})

    def put(self, method: Denoiser, trial: Trial, scores: tuple[float, float]) -> None:
        """Stores a score: PSNR and SSIM."""
        rows = self.methods[method.name]["rows"].setdefault(trial.key, {})
        rows[trial.picture] = [round(scores[0], 3), round(scores[1], 4)]
        if time.monotonic() - self._written > PATIENCE:
            self.write()

    def write(self, **more: Any) -> None:
        """Writes the methods of this process, and keeps those of others in the file.

        Args:
            more: further parts of the file; each is merged with the existing part.
        """
        content = self.read()
        content["methods"].update({name: self.methods[name] for name in self._changed})
        for name, part in more.items():
            content.setdefault(name, {}).update(part)
        write_whole(self.path, (as_text(content) + "\n").encode())
        self._written = time.monotonic()

    def read(self) -> dict[str, Any]:
        """The file's content; empty if the file has another version or does not exist."""
        empty: dict[str, Any] = {"version": VERSION, "methods": {}}
        if not self.path.exists():
            return empty
        try:
            content = json.loads(self.path.read_text("utf-8"))
            found, _ = content["version"], content["methods"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LncaError(f"{self.path} is no result file of the judges; move it away or name another") from error
        return content if found == VERSION else empty


def as_text(value: Any, depth: int = 0) -> str:
    """JSON with one line for each innermost dictionary."""
    if not isinstance(value, dict) or not any(isinstance(part, dict) for part in value.values()):
        return json.dumps(value)
    lines = [f"{' ' * (depth + 1)}{json.dumps(key)}: {as_text(part, depth + 1)}" for key, part in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"


def judge(
    method: Denoiser, trials: Iterable[Trial], record: Record, report: Callable[[Trial], object] = lambda trial: None
) -> None:
    """Computes the scores that the record lacks, and writes them.

    Args:
        report: called before each trial.
    """
    record.begin(method)
    try:
        for trial in trials:
            report(trial)
            if not record.has(method, trial):
                record.put(method, trial, _scored(method, trial))
    finally:
        record.write()


def _scored(method: Denoiser, trial: Trial) -> tuple[float, float]:
    given, truth = trial.make()
    if trial.steps is None:
        return score(method.run(given, trial.level), truth)
    assert method.stepped is not None
    return score(method.stepped(given, trial.steps), truth)
