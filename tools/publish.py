"""Prepares a release for publication: a folder for each host, all from one source of facts.

    python tools/publish.py --owner NAME          # writes build/publish
    python tools/publish.py --merge CHECKOUT      # adds the entry of OpenModelDB to a checkout of it

Folders: hub (one for each model), openmodeldb, conda-forge, container, darktable, spandrel. Nothing is uploaded.
docs/publishing.md explains each folder, how it is checked, and where it is published.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from lnca.catalogue import DEFAULT_MODEL
from lnca.errors import LncaError
from publishing import conda, darktable, hub, openmodeldb
from publishing.facts import OWNER, ROOT, Facts, judges, shipped

OUT = ROOT / "build" / "publish"
HOSTS = ("hub", "openmodeldb", "conda-forge", "container", "darktable", "spandrel")


def source_archive(folder: Path) -> Path:
    """Builds the source archive in a folder; raises `LncaError` if that fails."""
    command = [sys.executable, "-m", "build", "--sdist", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LncaError(f"the source archive cannot be built: {done.stderr.strip().splitlines()[-1:]}")
    (path,) = folder.glob("lnca-*.tar.gz")
    return path


def publish(facts: Facts, names: list[str] | None, folder: Path) -> None:
    """Writes the folders of all hosts to `folder`, which is replaced only when all of them are complete.

    Args:
        names: names of shipped models; None means all.

    Raises:
        LncaError: a model does not exist, public scores belong to other weights, or a graph cannot be exported.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".publish-") as temporary:
        new = Path(temporary) / "new"
        _write(facts, names, new)
        if folder.exists():
            folder.rename(Path(temporary) / "old")
        new.rename(folder)


def _write(facts: Facts, names: list[str] | None, new: Path) -> None:
    (best,) = shipped([DEFAULT_MODEL])
    chosen = shipped(names)
    for host in HOSTS:
        (new / host).mkdir(parents=True)
    hub.write(facts, chosen if best.name in {info.name for info in chosen} else [best, *chosen], new / "hub")
    openmodeldb.write(facts, best, new / "hub" / best.name, new / "openmodeldb")
    conda.write(facts, new / "conda-forge")
    darktable.write(facts, best, new / "darktable")
    for path in (ROOT / "integrations" / "container" / "Containerfile", ROOT / "requirements.lock", facts.sdist):
        shutil.copyfile(path, new / "container" / path.name)
    shutil.copytree(ROOT / "integrations" / "spandrel", new / "spandrel", dirs_exist_ok=True, ignore=_unneeded)
    architecture = new / "spandrel" / "libs" / "spandrel" / "spandrel" / "architectures" / "LNCA" / "__arch"
    shutil.copyfile(ROOT / "LICENSE", architecture / "LICENSE")
    for path in (new / "spandrel").rglob("*.py"):
        path.write_text(path.read_text("utf-8").replace(f"/{OWNER}/", f"/{facts.owner}/"), "utf-8")


def _unneeded(folder: str, names: list[str]) -> set[str]:
    """The files of the contribution to spandrel that are not part of it."""
    return {name for name in names if name in ("__pycache__", ".ruff_cache", "ruff.toml")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--owner", default=OWNER, help="the account at the forge and the hub")
    parser.add_argument("--date", default=f"{datetime.now(UTC):%Y-%m-%d}", help="of the release, yyyy-mm-dd")
    parser.add_argument("--sdist", type=Path, help="the source archive; built when left out")
    parser.add_argument("--models", help="comma-separated; all that ship when left out")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--merge", type=Path, metavar="CHECKOUT", help="a checkout of OpenModelDB")
    options = parser.parse_args()
    if options.merge:
        openmodeldb.merge(options.out / "openmodeldb", options.merge)
        return
    with tempfile.TemporaryDirectory() as temporary:
        sdist = options.sdist or source_archive(Path(temporary))
        facts = Facts(owner=options.owner, date=options.date, sdist=sdist, judges=judges())
        publish(facts, options.models.split(",") if options.models else None, options.out)
    for host in HOSTS:
        print(options.out / host)


if __name__ == "__main__":
    try:
        main()
    except LncaError as error:
        sys.exit(f"publish: {error}")
