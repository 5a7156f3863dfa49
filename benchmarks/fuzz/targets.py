"""The tests for each kind of input.

A target prepares its folder, draws input from a Hypothesis strategy, and tries it: it must give a result or one
sentence. Everything else is raised: another exception, a message of several lines, a file where none belongs.
"""

import contextlib
import hashlib
import io
import json
import math
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from hypothesis import strategies as st
from PIL import Image

import lnca
from lnca.images.formats import FORMATS
from lnca.nn.public import read_public
from lnca.restoration.batch import RestoreOptions, restore_file
from lnca.restoration.jobs import Job
from lnca.training.checkpoint import MARK, checkpoints, open_checkpoint, read_checkpoint, write_checkpoint
from lnca.training.plan import Plan
from lnca.training.recipe import load_recipe
from lnca.training.run import Interrupted, Run

from . import corpus
from .checks import PIXELS, Wrong, names, only, sentence, small_weights
from .command_lines import CommandLines
from .mutations import apply, changes, with_checksums


class Target(Protocol):
    """One kind of input; `outcomes` names the allowed results."""

    strategy: st.SearchStrategy[Any]

    def attempt(self, example: Any) -> str:
        """Tries one example; returns its outcome; raises if a requirement is violated."""


class Pictures:
    """Mutated picture files through `restore`: read, restored, and written in any format."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.files = corpus.pictures()
        self.options = RestoreOptions(str(small_weights(folder)), device="cpu", max_pixels=PIXELS)
        count = len(self.files) - 1
        self.strategy = st.tuples(
            st.integers(0, count), st.integers(0, count), changes(3), st.booleans(), st.sampled_from([None, *FORMATS])
        )

    def attempt(self, example: Any) -> str:
        chosen, other, made, mended, output = example
        suffix, content = self.files[chosen]
        content = apply(content, made, self.files[other][1])
        if mended and suffix == ".png":
            content = with_checksums(content)
        source = self.folder / "in" / f"a{suffix}"
        out = self.folder / "out" / f"a{output or (suffix if suffix in FORMATS else '.tif')}"
        for path in (source.parent, out.parent):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        source.write_bytes(content)
        record = restore_file(Job(source, out, out.parent), self.options)
        found = names(out.parent)
        if record.error is not None:
            sentence(record.error)
        if found != (set() if record.error is not None else {out.name}) or names(source.parent) != {source.name}:
            raise Wrong(f"files: {sorted(found)} after {record.error or 'a result'}")
        if record.error is not None:
            return "does not fit" if "does not fit into memory" in record.error else "refused"
        # Width and height of the first frame; others may be smaller.
        if record.width * record.height > PIXELS:
            raise Wrong(f"{record.width}x{record.height} pixels beyond the limit")
        return "restored"


# Wrong values for a field.
ODD = st.one_of(
    st.sampled_from([0, 1, -1, 2, 3, 8, 64, 4096, 2**20, 2**31, 2**63, 10**400, 0.5, 1e308, math.nan, math.inf, None]),
    st.sampled_from(["", "4", "none", "os.system", "lnca:Restorer", "\ud800", "a" * 5000, True]),
    st.sampled_from([[], {}, [1, 2], [10**9], [[[]]], {"a": {}}]),
    st.lists(st.integers(-2, 2**40), max_size=20),
)

# Marks a value that is removed.
GONE = "gone"


class Weights:
    """Mutated weight files through `load`: changed bytes, and whole files with a wrong header."""

    def __init__(self, folder: Path):
        self.path = folder / "a.safetensors"
        self.folder = folder
        self.made = corpus.weights()
        self.files = [corpus.weight_file(*parts) for parts in self.made]
        fields = sorted({field for header, _ in self.made for field in header["settings"]})
        count = len(self.files) - 1
        lies = st.lists(
            st.tuples(st.sampled_from(["version", "architecture", "settings", "card", *fields]), ODD), max_size=2
        )
        self.strategy = st.one_of(
            st.tuples(st.just("bytes"), st.integers(0, count), st.integers(0, count), changes(2)),
            st.tuples(st.just("header"), st.integers(0, count), lies, changes(2) | st.just([])),
        )
        self.picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    def attempt(self, example: Any) -> str:
        self.path.write_bytes(self._content(example))
        try:
            model = lnca.load(self.path, "cpu")
            restored = model.restore(self.picture)
        except lnca.LncaError as error:
            sentence(error)
            return "refused"
        finally:
            only(self.folder, {self.path.name})
        if restored.shape != self.picture.shape:
            raise Wrong(f"a picture of another shape: {tuple(restored.shape)}")
        return "loaded"

    def _content(self, example: Any) -> bytes:
        if example[0] == "bytes":
            _, chosen, other, made = example
            return apply(self.files[chosen], made, self.files[other])
        _, chosen, lies, made = example
        header, tensors = self.made[chosen]
        settings = dict(header["settings"])
        lying = {**header, "settings": settings}
        for field, value in lies:
            (lying if field in header else settings)[field] = value
        text = json.dumps(lying).encode()
        text = apply(text, made, text)
        # safetensors' own header is JSON too, and holds ours as a string; it begins with its length.
        body = corpus.weight_file({}, tensors)
        (length,) = struct.unpack_from("<Q", body)
        outer = json.loads(body[8 : 8 + length])
        outer["__metadata__"]["lnca"] = text.decode("utf-8", "replace")
        written = json.dumps(outer).encode()
        return struct.pack("<Q", len(written)) + written + body[8 + length :]


class Checkpoints:
    """Mutated checkpoints of a stopped run through `--resume`: changed bytes, with a right or a wrong checksum, or
    changed fields, written again. And mutated public checkpoints (.pth) through the reader of `lnca convert`."""

    def __init__(self, folder: Path):
        self.folder = folder
        data = folder / "data"
        data.mkdir()
        for number in range(5):
            Image.fromarray(corpus.noise(3, seed=number)).resize((40, 40)).save(data / f"{number}.png")
        small = ", ".join(f"{name}: {value}" for name, value in corpus.SMALL["latent-nafca"].items())
        recipe = load_recipe(
            "stable",
            [
                "batch_size=2",
                "tile=32",
                "training_tiles=4",
                "validation_tiles=2",
                "autoencoder.epochs=0",
                "automaton.epochs=2",
                "automaton.pool=2",
                "automaton.fewest_steps=1",
                "automaton.most_steps=1",
                f"model.latent-nafca={{{small}}}",
            ],
        )
        self.plan = Plan("latent-nafca", "denoise", data, recipe)
        self.place = folder / "run"
        self.run = Run(self.plan, self.place, progress=self._stop)
        with contextlib.suppress(Interrupted):
            self.run()
        self.path, *older = checkpoints(self.place)
        for path in older:
            path.unlink()
        self.step = self.run.position["step"]
        whole = self.path.read_bytes()
        self.public = folder / "a.pth"
        saved, old = io.BytesIO(), io.BytesIO()
        torch.save({"params": lnca.build("nafnet", **corpus.SMALL["nafnet"]).state_dict()}, saved)
        torch.save({"params": self.run.model.state_dict()}, old, _use_new_zipfile_serialization=False)
        self.files = [whole, whole.split(b"\n", 2)[2], saved.getvalue(), old.getvalue()]
        self.public.touch()
        self.before = names(folder)
        count = len(self.files) - 1
        made = st.tuples(st.integers(0, count), st.integers(0, count), changes(4), st.booleans())
        fields = list(_fields(open_checkpoint(self.path)))
        lies = st.lists(st.tuples(st.sampled_from(fields), ODD | st.just(GONE)), min_size=1, max_size=2)
        self.strategy = made | lies

    def _stop(self, *_: Any) -> None:
        self.run.interrupt()

    def attempt(self, example: Any) -> str:
        if isinstance(example, list):
            self.path.write_bytes(self.files[0])
            content = open_checkpoint(self.path)
            for place, value in example:
                _lie(content, place, value)
            try:
                write_checkpoint(self.place, self.step, content)
            # Some wrong values cannot be written.
            except (ValueError, OverflowError, UnicodeError):
                return "refused"
            reads: list[Callable[[], object]] = [self._resume]
        else:
            chosen, other, made, signed = example
            data = apply(self.files[chosen], made, self.files[other])
            self.public.write_bytes(data)
            digest = hashlib.sha256(data).hexdigest().encode()
            self.path.write_bytes(MARK + digest + b"\n" + data if signed else data)
            reads = [self._resume, lambda: read_public(self.public)]
        outcome = "refused"
        for read in reads:
            try:
                read()
                outcome = "loaded"
            except lnca.LncaError as error:
                sentence(error)
        only(self.folder, self.before)
        return outcome

    def _resume(self) -> None:
        """Resumes like a new `Run`, without opening the pictures again."""
        saved = read_checkpoint(self.place, self.plan, True)
        assert saved is not None
        self.run._restore(saved)


def _fields(content: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the positions of all values in nested dictionaries."""
    for key, value in content.items():
        yield (*place, key)
        if isinstance(value, dict):
            yield from _fields(value, (*place, key))


