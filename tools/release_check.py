"""Builds the source archive and the wheel, installs the wheel in an empty environment, and uses it as a new user would.

    python tools/release_check.py               # builds into dist/ first
    python tools/release_check.py WHEEL         # checks a wheel that is there
    python tools/release_check.py --page WHEEL  # and requires the browser page in it
    python tools/release_check.py --without-torch WHEEL  # without what needs torch, for platforms that have none

Everything after the installation runs in a folder of its own, outside the repository.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import page_check

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
CONSTRAINTS = ROOT / "constraints.txt"
EXTRAS = "train,io,export"
MODEL = "photo-denoise"

# The new environment's Python runs this: the graphs agree with the model, on the kernels that the wheel should have.
SAME = """
import sys
import numpy as np
from PIL import Image
import lnca
from lnca.onnx import OnnxRestorer

model = lnca.load(sys.argv[1], "cpu")
kernels = model.backend.split()[0]
if kernels != sys.argv[2]:
    sys.exit(f"steps run {model.backend}")
noisy = np.asarray(Image.open("demo/corrupted.png"), np.float32)[:96, :128] / 255
difference = np.abs(OnnxRestorer("exported").restore(noisy) - model.restore(noisy)).max()
if not difference < 1e-4:
    sys.exit(f"the graphs differ by {difference}")
print(f"{model.backend}; the graphs differ by {difference:.1g}")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("wheel", nargs="?", type=Path)
    parser.add_argument("--page", action="store_true", help="require the browser page in the wheel")
    parser.add_argument("--without-torch", action="store_true", help="leave out what needs torch")
    options = parser.parse_args()
    try:
        wheel = (options.wheel or build()).resolve()
        check(wheel, options.page, not options.without_torch)
    except (OSError, ValueError, LookupError, subprocess.SubprocessError, zipfile.BadZipFile) as error:
        sys.exit(f"release check failed; {type(error).__name__}: {error}")


def check(wheel: Path, with_page: bool, with_torch: bool) -> None:
    """Installs a wheel and uses it, first without torch, like most users."""
    expect(wheel.is_file(), f"a wheel at {wheel}")
    pages = pages_of(wheel, with_page)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        venv.create(folder / "venv", with_pip=True)
        programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "-c", str(CONSTRAINTS), str(wheel)])
        expect("torch" not in run([*pip[:-3], "list"]).split(), "no torch")
        version(str(programs / "python"), folder, wheel)
        use(programs, folder)
        if pages:
            wrong = page_check.wrong([str(programs / "lnca"), "app"], folder, pages, MODEL)
            expect(wrong is None, f"the page: {wrong}")
        else:
            print(f"{wheel.name} has no page, and `lnca app` was not tried")
        if with_torch:
            # First and pinned, so that the platform's own build of it is taken.
            torch = [line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch==")]
            run([*pip, *torch])
            run([*pip, "-c", str(CONSTRAINTS), f"lnca[{EXTRAS}] @ {wheel.as_uri()}"])
            evaluate(programs, folder)
            export(programs, folder, "plain" if wheel.stem.endswith("-any") else "fused")
    print(f"{wheel.name} is fit for release")


def pages_of(wheel: Path, wanted: bool) -> dict[str, bytes]:
    """The files of the browser page in a wheel."""
    pages = page_check.files(wheel)
    expect(bool(pages) or not wanted, f"the page in {wheel.name}; build it first (make web)")
    return pages


def version(python: str, folder: Path, wheel: Path) -> None:
    """Checks `lnca --version`, which says whether there are kernels."""
    output = run([python, "-m", "lnca", "--version"], folder)
    print(output.strip())
    expect(("kernels for the processor: none" in output) == wheel.stem.endswith("-any"), f"kernels, got: {output}")


def build() -> Path:
    """Builds the wheel from the source archive, which checks that the archive is complete; fails without kernels."""
    shutil.rmtree(DIST, ignore_errors=True)
    environment = {"LNCA_KERNELS": "1", "PIP_CONSTRAINT": str(CONSTRAINTS)}
    run([sys.executable, "-m", "build", "--outdir", str(DIST), str(ROOT)], environment=os.environ | environment)
    (wheel,) = DIST.glob("*.whl")
    for path in sorted(DIST.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    return wheel


def use(programs: Path, folder: Path) -> None:
    """Uses only the wheel, like a new user: a demonstration, a folder of pictures."""
    lnca = str(programs / "lnca")
    run([lnca, "models"], folder)
    run([lnca, "demo", "--out", "demo"], folder)
    holiday = folder / "holiday"
    (holiday / "below").mkdir(parents=True)
    shutil.copy(folder / "demo" / "corrupted.png", holiday / "lake.png")
    shutil.copy(folder / "demo" / "comparison.jpg", holiday / "below")
    (holiday / "broken.jpg").write_bytes((folder / "demo" / "comparison.jpg").read_bytes()[:2000])
    run([lnca, "restore", "holiday"], folder, status=1)
    (holiday / "broken.jpg").unlink()
    run([lnca, "restore", "holiday"], folder)
    restored = folder / "holiday-restored"
    records = [json.loads(line) for line in (restored / "lnca.jsonl").read_text().splitlines()]
    expect(sum(record["error"] is None for record in records) == 2, f"two pictures restored, got {records}")
    expect((restored / "below" / "comparison.jpg").is_file(), "the tree of the folder")
    clean = str(Path("demo") / "clean.png")
    before, after = (
        json.loads(run([lnca, "compare", clean, str(picture), "--json"], folder))["psnr"]
        for picture in (holiday / "lake.png", restored / "lake.png")
    )
    expect(after > before + 3, f"a better picture, got {before:.1f} -> {after:.1f} dB")


def evaluate(programs: Path, folder: Path) -> None:
    """Scores a model, which needs torch."""
    shutil.copytree(folder / "demo", folder / "pictures", ignore=shutil.ignore_patterns("c[!l]*", "r*", "s*"))
    arguments = ("--data", "pictures", "--split", "all", "--limit", "4", "--json")
    scores = json.loads(run([str(programs / "lnca"), "evaluate", "--model", MODEL, *arguments], folder))
    expect(scores["pictures"] == 1, f"a score of one photograph, got {scores}")


def export(programs: Path, folder: Path, kernels: str) -> None:
    """Exports graphs and runs them without torch, and checks the kernels of the model itself."""
    run([str(programs / "lnca"), "export", "--out", "exported"], folder)
    (folder / "same.py").write_text(SAME)
    print(run([str(programs / "python"), "same.py", MODEL, kernels], folder).strip())


def run(
    command: list[str], folder: Path | None = None, status: int = 0, environment: Mapping[str, str] | None = None
) -> str:
    """Runs a command and returns its output; ends the check if its exit status is not `status`."""
    print(
        "$", " ".join(Path(part).name if Path(part).is_absolute() else part for part in command[:8])[:100], flush=True
    )
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    expect(done.returncode == status, f"exit status {status}, got {done.returncode}: {done.stdout[-2000:]}")
    return done.stdout


def expect(right: bool, what: str) -> None:
    """Ends the check if an expectation fails."""
    if not right:
        sys.exit(f"release check failed; expected {what}")


if __name__ == "__main__":
    main()
