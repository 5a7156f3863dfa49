"""Command lines with valid and invalid words, run in this process in a separate folder."""

import contextlib
import io
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from lnca.cli import main

from .checks import Wrong, small_weights
from .corpus import pictures, recipes

ODD_NAMES = ("a\nb", "\udcff", "-x", "a b", "ä" * 40, "$(id)", "%s", "*[?]", "\x1b[31m")
WORDS: dict[str, tuple[str, ...]] = {
    "file": (
        "in/a.png",
        *(f"in/{name}.png" for name in ODD_NAMES),
        "in/broken.jpg",
        "in/empty.png",
        "in",
        "one",
        "in/*.png",
        "recipe.yaml",
        "small.safetensors",
        "loop.png",
        "nowhere.png",
        "",
        "a" * 300 + ".png",
        "loop.png/x",
        "~",
        "-",
        "in/a.png/x",
        "/dev/null",
    ),
    "out": (
        "out/a.png",
        "out/a.jpg",
        "out/b/c.tif",
        "out",
        "out/x",
        "out/a.txt",
        "in/a.png/x.png",
        "out/\udcfe.png",
        "out/" + "b" * 300 + ".png",
        "out/a.safetensors",
        "out/a.mp4",
        "out/a.gif",
        "out/a\n.png",
    ),
    "out or -": ("out/a.png", "out", "out/a.tif", "-"),
    "model": ("small.safetensors", "photo-denoise", "in/a.png", "nothing", "recipe.yaml", "in", "", "in/a\nb.png"),
    "number": (
        "0",
        "1",
        "2",
        "-1",
        "0.5",
        "1e309",
        "nan",
        "inf",
        "9" * 40,
        "٣",
        "²",
        "auto",
        "0x1",
        "1_0",
        " 1",
        "",
        "-0.0",
    ),
    "small": ("0", "1", "-1", "x"),
    "engine": ("ray", "local", "", "spark"),
    "size": ("1", "10MB", "2GB", "-1", "1e9", "GB", "9" * 400 + "TB", "nan", "0.1.2KB", ""),
    "region": (
        "0,0,8,8",
        "1,2,3",
        "9,9,9,9",
        "0,0,0,0",
        "-1,0,5,5",
        "a,b,c,d",
        "٣,0,5,5",
        "9" * 30 + ",0,1,1",
        "²,1,1,1",
        "",
    ),
    "set": (
        "folder",
        "pairs",
        "celeba",
        "cifar10",
        "tiny-imagenet",
        "renoir",
        "sid",
        "gopro",
        "realblur-j",
        "realblur-r",
        "hf:",
        "hf:?x=1",
        "hf:nowhere.parquet",
        "nothing",
        "",
    ),
    "text": (
        "",
        "cpu",
        "cuda",
        "cuda:99",
        "plain",
        "fused",
        "float32",
        "bfloat16",
        "denoise",
        "photo-denoise",
        "nafnet",
        "lnca",
        "latent-nafca",
        "train",
        "all",
        "test",
        "automaton.epochs=1",
        "model.lnca={steps: 1}",
        "--",
        "x=!!python/name:os.system",
        "a\nb",
        "\udcff",
    ),
}


@dataclass(frozen=True)
class Command:
    """The words of a command: its first words, kinds of arguments, options with their arguments, and words that keep
    runs short, because valid ones would take minutes."""

    words: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    always: tuple[str, ...] = ()


RESTORE = (
    ("-o", "out"),
    ("-o", "out or -"),
    ("--model", "model"),
    ("--steps", "number"),
    ("--strength", "number"),
    ("--region", "region"),
    ("--mask", "file"),
    ("--tolerance", "number"),
    ("--heat-map", "out"),
    ("--compare", "out"),
    ("--frames", "out"),
    ("--device", "text"),
    ("--backend", "text"),
    ("--precision", "text"),
    ("--max-memory", "size"),
    ("--manifest", "out"),
    ("--max-pixels", "number"),
    ("--plan", ""),
    ("--dry-run", ""),
    ("--quiet", ""),
    ("--json", ""),
    ("--overwrite", ""),
    ("--workers", "small"),
    ("--devices", "small"),
    ("--engine", "engine"),
    ("--address", "text"),
)
CORRUPT = (("-o", "out"), ("--noise", "number"), ("--blur", "number"), ("--seed", "number"), ("--overwrite", ""))
TRAIN = (
    ("--model", "text"),
    ("--task", "text"),
    ("--recipe", "file"),
    ("--set", "text"),
    ("--seed", "number"),
    ("--batch-size", "number"),
    ("--epochs", "number"),
    ("--init", "model"),
    ("--device", "text"),
    ("--resume", ""),
    ("--devices", "small"),
)
EVALUATE = (
    ("--model", "model"),
    ("--split", "text"),
    ("--task", "text"),
    ("--difficulty", "number"),
    ("--steps", "small"),
    ("--seed", "number"),
    ("--device", "text"),
    ("--json", ""),
)
# A port in use and a file without a token, so that no service starts.
SERVE = (
    ("--host", "text"),
    ("--model", "model"),
    ("--queue", "number"),
    ("--max-size", "size"),
    ("--seconds", "number"),
    ("--backend", "text"),
    ("--no-token", ""),
)
COMMANDS = (
    Command(("restore",), ("file",), RESTORE),
    Command(("restore",), ("file", "file"), RESTORE),
    Command(("corrupt",), ("file",), CORRUPT),
    Command(("compare",), ("file", "file"), (("--json", ""), ("--max-pixels", "number"))),
    Command(("train",), (), TRAIN, ("--data", "one", "--out", "out/run")),
    Command(("evaluate",), (), EVALUATE, ("--data", "one", "--limit", "1")),
    Command(("convert",), ("file",), (("-o", "out"), ("--model", "text"), ("--overwrite", ""))),
    Command(("models",), (), (("--json", ""),)),
    Command(("data", "list"), ("set",), (("--json", ""),)),
    Command(("data", "check"), ("set", "file"), (("--decode", ""),)),
    Command(
        ("data", "prepare"),
        ("set", "file"),
        (("--side", "number"), ("--whole", ""), ("--skip-broken", "")),
        ("--out", "out/tiles", "--workers", "1"),
    ),
    Command(("export",), (), (("--out", "out"), ("--model", "text"), ("--variants", "text")), ("--format", "none")),
    Command(("serve",), (), SERVE, ("--token-file", "in/empty.png")),
    Command(("demo",), (), (("--out", "out"),), ("--nothing",)),
    Command(("bench",), ("text",), (("--size", "number"),), ("--nothing",)),
    Command(("paper",), ("text",), (("--out", "out"),), ("--nothing",)),
    Command((), ("text",), (("--version", ""), ("--help", ""), ("text", "text"))),
)


