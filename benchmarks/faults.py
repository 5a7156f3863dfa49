"""Kills lnca at random moments, resumes it, and checks that the result is that of an uninterrupted run.

Training (both phases), preparing data, restoring a folder and exporting are killed with SIGKILL, resumed, and killed
again. Then one worker of an elastic training run is killed, one run gets SIGTERM, and one runs out of disk space.

    python benchmarks/faults.py [--kills 100] [--seed 0]
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lnca.demo import photograph
from lnca.files import write_whole
from lnca.measuring.measure import environment
from lnca.training.checkpoint import checkpoints, open_checkpoint

RESULTS = Path(__file__).parent / "results" / "faults.json"
LNCA = [sys.executable, "-m", "lnca"]
# Small, but with all parts of a real run: pool, dropout, masks, validation, sheets.
CHANGES = (
    "batch_size=4",
    "tile=32",
    "checkpoint_every=3",
    "validation_tiles=8",
    "autoencoder.epochs=3",
    "automaton.epochs=3",
    "joint.epochs=1",
    "automaton.pool=16",
    "joint.pool=16",
    "model.latent-nafca.dropout=0.1",
    "model.latent-nafca.steps=8",
)
# Seconds for the workers of a killed process to end.
PATIENCE = 30
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Job:
    """A job to kill.

    Args:
        name: name of the job.
        share: share of all kills.
        command: the command, for the folder of the job; the same command resumes.
        where: progress so far, for the report.
    """

    name: str
    share: float
    command: Callable[[Path], list[str]]
    where: Callable[[Path], str] = lambda folder: ""


def train_command(folder: Path, pictures: Path, *more: str) -> list[str]:
    changes = [part for change in CHANGES for part in ("--set", change)]
    return [
        "train",
        "--model",
        "latent-nafca",
        "--task",
        "denoise",
        "--data",
        str(pictures),
        "--out",
        str(folder / "run"),
        "--device",
        "cpu",
        "--resume",
        *changes,
        *more,
    ]


def trained_until(folder: Path) -> str:
    """Phase of the newest checkpoint, "start" before the first."""
    found = checkpoints(folder / "run")
    if not found:
        return "start"
    return ("autoencoder", "automaton", "joint", "end")[open_checkpoint(found[0])["position"]["phase"]]


def content(folder: Path) -> dict[str, bytes]:
    """The files to compare: neither hidden files nor files with times (TensorBoard events, manifests, checkpoints)."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith((".", "events.", "lnca.jsonl")) and path.suffix != ".lnca"
    }


