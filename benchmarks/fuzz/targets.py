"""What is tried with each kind of input, and what must hold of it.

A target makes its folder ready, draws input by a Hypothesis strategy, and tries it: a result or one sentence. Whatever
else comes of it is raised: another exception, a sentence of several lines, a file where none belongs.
"""

import contextlib
import io
import json
import math
import os
import shutil
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from hypothesis import strategies as st

import lnca
from lnca.cli import main
from lnca.nn.public import read_public
from lnca.nn.weights_file import save_weights
from lnca.restoration.batch import Job, Way, restore_file
from lnca.restoration.photo_write import FORMATS
from lnca.training.checkpoint import NAME, read_checkpoint, write_checkpoint
from lnca.training.plan import Plan
from lnca.training.recipe import Recipe, load_recipe

from . import corpus
from .mutations import apply, changes, with_checksums

PIXELS = 2**20


class Wrong(AssertionError):
    """What must not be."""


class Target(Protocol):
    """One kind of input; `outcomes` names what may come of it."""

    strategy: st.SearchStrategy[Any]

    def attempt(self, example: Any) -> str:
        """Tries one example; says in a word what came of it; raises when it is not what must be."""


def sentence(error: object) -> None:
    """Raises `Wrong` unless an error's text is one line a person can read."""
    text = str(error)
    if not text.strip() or "\n" in text or len(text) > 2000 or "Traceback" in text:
        raise Wrong(f"no sentence: {text[:300]!r}")


def small_weights(folder: Path) -> Path:
    """A weight file of a small model that changes pictures."""
    name, settings = "latent-nafca", corpus.SMALL["latent-nafca"]
    torch.manual_seed(0)
    model: Any = lnca.build(name, **settings)
    torch.nn.init.normal_(model.automaton.head.weight, std=0.05)
    path = folder / "small.safetensors"
    save_weights(path, model, name, settings, {"task": "denoise"})
    return path


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


class Pictures:
    """Mutated picture files through `restore`: read, restored, and written in any format."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.files = corpus.pictures()
        self.way = Way(str(small_weights(folder)), "cpu", max_pixels=PIXELS)
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
        record = restore_file(Job(source, out, out.parent), self.way)
        found = names(out.parent)
        if record.error is not None:
            sentence(record.error)
        if found != (set() if record.error is not None else {out.name}) or names(source.parent) != {source.name}:
            raise Wrong(f"files: {sorted(found)} after {record.error or 'a result'}")
        if record.error is not None:
            return "does not fit" if "does not fit into memory" in record.error else "refused"
        if record.width * record.height * record.frames > PIXELS:
            raise Wrong(f"{record.width}x{record.height}x{record.frames} pixels beyond the limit")
        return "restored"


ODD = st.one_of(
    st.sampled_from([0, 1, -1, 2, 3, 8, 64, 4096, 2**20, 2**31, 2**63, 10**400, 0.5, 1e308, math.nan, math.inf, None, True]),
    st.sampled_from(["", "4", "none", "os.system", "lnca:Restorer", "\ud800", "a" * 5000, [], {}, [1, 2], [10**9], [[[]]], {"a": {}}]),
    st.lists(st.integers(-2, 2**40), max_size=20),
)  # fmt: skip


class Weights:
    """Mutated weight files through `load`: bytes that were changed, and whole files whose header lies."""

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
            if names(self.folder) != {self.path.name}:
                raise Wrong(f"files: {sorted(names(self.folder))}")
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
        # safetensors' own header is JSON too, in which ours is a string; its length stands first.
        body = corpus.weight_file({}, tensors)
        (length,) = struct.unpack_from("<Q", body)
        outer = json.loads(body[8 : 8 + length])
        outer["__metadata__"]["lnca"] = text.decode("utf-8", "replace")
        written = json.dumps(outer).encode()
        return struct.pack("<Q", len(written)) + written + body[8 + length :]


class Checkpoints:
    """Mutated checkpoints through `--resume`, and mutated public checkpoints (.pth) through `lnca convert`'s reader."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.plan = Plan("latent-nafca", "denoise", folder / "data", Recipe())
        torch.manual_seed(0)
        state = lnca.build("latent-nafca", **corpus.SMALL["latent-nafca"]).state_dict()
        content = {
            "plan": self.plan.describe(), "phase": 1, "epoch": 2, "batch": 3, "model": state, "best": None,
            "history": [{"epoch": 1, "ssim": 0.5}], "optimizer": {"state": {0: {"exp_avg": torch.zeros(8)}}},
            "pool": torch.zeros(4, 3, 8, 8, dtype=torch.uint8),
        }  # fmt: skip
        write_checkpoint(folder / "whole", content)
        public = io.BytesIO()
        torch.save({"params": lnca.build("nafnet", **corpus.SMALL["nafnet"]).state_dict()}, public)
        old = io.BytesIO()
        torch.save({"params": state}, old, _use_new_zipfile_serialization=False)
        self.files = [(folder / "whole" / NAME).read_bytes(), public.getvalue(), old.getvalue()]
        self.before = names(folder)
        (folder / "run").mkdir()
        self.strategy = st.tuples(st.integers(0, 2), st.integers(0, 2), changes())

    def attempt(self, example: Any) -> str:
        chosen, other, made = example
        content = apply(self.files[chosen], made, self.files[other])
        path = self.folder / "run" / NAME
        path.write_bytes(content)
        public = self.folder / "a.pth"
        public.write_bytes(content)
        outcome = "refused"
        for read in (lambda: read_checkpoint(path.parent, self.plan, True), lambda: read_public(public)):
            try:
                read()
                outcome = "loaded"
            except lnca.LncaError as error:
                sentence(error)
        added = names(self.folder) - self.before
        if added != {"run", f"run/{NAME}", "a.pth"}:
            raise Wrong(f"files: {sorted(added)}")
        return outcome