def drawn(kind: str) -> st.SearchStrategy[str]:
    """A word of some kind; text may be anything that a shell can pass."""
    words = st.sampled_from(WORDS[kind]) if kind else st.just("")
    others = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
    return words | others if kind == "text" else words


def line(command: Command) -> st.SearchStrategy[list[str]]:
    """Command lines of one command."""
    options = [st.tuples(st.just(name), drawn(kind)) for name, kind in command.options]
    return st.tuples(
        st.lists(st.one_of(options), max_size=4), st.booleans(), st.tuples(*map(drawn, command.arguments))
    ).map(
        lambda parts: [
            *command.words,
            *command.always,
            *(word for pair in parts[0] for word in pair if word),
            *(["--"] if parts[1] else []),
            *parts[2],
        ]
    )


class CommandLines:
    """The target of command lines, see the module."""

    strategy = st.one_of([line(command) for command in COMMANDS])

    def __init__(self, folder: Path):
        # One level deeper, so that files beside the folder itself are noticed.
        self.folder, self.work = folder, folder / "work"
        for name in ("one", "in", "out"):
            (self.work / name).mkdir(parents=True)
        content = next(content for suffix, content in pictures() if suffix == ".png")
        for name in ("a", *ODD_NAMES):
            (self.work / "in" / f"{name}.png").write_bytes(content)
        (self.work / "one" / "a.png").write_bytes(content)
        (self.work / "in" / "broken.jpg").write_bytes(content[:90])
        (self.work / "in" / "empty.png").write_bytes(b"")
        (self.work / "recipe.yaml").write_text(recipes()[0])
        (self.work / "loop.png").symlink_to("loop.png")
        small_weights(self.work)
        self.outside = self._outside()

    def _outside(self) -> dict[str, tuple[int, int]]:
        """All files outside the output folder, which must not change."""
        found = {}
        for folder, folders, files in os.walk(self.folder):
            if folder == str(self.work):
                folders.remove("out")
            for name in (*folders, *files):
                status = os.lstat(os.path.join(folder, name))
                found[os.path.join(folder, name)] = (status.st_size, status.st_mtime_ns if name in files else 0)
        return found

    def attempt(self, example: list[str]) -> str:
        status, err = self._run(example)
        try:
            self._check_files()
        finally:
            shutil.rmtree(self.work / "out")
            (self.work / "out").mkdir()
        if status not in (0, 1, 2) or "Traceback" in err:
            raise Wrong(f"status {status}: {err[-500:]}")
        if status == 2 and err.startswith("lnca: ") and not is_sentence(err):
            raise Wrong(f"no sentence: {err[:300]!r}")
        return {0: "done", 1: "in part", 2: "refused"}[status]

    def _check_files(self) -> None:
        """Without -o the output lies beside its source; no other file may appear, disappear or change."""
        now = self._outside()
        added = sorted(path for path in now if now[path] != self.outside.get(path))
        gone = sorted(self.outside.keys() - now.keys())
        for path in map(Path, added):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        strays = [path for path in added if "-restored" not in path]
        if strays or gone:
            raise Wrong(f"files: {strays} {gone}")

    def _run(self, words: list[str]) -> tuple[int, str]:
        """Runs a command line; returns the exit status and stderr."""
        out, err = Stream(), Stream(errors="backslashreplace")
        before, where = (sys.argv, sys.stdin), os.getcwd()
        sys.argv, sys.stdin = ["lnca", *words], Stream(b"no picture")
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
        return status, err.text()


def is_sentence(text: str) -> bool:
    """Whether a text is one line; missing files of a data set are an indented list."""
    first, *rest = text.rstrip("\n").split("\n")
    return text.endswith("\n") and all(line.startswith("  ") for line in rest) and (not rest or first.endswith(":"))


class Stream(io.TextIOWrapper):
    """A standard stream in memory, as strict about Unicode as Python's own."""

    def __init__(self, content: bytes = b"", errors: str = "strict"):
        super().__init__(io.BytesIO(content), "utf-8", errors, write_through=True)

    def text(self) -> str:
        """The text that was written."""
        self.seek(0)
        return self.read()
