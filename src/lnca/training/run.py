"""A training run: tiles, phases, epochs, checkpoints, logs. Interrupted anywhere, it continues to the same weights.

No generator state is carried along: every batch seeds its generators with (draws, phase, epoch, batch). `draws` is the
seed or, if the run begins with given weights, derived from the seed and a hash of those weights. So it sees other crops
and other noise than the run that trained those weights.
"""

import copy
import dataclasses
import hashlib
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import metrics
from ..architectures import resolve
from ..data.crops import CropSet
from ..data.reading import Unreadable, listing
from ..data.splits import Split
from ..data.tile_set import TileSet
from ..errors import LncaError, in_short
from ..files import write_whole
from ..nn.model import RestorationModel
from ..nn.registry import module_of
from ..nn.weights_file import save_weights
from ..randomness import derive, generator
from ..version import __version__
from .batch import Exploded, Trainer, decibels
from .checkpoint import last_good, read_checkpoint, write_checkpoint
from .initial import begin_with
from .log import ContactSheet, Log
from .optimizer import NotFinite
from .pace import Cost, batches_within
from .plan import Plan, commit
from .pyramid import LevelTrainer
from .recipe import PHASES
from .samples import draw_batch, open_samples
from .trainers import trainer_of
from .world import ALONE, World

# Measuring the pace of a phase: least batches, least seconds, and validation samples.
PILOT_BATCHES, PILOT_SECONDS, PILOT_SAMPLES = 3, 5.0, 16
NO_SCORE: dict[str, Any] = {"score": None, "ssim": None, "epoch": None, "model": None}


class Interrupted(Exception):
    """The run was asked to stop. It is saved and can be resumed.

    Args:
        signal: SIGINT, from Ctrl-C, or SIGTERM, from a batch system.
        weights: the best weights so far if the run was in its last phase; before that no model is complete.
    """

    def __init__(self, number: int, weights: Path | None = None):
        super().__init__(number)
        self.signal, self.weights = number, weights


