"""Runs large numbers of examples of the targets, in separate processes, and writes a report.

    python -m fuzz --pictures 100000 --weights 100000 --checkpoints 100000 --recipes 10000 --command-lines 10000

Each process takes a share of the examples, with its own seed and a memory limit. The current example lies in a file, so
an example that kills its process or never ends is known. Errors are counted once by their origin, with the example, and
the process continues. An existing report is continued, so a long run can be done in parts. The exit status is 1 if
anything was wrong.
"""

import argparse
import collections
import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lnca.files import write_whole
from lnca.measuring.memory import peak_memory

from .targets import TARGETS

# Address space that an example may use in addition to that of the process at its start, and seconds of CPU time after
# which it counts as hung.
MEMORY = 2**30
HUNG = 20
SHARE = 2500


def place(error: BaseException) -> str:
    """The origin of an error: its type and the last line of the package in its traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if f"{os.sep}lnca{os.sep}" in frame.filename]
    last = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
    said = str(error)[:160] if type(error).__name__ == "Wrong" else ""
    return f"{type(error).__name__} {said} at {Path(last.filename).name}:{last.lineno} {last.name}"


def share(name: str, seed: int, count: int, folder: Path) -> dict[str, Any]:
    """Tries `count` examples in this process; returns the outcomes."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    (folder / "work").mkdir()
    target = TARGETS[name](folder / "work")
    limit_memory()
    outcomes: collections.Counter[str] = collections.Counter()
    wrong: dict[str, dict[str, Any]] = {}
    slowest = (0.0, "")
    current = (folder / "current").open("wb", buffering=0)

    @seeded(seed)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.strategy)
    def attempt(example: Any) -> None:
        nonlocal slowest
        current.seek(0)
        current.truncate()
        current.write(pickle.dumps(example))
        begin = time.process_time()
        try:
            outcomes[target.attempt(example)] += 1
        except Exception as error:
            outcomes["wrong"] += 1
            entry = wrong.setdefault(place(error), {"count": 0, "example": repr(example)[:2000]})
            entry["count"] += 1
            entry.setdefault("trace", "".join(traceback.format_exception(error))[-3000:])
        took = time.process_time() - begin
        if took > slowest[0]:
            slowest = (took, repr(example)[:2000])

    attempt()
    return {"outcomes": dict(outcomes), "wrong": wrong, "slowest": slowest, "peak": peak_memory() or 0}


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def processor_seconds(pid: int) -> float:
    """Seconds of CPU time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watched(name: str, seed: int, count: int) -> dict[str, Any]:
    """Runs `share` in a separate process; if that dies or hangs, it counts as wrong."""
    with tempfile.TemporaryDirectory(prefix="lnca-fuzz-") as text:
        folder = Path(text)
        current = folder / "current"
        words = [sys.executable, "-m", "fuzz", "--share", name, str(seed), str(count), text]
        with (folder / "err").open("wb") as err, (folder / "out").open("wb") as out:
            process = subprocess.Popen(words, stdout=out, stderr=err)
            hung = not finished(process, current)
        if process.returncode == 0:
            return json.loads((folder / "result.json").read_text())
        example = repr(pickle.loads(current.read_bytes())) if current.exists() else ""
        last = (folder / "err").read_text(errors="replace")[-2000:]
        why = f"hung, {HUNG} s of the processor" if hung else f"died with status {process.returncode}"
        return {
            "outcomes": {},
            "slowest": (0.0, ""),
            "peak": 0,
            "wrong": {why: {"count": 1, "example": example[:4000], "trace": last}},
        }


def finished(process: subprocess.Popen, current: Path) -> bool:
    """Waits for a process; returns False if an example took too long, by the time at which its file was written. Only
    CPU time counts, since other programs may use the CPU."""
    example, begin = 0, 0.0
    while process.poll() is None:
        time.sleep(0.2)
        written = current.stat().st_mtime_ns if current.exists() else 0
        try:
            used = processor_seconds(process.pid)
        except (OSError, IndexError):
            continue
        if written != example:
            example, begin = written, used
        if example and used - begin > HUNG:
            process.kill()
            process.wait()
            return False
    return True


def run(name: str, count: int, seed: int, processes: int, report: dict[str, Any], save: Callable[[], None]) -> None:
    """Adds a target to the report, share by share; results of the same seed are not repeated."""
    entry = report.get(name)
    if entry is None or entry["seed"] != seed:
        entry = {"examples": 0, "seed": seed, "shares": 0, "outcomes": {}, "wrong": {}}
        entry |= {"slowest_cpu_seconds": 0.0, "peak_megabytes": 0}
        report[name] = entry
    jobs = [(name, seed + index, min(SHARE, count - begin)) for index, begin in enumerate(range(0, count, SHARE))]
    with ThreadPoolExecutor(processes) as pool:
        for result in pool.map(lambda job: watched(*job), jobs[entry["shares"] :]):
            entry["shares"] += 1
            outcomes = collections.Counter(entry["outcomes"]) + collections.Counter(result["outcomes"])
            entry["outcomes"], entry["examples"] = dict(sorted(outcomes.items())), sum(outcomes.values())
            if result["slowest"][0] > entry["slowest_cpu_seconds"]:
                entry["slowest_cpu_seconds"], entry["slowest_example"] = result["slowest"]
            entry["peak_megabytes"] = max(entry["peak_megabytes"], round(result["peak"] / 1e6))
            for where, found in result["wrong"].items():
                entry["wrong"].setdefault(where, {**found, "count": 0})["count"] += found["count"]
            save()
            wrong = ", ".join(entry["wrong"]) or "nothing wrong"
            print(f"{name}: {entry['examples']} of {count}, {wrong}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", nargs=4, help=argparse.SUPPRESS)
    for name in TARGETS:
        parser.add_argument(f"--{name.replace(' ', '-')}", type=int, default=0, help="examples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="report, JSON; shares that it already has are not repeated")
    arguments = parser.parse_args()
    if arguments.share is not None:
        name, seed, count, folder = arguments.share
        result = share(name, int(seed), int(count), Path(folder))
        (Path(folder) / "result.json").write_text(json.dumps(result))
        return
    wanted = {name: getattr(arguments, name.replace(" ", "_")) for name in TARGETS}
    report: dict[str, Any] = {}
    if arguments.out is not None and arguments.out.exists():
        report = json.loads(arguments.out.read_text())
    report |= {"memory_limit_megabytes": round(MEMORY / 1e6), "hung_after_processor_seconds": HUNG}

    def save() -> None:
        if arguments.out is not None:
            write_whole(arguments.out, (json.dumps(report, indent=1) + "\n").encode())

    for name, count in wanted.items():
        if count:
            run(name, count, arguments.seed, arguments.processes, report, save)
    wrong = {name: report[name]["wrong"] for name, count in wanted.items() if count and report[name]["wrong"]}
    print(json.dumps(wrong or "nothing was wrong", indent=1))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