def gone(group: int) -> bool:
    """Whether all processes of a group end within `PATIENCE`; kills those that do not."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    return False


def killed(job: Job, kills: int, folder: Path, draw: random.Random) -> dict[str, Any]:
    """Kills a job `kills` times, resumes it each time, and starts it again whenever it finishes."""
    whole = folder / "whole"
    begun = time.monotonic()
    subprocess.run([*LNCA, *job.command(whole)], check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    duration = time.monotonic() - begun
    expected, done, rounds, same, left, refused, outlived = content(whole), 0, 0, 0, 0, 0, 0
    moments: dict[str, int] = {}
    work = folder / "killed"
    while done < kills or work.exists():
        process = subprocess.Popen(
            [*LNCA, *job.command(work)], env=ENVIRONMENT, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            status = process.wait(draw.uniform(0, duration) if done < kills else None)
        except subprocess.TimeoutExpired:
            # Alternately kill only the main process, which its workers must notice, and all processes at once.
            (os.kill if done % 2 else os.killpg)(process.pid, signal.SIGKILL)
            process.wait()
            done, outlived = done + 1, outlived + (not gone(process.pid))
            moments[job.where(work)] = moments.get(job.where(work), 0) + 1
            continue
        whole_now = content(work) == expected
        # A job that was killed after its end has nothing to resume, and may say so.
        if status and not (status == 2 and whole_now):
            raise SystemExit(f"{job.name}: exit status {status} after {done} kills; see {work}")
        rounds, same, refused = rounds + 1, same + whole_now, refused + bool(status)
        left += len(list(work.rglob(".lnca-*")))
        shutil.rmtree(work)
    print(f"{job.name}: {done} kills, {same} of {rounds} rounds ended with the same bytes", flush=True)
    return {
        "job": job.name,
        "kills": done,
        "killed_in": moments,
        "rounds": rounds,
        "same_bytes": same,
        "refused_as_done": refused,
        "workers_outlived": outlived,
        "files": len(expected),
        "hidden_temporary_files_left": left,
    }


def elastic(folder: Path, pictures: Path) -> dict[str, Any]:
    """Trains in two processes under torchrun, and kills one of them after the first checkpoint."""

    def command(out: Path) -> list[str]:
        run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        return [*run, "--max-restarts", "3", "-m", *LNCA[2:], *train_command(out, pictures)]

    subprocess.run(command(folder / "whole"), check=True, env=ENVIRONMENT, capture_output=True)
    process = subprocess.Popen(
        command(folder / "killed"), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not checkpoints(folder / "killed" / "run"):
        time.sleep(0.1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    status = process.wait()
    same = content(folder / "whole") == content(folder / "killed")
    print(f"elastic: exit status {status}, the same bytes: {same}", flush=True)
    return {"status": status, "same_bytes": same}


def asked(folder: Path, pictures: Path) -> dict[str, Any]:
    """Sends SIGTERM to a training run."""
    process = subprocess.Popen([*LNCA, *train_command(folder, pictures)], env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    while not checkpoints(folder / "run"):
        time.sleep(0.05)
    begun = time.monotonic()
    process.terminate()
    status = process.wait()
    seconds = time.monotonic() - begun
    print(f"SIGTERM: exit status {status} after {seconds:.1f} s", flush=True)
    return {"status": status, "seconds": seconds, "saved": trained_until(folder)}


def full_disk(folder: Path, pictures: Path, checkpoint: int) -> dict[str, Any]:
    """Trains on a file system with room for one and a half checkpoints (of `checkpoint` bytes); needs root."""
    folder.mkdir(parents=True)
    size = f"size={checkpoint * 3 // 2}"
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", size, "lnca", folder]).returncode:
        return {"skipped": "only root can mount a small file system"}
    try:
        result = subprocess.run(
            [*LNCA, *train_command(folder, pictures)], env=ENVIRONMENT, capture_output=True, text=True
        )
        whole = [path.name for path in checkpoints(folder / "run") if open_checkpoint(path)]
        said = " ".join(result.stderr.replace(str(folder), "DISK").strip().splitlines()[-1:])
    finally:
        subprocess.run(["umount", folder], check=True)
    print(f"full disk: exit status {result.returncode}, {len(whole)} whole checkpoints: {said}", flush=True)
    return {"status": result.returncode, "said": said, "whole_checkpoints": len(whole)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        picture, pictures = photograph(), root / "pictures"
        pictures.mkdir()
        for number in range(12):
            left, top = 90 * (number % 4), 90 * (number // 4)
            picture.crop((left, top, left + 100 + number, top + 100)).save(pictures / f"{number}.png")
        jobs = (
            Job("train", 0.4, lambda folder: train_command(folder, pictures), trained_until),
            Job(
                "data prepare",
                0.2,
                lambda folder: [
                    "data",
                    "prepare",
                    "folder",
                    str(pictures),
                    "--workers",
                    "2",
                    "--side",
                    "32",
                    "--out",
                    str(folder / "tiles"),
                ],
            ),
            Job(
                "restore",
                0.25,
                lambda folder: [
                    "restore",
                    str(pictures),
                    "-o",
                    str(folder / "restored"),
                    "--workers",
                    "2",
                    "--device",
                    "cpu",
                ],
            ),
            Job("export", 0.15, lambda folder: ["export", "--out", str(folder / "exported"), "--overwrite"]),
        )
        kills = [round(job.share * options.kills) for job in jobs]
        found = [
            killed(job, count, root / job.name.replace(" ", "-"), draw) for job, count in zip(jobs, kills, strict=True)
        ]
        largest = max(path.stat().st_size for path in checkpoints(root / "train" / "whole" / "run"))
        result = {
            "environment": environment(torch.device("cpu")),
            "seed": options.seed,
            "kills": sum(kills),
            "jobs": found,
            "elastic": elastic(root / "elastic", pictures),
            "sigterm": asked(root / "asked", pictures),
            "full_disk": full_disk(root / "disk", pictures, largest),
        }
    write_whole(options.out, (json.dumps(result, indent=2) + "\n").encode())
    good = all(job["same_bytes"] == job["rounds"] for job in found) and result["elastic"]["same_bytes"]
    good = good and not any(job["workers_outlived"] for job in found)
    good = good and not result["sigterm"]["status"] and result["full_disk"].get("status", 2) == 2
    print(options.out)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