class Recipes:
    """Mutated recipes and changes to them (`--set`), as far as a training's first step: they are written down."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "recipe.yaml"
        self.texts = [text.encode() for text in corpus.recipes()]
        count = len(self.texts) - 1
        fields = ["batch_size", "tile", "automaton.epochs", "residual.optimizer.learning_rate", "model", "model.lnca",
                  "automaton.output_range", "name", "name.first", "", ".", "a.b.c", "denoise", "denoise.first", "compile"]  # fmt: skip
        values = ODD.map(lambda value: repr(value).encode("utf-8", "replace").decode()) | st.sampled_from(
            [
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
            ]
        )
        sets = st.lists(st.tuples(st.sampled_from(fields), values).map("=".join) | st.text(max_size=20), max_size=2)
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
            if names(self.folder) != {self.path.name}:
                raise Wrong(f"files: {sorted(names(self.folder))}")
        return "read"


@dataclass(frozen=True)
class Command:
    """A command's words: those it begins with, arguments drawn from some kinds, options with theirs, and words that
    keep it short, because what it does well takes minutes."""

    words: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    always: tuple[str, ...] = ()


RESTORE = (
    ("-o", "out"), ("--model", "model"), ("--steps", "number"), ("--strength", "number"), ("--region", "region"),
    ("--mask", "file"), ("--tolerance", "number"), ("--heat-map", "out"), ("--compare", "out"), ("--frames", "out"),
    ("--device", "text"), ("--backend", "text"), ("--precision", "text"), ("--max-memory", "size"), ("--manifest", "out"),
    ("--max-pixels", "number"), ("--plan", ""), ("--dry-run", ""), ("--quiet", ""), ("--json", ""), ("--overwrite", ""),
)  # fmt: skip
COMMANDS = (
    Command(("restore",), ("file",), RESTORE),
    Command(("restore",), ("file", "file"), RESTORE),
    Command(("corrupt",), ("file",), (("-o", "out"), ("--noise", "number"), ("--blur", "number"), ("--seed", "number"), ("--overwrite", ""))),
    Command(("compare",), ("file", "file"), (("--json", ""), ("--max-pixels", "number"))),
    Command(("train",), (), (
        ("--model", "text"), ("--task", "text"), ("--recipe", "file"), ("--set", "text"), ("--seed", "number"),
        ("--batch-size", "number"), ("--epochs", "number"), ("--init", "model"), ("--device", "text"), ("--resume", ""),
    ), ("--data", "one", "--out", "out/run")),
    Command(("evaluate",), (), (
        ("--model", "model"), ("--split", "text"), ("--task", "text"), ("--difficulty", "number"), ("--steps", "small"),
        ("--seed", "number"), ("--device", "text"), ("--json", ""),
    ), ("--data", "one", "--limit", "1")),
    Command(("convert",), ("file",), (("-o", "out"), ("--model", "text"), ("--overwrite", ""))),
    Command(("models",), (), (("--json", ""),)),
    Command(("data", "list"), ("set",), (("--json", ""),)),
    Command(("data", "check"), ("set", "file"), (("--decode", ""),)),
    Command(("data", "prepare"), ("set", "file"), (("--side", "number"), ("--whole", ""), ("--skip-broken", "")), ("--out", "out/tiles", "--workers", "1")),
    Command(("export",), (), (("--out", "out"), ("--model", "text"), ("--variants", "text")), ("--format", "none")),
    Command(("demo",), (), (("--out", "out"),), ("--nothing",)),
    Command(("bench",), ("text",), (("--size", "number"),), ("--nothing",)),
    Command(("paper",), ("text",), (("--out", "out"),), ("--nothing",)),
    Command((), ("text",), (("--version", ""), ("--help", ""), ("text", "text"))),
)  # fmt: skip


class CommandLines:
    """Command lines of words that belong there and words that do not, run in this process in a folder of their own."""

    def __init__(self, folder: Path):
        # One deeper, so that what would go beside the folder itself is seen.
        self.folder, folder = folder, folder / "work"
        self.work = folder
        for name in ("one", "in", "out"):
            (folder / name).mkdir(parents=True)
        suffix, content = corpus.pictures()[5]
        odd = ["a\nb", "\udcff", "-x", "a b", "ä" * 40, "$(id)", "%s", "*[?]"]
        for name in ("a", *odd):
            (folder / "in" / f"{name}{suffix}").write_bytes(content)
        (folder / "one" / f"a{suffix}").write_bytes(content)
        (folder / "in" / "broken.jpg").write_bytes(content[:90])
        (folder / "in" / "empty.png").write_bytes(b"")
        (folder / "recipe.yaml").write_text(corpus.recipes()[0])
        (folder / "loop.png").symlink_to("loop.png")
        small_weights(folder)
        inside = [f"in/{name}{suffix}" for name in ("a", *odd)]
        missing = ["nowhere.png", "", "a" * 300 + ".png", "loop.png/x", "in/a.png/x", "~", "/dev/null", "-"]
        files = st.sampled_from(
            [
                *inside,
                "in/broken.jpg",
                "in/empty.png",
                "in",
                "one",
                "in/*.png",
                "recipe.yaml",
                "small.safetensors",
                "loop.png",
            ]
        )
        kinds: dict[str, st.SearchStrategy[str]] = {
            "file": files | st.sampled_from(missing),
            "out": st.sampled_from(["out/a.png", "out/a.jpg", "out/b/c.tif", "out", "out/x", "out/a.txt", "in/a.png/x.png", "out/\udcfe.png", "out/" + "b" * 300 + ".png", "out/a.safetensors", "out/a.mp4", "out/a.gif", "out/a\n.png", "-"]),
            "model": st.sampled_from(["small.safetensors", "photo-denoise", "in/a.png", "nothing", "recipe.yaml", "in", ""]),
            "number": st.sampled_from(["0", "1", "2", "-1", "0.5", "1e309", "nan", "inf", "9" * 40, "٣", "²", "auto", "0x1", "1_0", " 1", "", "-0.0"]),
            "small": st.sampled_from(["0", "1", "-1", "x"]),
            "size": st.sampled_from(["1", "10MB", "2GB", "-1", "1e9", "GB", "9" * 400 + "TB", "nan", "0.1.2KB", ""]),
            "region": st.sampled_from(["0,0,8,8", "1,2,3", "9,9,9,9", "0,0,0,0", "-1,0,5,5", "a,b,c,d", "٣,0,5,5", "9" * 30 + ",0,1,1", "²,1,1,1", ""]),
            "set": st.sampled_from(["folder", "pairs", "celeba", "cifar10", "tiny-imagenet", "renoir", "sid", "gopro", "realblur-j", "realblur-r", "hf:", "hf:?x=1", "hf:nowhere.parquet", "nothing", ""]),
            "text": st.sampled_from(["", "cpu", "cuda", "cuda:99", "plain", "fused", "float32", "bfloat16", "denoise", "photo-denoise", "nafnet", "lnca", "latent-nafca", "train", "all", "test", "automaton.epochs=1", "model.lnca={steps: 1}", "x=!!python/name:os.system", "a\nb", "\udcff", "--"]) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
            "": st.just(""),
        }  # fmt: skip

        def line(command: Command) -> st.SearchStrategy[list[str]]:
            arguments = st.tuples(*(kinds[kind] for kind in command.arguments)).map(list)
            option = [st.tuples(st.just(name), kinds[kind]) for name, kind in command.options]
            options = st.lists(st.one_of(option), max_size=4) if option else st.just([])
            return st.tuples(arguments, options, st.booleans()).map(
                lambda drawn: [
                    *command.words, *command.always, *(word for pair in drawn[1] for word in pair if word),
                    *(["--"] if drawn[2] else []), *drawn[0],
                ]
            )  # fmt: skip

        self.strategy = st.one_of([line(command) for command in COMMANDS])
        self.outside = self._outside()

    def _outside(self) -> dict[str, tuple[int, int]]:
        """Every file of the folder but the outputs: where results were not asked for nothing may change."""
        found = {}
        for folder, folders, files in os.walk(self.folder):
            if folder == str(self.work):
                folders.remove("out")
            for name in (*folders, *files):
                status = os.lstat(os.path.join(folder, name))
                found[os.path.join(folder, name)] = (status.st_size, status.st_mtime_ns if name in files else 0)
        return found

    def attempt(self, example: list[str]) -> str:
        status, out, err = self._run(example)
        now = self._outside()
        added = sorted(path for path in now if now[path] != self.outside.get(path))
        # Without -o a result lies beside its source; with a pattern, a source may be named like one.
        strays = [path for path in added if "-restored" not in os.path.basename(path) and "-restored" not in path]
        if strays or self.outside.keys() - now.keys():
            raise Wrong(f"files: {strays} {sorted(self.outside.keys() - now.keys())}")
        for path in added:
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.path.exists(
                path
            ) and os.unlink(path)
        shutil.rmtree(self.work / "out")
        (self.work / "out").mkdir()
        if status not in (0, 1, 2) or "Traceback" in err:
            raise Wrong(f"status {status}: {err[-500:]}")
        if status == 2 and err.startswith("lnca: ") and not is_sentence(err):
            raise Wrong(f"no sentence: {err[:300]!r}")
        return {0: "done", 1: "in part", 2: "refused"}[status]

    def _run(self, words: list[str]) -> tuple[int, str, str]:
        """Exit status, and what was printed, of the command run in this process."""
        out, err = _Stream(), _Stream(errors="backslashreplace")
        before, where = (sys.argv, sys.stdin), os.getcwd()
        sys.argv, sys.stdin = ["lnca", *words], _Stream(b"no picture")  # type: ignore[assignment]
        os.chdir(self.work)
        status = 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    main()
                except SystemExit as end:
                    status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        finally:
            os.chdir(where)
            sys.argv, sys.stdin = before
        return status, out.text(), err.text()


def is_sentence(text: str) -> bool:
    """One line; what is missing of a data set is a list, its items set in."""
    first, *rest = text.rstrip("\n").split("\n")
    return text.endswith("\n") and all(line.startswith("  ") for line in rest) and (not rest or first.endswith(":"))


class _Stream(io.TextIOWrapper):
    """A standard stream in memory, as strict as Python's own about what is not Unicode."""

    def __init__(self, content: bytes = b"", errors: str = "strict"):
        super().__init__(io.BytesIO(content), "utf-8", errors, write_through=True)

    def text(self) -> str:
        return self.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]


TARGETS: dict[str, Callable[[Path], Target]] = {
    "pictures": Pictures,
    "weights": Weights,
    "checkpoints": Checkpoints,
    "recipes": Recipes,
    "command lines": CommandLines,
}