class Run:
    """One training run in one folder.

    Args:
        plan: what is trained.
        folder: gets checkpoints, logs, contact sheets and, at the end, the weights.
        device: device of the training.
        resume: continue from the folder's newest checkpoint; without it the folder must not hold one.
        skip_broken: leave out pictures that cannot be read, and say so.
        progress: called as progress(phase, done, total, values) after every batch.
        world: the processes that share the work. All of them read the data and the folder; the first one writes.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        device: torch.device | str = "cpu",
        *,
        resume: bool = False,
        skip_broken: bool = False,
        progress: Callable[[str, int, int, dict[str, float]], None] = lambda *_: None,
        world: World = ALONE,
    ):
        self.plan, self.folder, self.device, self.world = plan, folder, torch.device(device), world
        self.recipe, self.progress = plan.recipe, progress
        self.curriculum = plan.recipe.curriculum(plan.task)
        self.settings = plan.recipe.model.get(plan.model, {})
        architecture, settings = resolve(plan.model, self.settings)
        if architecture not in PHASES:
            raise LncaError(f"{plan.model} is not trained by itself: its cells are those of pyramid; train that")
        self.phases = PHASES[architecture]
        if plan.recipe.batch_size < 2:
            raise LncaError("a batch of 1 has no negative samples; use a batch size of at least 2")
        world.part(plan.recipe.batch_size)
        saved = read_checkpoint(folder, plan, resume)
        trained = tuple(phase for phase in self.phases if self.epochs(phase))
        self.train, self.validation = self._data_sets(trained, skip_broken)
        self.left_out = list(dict.fromkeys((*self.train.left_out, *self.validation.left_out)))
        if self.left_out and world.first:
            print(f"warning: some of {plan.data} is left out:\n{listing(self.left_out)}", file=sys.stderr)
        self.train.check(plan.task)
        if len(self.train) < self.recipe.batch_size:
            raise LncaError(
                f"{len(self.train)} training tiles are fewer than a batch of {self.recipe.batch_size}; give more "
                "pictures or a smaller --batch-size"
            )
        torch.manual_seed(derive(plan.seed, "weights"))
        self.model: RestorationModel = module_of(settings)
        self.begun: str | None = None
        self.draws = plan.seed
        if plan.initial is not None and saved is None:
            self.begun = begin_with(self.model, plan.initial, plan.seed)
            self.draws = derive(plan.seed, hashlib.sha256(plan.initial.read_bytes()).hexdigest())
        self.model.to(self.device)
        self.position = {"phase": 0, "epoch": 0, "batch": 0, "step": 0}
        self.best = dict(NO_SCORE)
        self.history: list[dict[str, Any]] = []
        self.trainer: Trainer | None = None
        self.sums: dict[str, float] = {}
        self.stop: int | None = None
        self.pixels, self.seconds = 0.0, 0.0
        if saved is not None:
            self._restore(saved)
        else:
            if plan.minutes is not None:
                self._fit(plan.minutes)
            if world.first:
                described = self._description() | ({"left_out": self.left_out} if self.left_out else {})
                write_whole(folder / "run.json", (json.dumps(described, indent=2) + "\n").encode())
        self.log = Log(folder, self.position["step"]) if world.first else None
        self.sheet = ContactSheet(folder / "sheets")

    def _data_sets(self, phases: tuple[str, ...], skip_broken: bool) -> tuple[TileSet | CropSet, TileSet | CropSet]:
        """The training and validation sets; raises `Unreadable` with the broken files of both."""
        found, problems = [], []
        splits: tuple[Split, Split] = ("train", "validation")
        for split in splits:
            try:
                found.append(open_samples(self.plan, split, phases, skip_broken))
            except Unreadable as error:
                problems += error.problems
        if problems:
            raise Unreadable(problems)
        train, validation = found
        return train, validation

    @property
    def batches_per_epoch(self) -> int:
        return len(self.train) // self.recipe.batch_size

    @property
    def megapixels_per_second(self) -> float:
        """Speed of training of all processes together, without validation."""
        return self.pixels / self.seconds / 1e6 if self.seconds else 0.0

    def epochs(self, phase: str) -> int:
        return getattr(self.recipe, phase).epochs

    def __call__(self) -> Path:
        """Trains to the end; returns the weight file.

        Raises:
            Interrupted: after Ctrl-C or SIGTERM, when the state is saved.
            LncaError: a loss exploded, or a batch did not fit into memory; the message names the last good checkpoint.
        """
        with self._interruptible():
            while self.position["phase"] < len(self.phases):
                self._phase(self.phases[self.position["phase"]])
        return self._finish()

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Ends the run after the current batch, like that signal."""
        self.stop = number

    def _phase(self, phase: str) -> None:
        epochs = self.epochs(phase)
        if epochs and self.trainer is None:
            self.trainer = self._trainer(phase)
        while self.position["epoch"] < epochs:
            self._epoch(phase, self.position["epoch"])
        if epochs and self.best["model"] is not None:
            self.model.load_state_dict(self.best["model"])
        self.trainer = None
        self.best = dict(NO_SCORE)
        self.position.update(phase=self.position["phase"] + 1, epoch=0, batch=0)
        self._save()

    def _trainer(self, phase: str) -> Trainer:
        """The trainer of a phase."""
        return trainer_of(phase, self.model, self.recipe, self.epochs(phase) * self.batches_per_epoch, self.world)

    def _epoch(self, phase: str, epoch: int) -> None:
        epochs, per_epoch = self.epochs(phase), self.batches_per_epoch
        difficulty = self.curriculum.end if phase == "joint" else self.curriculum.difficulty(epoch, epochs)
        for batch, sample in self._batches(phase, epoch):
            key = (self.draws, phase, epoch, batch)
            done, total = epoch * per_epoch + batch, epochs * per_epoch
            where = f"in phase {phase}, epoch {epoch + 1}, batch {batch + 1}; {last_good(self.folder)}"
            values = self._step(phase, sample, difficulty, done / total, key, where)
            for name, value in values.items():
                self.sums[name] = self.sums.get(name, 0.0) + value
            self.position["batch"] = batch + 1
            self.position["step"] += 1
            if self.log is not None:
                self.log.scalars(phase, self.position["step"], values)
            best = self.best["ssim"]
            shown = {"loss": values["loss"], "ssim": best if best is not None else float("nan")}
            self.progress(phase, done + 1, total, {**shown, "speed": self.megapixels_per_second})
            asked = max(self.world.told(self.stop or 0))
            if asked:
                self._save()
                raise Interrupted(asked, self._so_far(phase))
            if self.position["step"] % self.recipe.checkpoint_every == 0:
                self._save()
        self._end_epoch(phase, epoch, difficulty)

    def _step(
        self, phase: str, sample: Tensor, difficulty: float, share: float, key: tuple[int | str, ...], where: str
    ) -> dict[str, float]:
        """Trains on one batch, which is drawn with `key` after a `share` of the phase; returns its losses."""
        assert self.trainer is not None
        start, draw = time.perf_counter(), generator(self.device, *key)
        # Each process has its own generators.
        torch.manual_seed(derive(*key, "dropout", *[self.world.rank] * (self.world.size > 1)))
        try:
            batch = draw_batch(
                self.train, self.plan, phase, sample, difficulty, share, draw, augment=self.recipe.augment
            )
            values = self.trainer.train_batch(batch, draw)
        except (Exploded, NotFinite) as error:
            what = str(error) or "a gradient became infinite or no number"
            raise LncaError(f"{what}, {where}; lower the learning rate, or use the recipe 'stable'") from error
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            raise LncaError(
                f"a batch of {self.recipe.batch_size} does not fit into memory, {where}; {self._smaller(phase)}"
            ) from error
        self.pixels += batch.anchor.numel() / 3
        self.seconds += time.perf_counter() - start
        return values

    def _fit(self, minutes: float) -> None:
        """Sets the number of crops of an epoch to what fits into these minutes, measured on a copy of the model."""
        if not isinstance(self.train, CropSet):
            raise LncaError("--minutes is for the tasks of photographs, whose crops have no end; give --epochs instead")
        model, self.model = self.model, copy.deepcopy(self.model)
        costs = [self._cost(phase) for phase in self.phases if self.epochs(phase)]
        self.model, self.trainer, self.pixels, self.seconds = model, None, 0.0, 0.0
        batches = min(self.world.told(batches_within(minutes, costs)))
        self.train = dataclasses.replace(self.train, count=batches * self.recipe.batch_size)

    def _cost(self, phase: str) -> Cost:
        self.trainer = self._trainer(phase)
        times: list[float] = []
        # The first batch allocates memory and does not count. The first process decides how many batches all measure.
        while len(times) <= PILOT_BATCHES or self.world.told(sum(times) < PILOT_SECONDS)[0]:
            before, key = self.seconds, (self.draws, phase, "pace", len(times))
            sample = torch.arange(self.recipe.batch_size)
            self._step(phase, sample, self.curriculum.end, 0.5, key, f"in phase {phase}, before it began")
            times.append(self.seconds - before)
        start = time.perf_counter()
        self.validate(phase, PILOT_SAMPLES)
        validation = (time.perf_counter() - start) * max(len(self.validation) / PILOT_SAMPLES, 1)
        return Cost(self.epochs(phase), sum(times[1:]) / len(times[1:]), validation)

    def _smaller(self, phase: str) -> str:
        """Advice for a batch that does not fit into memory."""
        anew = "begin again with a smaller --batch-size"
        parts = 2 * self.recipe.micro_batches
        if phase == "autoencoder" or parts > self.recipe.batch_size // self.world.size:
            return anew
        return f"--resume with --set micro_batches={parts}, which cuts it into parts, or {anew}"

    def _batches(self, phase: str, epoch: int) -> Iterator[tuple[int, Tensor]]:
        """The remaining batches of the epoch: their numbers and the numbers of their tiles."""
        size = self.recipe.batch_size
        order = torch.randperm(len(self.train), generator=generator("cpu", self.draws, phase, epoch, "order"))
        for batch in range(self.position["batch"], self.batches_per_epoch):
            yield batch, order[batch * size : (batch + 1) * size]

    def _end_epoch(self, phase: str, epoch: int, difficulty: float) -> None:
        quality, examples = self.validate(phase)
        means = {name: total / self.batches_per_epoch for name, total in self.sums.items()}
        score, best = self._score(quality), self.best["score"]
        if best is None or math.isnan(best) or score > best:
            weights = {name: value.detach().cpu().clone() for name, value in self._kept().state_dict().items()}
            self.best = {"score": score, "ssim": quality["ssim"], "epoch": epoch, "model": weights}
        record = {
            "phase": phase,
            "epoch": epoch + 1,
            "difficulty": difficulty,
            **means,
            **{f"validation_{name}": value for name, value in quality.items()},
        }
        self.history.append(record)
        if self.log is not None:
            self.log.epoch(self.position["step"], record)
            if (epoch + 1) % self.recipe.sheet_every == 0 or epoch + 1 == self.epochs(phase):
                self.sheet.save(f"{phase}-{epoch + 1:03d}.png", examples)
        self.sums = {}
        self.position.update(epoch=epoch + 1, batch=0)
        self._save()

    def _kept(self) -> RestorationModel:
        """The model that is validated and saved, which may be a moving average of the trained one."""
        return self.trainer.kept if isinstance(self.trainer, LevelTrainer) else self.model

    def _score(self, quality: dict[str, float]) -> float:
        return self.trainer.value(quality) if isinstance(self.trainer, LevelTrainer) else quality["ssim"]

    def validate(self, phase: str, most: int | None = None) -> tuple[dict[str, float], list[Tensor]]:
        """SSIM and PSNR over the validation tiles (at most `most`) at the test difficulty, further scores of the
        phase's trainer, and eight examples (clean, corrupted, restored)."""
        assert self.trainer is not None
        scores: dict[str, list[Tensor]] = {}
        examples: list[Tensor] = []
        count = min(len(self.validation), most or len(self.validation))
        for start in range(0, count, 256):
            index = torch.arange(start, min(start + 256, count))
            draw = generator(self.device, self.plan.seed, "validation", start)
            batch = draw_batch(self.validation, self.plan, phase, index, self.curriculum.test, 1, draw, augment=False)
            anchor, positive = batch.anchor, batch.positive
            restored = self._restored(anchor, positive)
            found = {
                "ssim": metrics.ssim(restored, anchor),
                "psnr": decibels(restored, anchor),
                "input_ssim": metrics.ssim(positive, anchor),
                **(self.trainer.scores(batch) if isinstance(self.trainer, LevelTrainer) else {}),
            }
            for name, values in found.items():
                scores.setdefault(name, []).append(values)
            examples = examples or [anchor[:8], positive[:8], restored[:8]]
        return {name: torch.cat(values).mean().item() for name, values in scores.items()}, examples

    def _restored(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """Restores a batch with all processes, in equal shares as far as possible."""
        assert self.trainer is not None
        world = self.world
        shared = len(anchor) // world.size * world.size
        parts = []
        if shared:
            own = world.part(shared)
            parts.append(world.gathered(self.trainer.restore(anchor[own], positive[own])))
        if shared < len(anchor):
            parts.append(self.trainer.restore(anchor[shared:], positive[shared:]))
        return torch.cat(parts).float()

    def _finish(self) -> Path:
        path = self.folder / f"{self.plan.name}.safetensors"
        if self.log is not None:
            save_weights(path, self.model, self.plan.model, self.settings, self._card())
            self.log.close()
            self._path_so_far.unlink(missing_ok=True)
        return path

    @property
    def _path_so_far(self) -> Path:
        return self.folder / f"{self.plan.name}-so-far.safetensors"

    def _so_far(self, phase: str) -> Path | None:
        """Writes the best weights of the last phase, or the current ones before its first validation."""
        if phase != [name for name in self.phases if self.epochs(name)][-1]:
            return None
        if self.world.first:
            model = copy.deepcopy(self._kept())
            if self.best["model"] is not None:
                model.load_state_dict(self.best["model"])
            card = {**self._card(), "unfinished": self.position["step"]}
            save_weights(self._path_so_far, model, self.plan.model, self.settings, card)
        return self._path_so_far

    def _description(self) -> dict[str, Any]:
        """The plan, and the crops of an epoch if --minutes determined them."""
        return {**self.plan.describe(), **({} if self.plan.minutes is None else {"crops": len(self.train)})}

    def _card(self) -> dict[str, Any]:
        begun = {} if self.begun is None else {"initial": self.begun}
        return {**self._description(), **begun, "lnca": __version__, "commit": commit(), "history": self.history}

    def _save(self) -> None:
        content = {
            "plan": self.plan.describe(),
            "digest": self.train.digest,
            "position": self.position,
            "model": self.model.state_dict(),
            "trainer": None if self.trainer is None else self.trainer.state_dict(),
            "best": self.best,
            "sums": self.sums,
            "history": self.history,
            "begun": self.begun,
            "draws": self.draws,
            "samples": len(self.train),
        }
        if self.world.first:
            write_checkpoint(self.folder, self.position["step"], content)

    def _restore(self, saved: dict) -> None:
        try:
            if saved["digest"] != self.train.digest:
                raise LncaError(
                    f"the pictures in {self.plan.data} changed since the run began; put them back to resume"
                )
            self._continue(saved)
        except LncaError:
            raise
        # A right checksum does not prove that a run of this version wrote the checkpoint.
        except Exception as error:
            said = f"{type(error).__name__}: {in_short(error, 120)}"
            raise LncaError(
                f"the newest checkpoint in {self.folder} is not of this run ({said}); delete it to go on from the one "
                "before"
            ) from error

    def _continue(self, saved: dict) -> None:
        self.position = {name: int(saved["position"][name]) for name in self.position}
        if min(self.position.values()) < 0:
            raise ValueError(f"position {self.position}")
        self.best = {name: saved["best"][name] for name in self.best}
        self.sums, self.history, self.begun = dict(saved["sums"]), list(saved["history"]), saved["begun"]
        self.draws = int(saved["draws"])
        if isinstance(self.train, CropSet):
            self.train = dataclasses.replace(self.train, count=int(saved["samples"]))
        if self.best["model"] is not None:
            self.model.load_state_dict(self.best["model"])
        self.model.load_state_dict(saved["model"])
        if saved["trainer"] is not None:
            self.trainer = self._trainer(self.phases[self.position["phase"]])
            self.trainer.load_state_dict(saved["trainer"])

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Makes Ctrl-C and SIGTERM end the run after the current batch, and a second one at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def restore() -> None:
            for number, handler in previous.items():
                signal.signal(number, handler)

        def ask(number: int, frame: object) -> None:
            self.interrupt(number)
            restore()

        for number in previous:
            signal.signal(number, ask)
        try:
            yield
        finally:
            restore()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that there is not enough memory, on the CPU or on a GPU."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
