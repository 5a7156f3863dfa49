"""The dependencies of lnca: a lock with hashes and its check, an SBOM, and known vulnerabilities.

    python tools/supply.py lock      # writes requirements.lock
    python tools/supply.py check     # fails if it does not match constraints.txt, pyproject.toml or the registry
    python tools/supply.py sbom      # writes dist/lnca.cdx.json (CycloneDX)
    python tools/supply.py audit     # fails if a locked version has a known vulnerability

The lock holds what restoring and serving need (the extras io and serve), on every platform. The tools are uv,
cyclonedx-bom and pip-audit. If a registry or an advisory service cannot be reached, the command says so, and checks
what it can without it.
"""

import argparse
import json
import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
SBOM = ROOT / "dist" / "lnca.cdx.json"
EXTRAS = ("io", "serve")
# The platform's own build of torch, which the tests use, has no Triton; the build on PyPI requires its own version.
UNBOUND = ("triton",)
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def tool(name: str) -> str:
    """Path of a program in the current environment."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def normal(name: str) -> str:
    """The normalised name of a package (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """The pinned versions in a text, by name."""
    return {normal(name): version for name, version in PIN.findall(text)}


def compiled(out: Path) -> subprocess.CompletedProcess[str]:
    """Writes a lock; keeps the versions in `out` if they are still allowed."""
    with tempfile.TemporaryDirectory() as folder:
        bounds = Path(folder) / "constraints.txt"
        lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines(keepends=True)
        bounds.write_text("".join(line for line in lines if line.partition("==")[0] not in UNBOUND), "utf-8")
        extras = [word for extra in EXTRAS for word in ("--extra", extra)]
        command = [
            tool("uv"),
            "pip",
            "compile",
            "pyproject.toml",
            *extras,
            "--constraint",
            str(bounds),
            "--universal",
            "--python-version",
            "3.11",
            "--generate-hashes",
            "--no-annotate",
            "--no-header",
            "--quiet",
            "--output-file",
            str(out),
        ]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def unreachable(text: str) -> bool:
    """Whether an error message says that a server cannot be reached."""
    signs = ("error sending request", "dns error", "Failed to fetch", "ConnectionError", "Max retries", "timed out")
    return any(sign in text for sign in signs)


def lock() -> str | None:
    """Writes the lock; returns what went wrong."""
    done = compiled(LOCK)
    return None if done.returncode == 0 else f"the lock cannot be made: {done.stderr.strip()[-500:]}"


def mismatch(text: str) -> str | None:
    """The parts of a lock that do not match constraints.txt and pyproject.toml."""
    locked, bounds = pins(text), pins((ROOT / "constraints.txt").read_text("utf-8"))
    other = [name for name in locked if name not in UNBOUND and name in bounds and locked[name] != bounds[name]]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = (project["optional-dependencies"][extra] for extra in EXTRAS)
    required = [*project["dependencies"], *(each for extra in extras for each in extra)]
    names = [normal(re.split(r"[^A-Za-z0-9._-]", requirement)[0]) for requirement in required]
    absent = [name for name in names if name not in locked]
    bare = [block.split("==")[0] for block in re.split(r"\n(?=\S)", text) if block.strip() and "--hash=" not in block]
    for problem, which in (("other versions than constraints.txt", other), ("missing", absent), ("no hash", bare)):
        if which:
            return f"requirements.lock: {problem}: {', '.join(which)}; run make lock"
    return None


def check() -> str | None:
    """The problems of the lock."""
    text = LOCK.read_text("utf-8")
    if wrong := mismatch(text):
        return wrong
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / LOCK.name
        again.write_text(text, "utf-8")
        done = compiled(again)
        if done.returncode == 0:
            return None if again.read_text("utf-8") == text else "requirements.lock is not current; run make lock"
    if unreachable(done.stderr):
        print("the registry cannot be reached; the lock was compared with constraints.txt and pyproject.toml only")
        return None
    return f"the lock cannot be made again: {done.stderr.strip()[-500:]}"


def sbom() -> str | None:
    """Writes the bill of materials."""
    SBOM.parent.mkdir(exist_ok=True)
    command = [
        tool("cyclonedx-py"),
        "requirements",
        str(LOCK),
        "--pyproject",
        str(ROOT / "pyproject.toml"),
        "--mc-type",
        "library",
        "--output-reproducible",
        "--output-format",
        "JSON",
        "--output-file",
        str(SBOM),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return f"the SBOM cannot be made: {done.stderr.strip()[-500:]}"
    print(f"{SBOM.relative_to(ROOT)}: {len(json.loads(SBOM.read_text('utf-8'))['components'])} components")
    return None


def audit() -> str | None:
    """Known vulnerabilities of the locked versions."""
    command = [tool("pip-audit"), "--requirement", str(LOCK), "--disable-pip", "--require-hashes", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        if unreachable(done.stderr):
            print("no advisory service can be reached; nothing was audited")
            return None
        return f"the audit cannot be made: {done.stderr.strip()[-500:]}"
    audited = [entry for entry in dependencies if "skip_reason" not in entry]
    if not audited:
        print("no advisory service can be reached; nothing was audited")
        return None
    found = [f"{entry['name']} {entry['version']}: {known['id']}" for entry in audited for known in entry["vulns"]]
    print(f"{len(audited)} of {len(dependencies)} locked versions were audited")
    return f"known vulnerabilities: {'; '.join(found)}" if found else None


def main() -> None:
    commands = {"lock": lock, "check": check, "sbom": sbom, "audit": audit}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=commands)
    wrong = commands[parser.parse_args().command]()
    if wrong is not None:
        print(wrong, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