def _lie(content: Any, place: tuple[Any, ...], value: Any) -> None:
    """Sets a value in nested dictionaries if its position still exists; `GONE` removes it."""
    *outer, last = place
    for key in outer:
        content = content.get(key) if isinstance(content, dict) else None
    if isinstance(content, dict):
        content[last] = value
        if value is GONE:
            del content[last]


FIELDS = (
    "batch_size",
    "tile",
    "automaton.epochs",
    "residual.optimizer.learning_rate",
    "model",
    "model.lnca",
    "compile",
    "automaton.output_range",
    "name",
    "name.first",
    "",
    ".",
    "a.b.c",
    "denoise",
    "denoise.first",
)
YAML = (
    "!!python/object/apply:os.getcwd []",
    "{a: [",
    "*a",
    "&a 1",
    "2026-01-01",
    "0x10",
    "1_000",
    "~",
    "- 1",
    "\t",
)


class Recipes:
    """Mutated recipes and changes to them (`--set`), up to the first step of a training, which writes them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "recipe.yaml"
        self.texts = [text.encode() for text in corpus.recipes()]
        count = len(self.texts) - 1
        values = ODD.map(lambda value: repr(value).encode("utf-8", "replace").decode()) | st.sampled_from(YAML)
        sets = st.lists(st.tuples(st.sampled_from(FIELDS), values).map("=".join) | st.text(max_size=20), max_size=2)
        self.strategy = st.tuples(st.integers(0, count), st.integers(0, count), changes() | st.just([]), sets)

    def attempt(self, example: Any) -> str:
        chosen, other, made, sets = example
        self.path.write_bytes(apply(self.texts[chosen], made, self.texts[other]))
        try:
            recipe = load_recipe(str(self.path), sets)
            json.dumps(Plan("lnca", "denoise", self.folder, recipe).describe())
            for name, settings in recipe.model.items():
                lnca.build(name, **{str(key): value for key, value in settings.items()})
        except lnca.LncaError as error:
            sentence(error)
            return "refused"
        finally:
            only(self.folder, {self.path.name})
        return "read"


TARGETS: dict[str, Callable[[Path], Target]] = {
    "pictures": Pictures,
    "weights": Weights,
    "checkpoints": Checkpoints,
    "recipes": Recipes,
    "command lines": CommandLines,
}
