"""A training run: tiles, phases, epochs, checkpoints, logs. Interrupted anywhere, it continues to the same weights.

Nothing random is carried along: every batch draws from generators made of (draws, phase, epoch, batch). `draws` is the
seed; of a training that begins with another's weights it is made of both, so that it sees other crops and other noise
than the one that made them.
"""

import hashlib
import json
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import __version__, metrics
from ..data.crops import CropSet, open_crops
from ..data.splits import Split
from ..data.tile_set import TileSet, open_tiles
from ..degradation import MARGINS
from ..errors import LncaError, in_short
from ..files import write_whole
from ..nn.latent import LatentAutomaton
from ..nn.model import RestorationModel
from ..nn.pixel import PixelAutomaton
from ..nn.registry import resolve
from ..nn.weights_file import load_weights, save_weights
from ..randomness import derive, generator
from .autoencoder import AutoencoderTrainer
from .automaton import AutomatonTrainer, PixelTrainer
from .batch import Batch, Exploded, Trainer
from .checkpoint import last_good, read_checkpoint, write_checkpoint
from .direct import DirectTrainer
from .log import ContactSheet, Log
from .optimizer import NotFinite
from .plan import Plan, commit
from .recipe import PHASES
from .residual import ResidualTrainer
from .world import ALONE, World

# Crops that make an epoch, where the recipe does not say.
CROPS = 10_000


def begin_with(model: RestorationModel, path: Path, seed: int) -> str:
    """Gives a model the weights of a file, as far as names and shapes are the same; the others stay random. A map with
    more inputs than it had begins with zeros for them, one with more outputs with random ones.

    Args:
        seed: of the training. Weights that were trained with another one, and on the same pictures, have seen some that
            this training's split keeps for validation and test: a warning says so, and so does what is returned.

    Returns:
        How many, such as "36 of 48 tensors of lnca-denoise".

    Raises:
        LncaError: not half of them are the same.
    """
    own = model.state_dict()
    module, info = load_weights(path)
    given = module.state_dict()
    fitting, grown = {}, {}
    for name in given.keys() & own.keys():
        tensor, wanted = given[name], own[name]
        if tensor.ndim == wanted.ndim == 4:
            tensor = F.pad(tensor, (0, 0, 0, 0, 0, max(wanted.shape[1] - tensor.shape[1], 0)))
        if tensor.shape == wanted.shape:
            fitting[name] = tensor
        elif tensor.ndim in (1, 4) and tensor.shape[1:] == wanted.shape[1:] and len(tensor) < len(wanted):
            grown[name] = torch.cat([tensor, wanted[len(tensor) :]])
    if 2 * len(fitting) < len(own):
        raise LncaError(f"{path} holds a model of another shape; begin with one of the recipe's settings")
    model.load_state_dict(own | fitting | grown)
    begun = f"{len(fitting)} of {len(own)} tensors of {path.stem}"
    before = info.card.get("seed", seed)
    if before == seed:
        return begun
    print(
        f"warning: {path} was trained with --seed {before}, and so on another split: of the same pictures it has seen "
        f"some that --seed {seed} tests on",
        file=sys.stderr,
    )
    return f"{begun}, which were trained with seed {before}"


class Interrupted(Exception):
    """The run was asked to stop, was saved, and can be resumed.

    Args:
        signal: SIGINT, of Ctrl-C, or SIGTERM, as batch systems send it.
    """

    def __init__(self, number: int):
        super().__init__(number)
        self.signal = number


class Run:
    """One training in one folder.

    Args:
        plan: what is trained.
        folder: gets checkpoint, logs, contact sheets and, in the end, the weights.
        device: where.
        resume: continue from the folder's newest checkpoint; without it the folder must not hold one.
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
        progress: Callable[[str, int, int, dict[str, float]], None] = lambda *_: None,
        world: World = ALONE,
    ):
        self.plan, self.folder, self.device, self.world = plan, folder, torch.device(device), world
        self.recipe, self.progress = plan.recipe, progress
        self.curriculum = plan.recipe.curriculum(plan.task)
        self.settings = plan.recipe.model.get(plan.model, {})
        architecture, settings = resolve(plan.model, self.settings)
        self.phases = PHASES[architecture]
        if plan.recipe.batch_size < 2:
            raise LncaError("a batch of 1 has no negative samples; use a batch size of at least 2")
        world.part(plan.recipe.batch_size)
        saved = read_checkpoint(folder, plan, resume)
        self.train, self.validation = self._data("train"), self._data("validation")
        self.train.check(plan.task)
        if len(self.train) < self.recipe.batch_size:
            raise LncaError(
                f"{len(self.train)} training tiles are fewer than a batch of {self.recipe.batch_size}; give more "
                "pictures or a smaller --batch-size"
            )
        torch.manual_seed(derive(plan.seed, "weights"))
        self.model: RestorationModel = settings.build()
        self.begun: str | None = None
        self.draws = plan.seed
        if plan.initial is not None and saved is None:
            self.begun = begin_with(self.model, plan.initial, plan.seed)
            self.draws = derive(plan.seed, hashlib.sha256(plan.initial.read_bytes()).hexdigest())
        self.model.to(self.device)
        self.position = {"phase": 0, "epoch": 0, "batch": 0, "step": 0}
        self.best: dict[str, Any] = {"ssim": None, "epoch": None, "model": None}
        self.history: list[dict[str, Any]] = []
        self.trainer: Trainer | None = None
        self.sums: dict[str, float] = {}
        self.stop: int | None = None
        if saved is not None:
            self._restore(saved)
        elif world.first:
            write_whole(folder / "run.json", (json.dumps(plan.describe(), indent=2) + "\n").encode())
        self.log = Log(folder, self.position["step"]) if world.first else None
        self.sheet = ContactSheet(folder / "sheets")

    def _data(self, split: Split) -> TileSet | CropSet:
        plan, recipe = self.plan, self.plan.recipe
        limit = recipe.training_tiles if split == "train" else recipe.validation_tiles
        if plan.task == "denoise" or plan.task == "deblur":
            return open_tiles(plan.data, split, plan.seed, recipe.tile, limit)
        return open_crops(plan.data, split, plan.seed, recipe.crop, limit or CROPS, MARGINS[plan.task])

    @property
    def batches_per_epoch(self) -> int:
        return len(self.train) // self.recipe.batch_size

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
        """Ends the run, as that signal does, after the batch in progress."""
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
        self.best = {"ssim": None, "epoch": None, "model": None}
        self.position.update(phase=self.position["phase"] + 1, epoch=0, batch=0)
        self._save()

    def _trainer(self, phase: str) -> Trainer:
        batches = self.epochs(phase) * self.batches_per_epoch
        model, recipe, world = self.model, self.recipe, self.world
        if isinstance(model, PixelAutomaton):
            return PixelTrainer(model, recipe, recipe.vitca, batches, world)
        if not isinstance(model, LatentAutomaton):
            return DirectTrainer(model, recipe, getattr(recipe, phase), batches, world)
        if phase == "residual":
            return ResidualTrainer(model, recipe, recipe.residual, batches, world)
        if phase == "autoencoder":
            return AutoencoderTrainer(model, recipe, recipe.autoencoder, batches, world)
        return AutomatonTrainer(model, recipe, getattr(recipe, phase), batches, world, joint=phase == "joint")

    def _epoch(self, phase: str, epoch: int) -> None:
        assert self.trainer is not None
        epochs, per_epoch = self.epochs(phase), self.batches_per_epoch
        difficulty = self.curriculum.end if phase == "joint" else self.curriculum.difficulty(epoch, epochs)
        for batch, sample in self._batches(phase, epoch):
            key = (self.draws, phase, epoch, batch)
            draw = generator(self.device, *key)
            # Of several processes each has its own.
            torch.manual_seed(derive(*key, "dropout", *[self.world.rank] * (self.world.size > 1)))
            where = f"in phase {phase}, epoch {epoch + 1}, batch {batch + 1}; {last_good(self.folder)}"
            try:
                values = self.trainer.train_batch(self._batch(phase, sample, difficulty, draw), draw)
            except (Exploded, NotFinite) as error:
                what = str(error) or "a gradient became infinite or no number"
                raise LncaError(f"{what}, {where}; lower the learning rate, or use the recipe 'stable'") from error
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                raise LncaError(
                    f"a batch of {self.recipe.batch_size} does not fit into memory, {where}; {self._smaller(phase)}"
                ) from error
            for name, value in values.items():
                self.sums[name] = self.sums.get(name, 0.0) + value
            self.position["batch"] = batch + 1
            self.position["step"] += 1
            if self.log is not None:
                self.log.scalars(phase, self.position["step"], values)
            best = self.best["ssim"]
            self.progress(
                phase, epoch * per_epoch + batch + 1, epochs * per_epoch,
                {"loss": values["loss"], "ssim": best if best is not None else float("nan")},
            )  # fmt: skip
            asked = max(self.world.told(self.stop or 0))
            if asked:
                self._save()
                raise Interrupted(asked)
            if self.position["step"] % self.recipe.checkpoint_every == 0:
                self._save()
        self._end_epoch(phase, epoch, difficulty)

    def _smaller(self, phase: str) -> str:
        """What to do about a batch that does not fit."""
        anew = "begin again with a smaller --batch-size"
        parts = 2 * self.recipe.micro_batches
        if phase == "autoencoder" or parts > self.recipe.batch_size // self.world.size:
            return anew
        return f"--resume with --set micro_batches={parts}, which cuts it into parts, or {anew}"

    def _batch(self, phase: str, sample: Tensor, difficulty: float, draw: torch.Generator) -> Batch:
        task, augment, here = self.plan.task, self.recipe.augment, sample.to(self.device)
        if phase == "residual" and self.recipe.residual.kernel and isinstance(self.train, CropSet):
            anchor, positive, kernels = self.train.blurred(sample, draw, augment=augment)
            return Batch(anchor, positive, here, kernels)
        return Batch(*self.train.pairs(sample, task, difficulty, draw, augment=augment), here)

    def _batches(self, phase: str, epoch: int) -> Iterator[tuple[int, Tensor]]:
        """The epoch's batches from the current position on: their numbers and the numbers of their tiles."""
        size = self.recipe.batch_size
        order = torch.randperm(len(self.train), generator=generator("cpu", self.draws, phase, epoch, "order"))
        for batch in range(self.position["batch"], self.batches_per_epoch):
            yield batch, order[batch * size : (batch + 1) * size]

    def _end_epoch(self, phase: str, epoch: int, difficulty: float) -> None:
        quality, examples = self.validate()
        means = {name: total / self.batches_per_epoch for name, total in self.sums.items()}
        best = self.best["ssim"]
        # What learns nothing of pictures is not to be chosen by them.
        blind = phase == "residual" and not self.recipe.residual.decodes
        if blind or best is None or math.isnan(best) or quality["ssim"] > best:
            copy = {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}
            self.best = {"ssim": quality["ssim"], "epoch": epoch, "model": copy}
        record = {"phase": phase, "epoch": epoch + 1, "difficulty": difficulty, **means,
                  **{f"validation_{name}": value for name, value in quality.items()}}  # fmt: skip
        self.history.append(record)
        if self.log is not None:
            self.log.epoch(self.position["step"], record)
            if (epoch + 1) % self.recipe.sheet_every == 0 or epoch + 1 == self.epochs(phase):
                self.sheet.save(f"{phase}-{epoch + 1:03d}.png", examples)
        self.sums = {}
        self.position.update(epoch=epoch + 1, batch=0)
        self._save()

    def validate(self) -> tuple[dict[str, float], list[Tensor]]:
        """SSIM and PSNR over the validation tiles at the test difficulty, and eight examples (clean, corrupted,
        restored)."""
        assert self.trainer is not None
        scores: dict[str, list[Tensor]] = {"ssim": [], "psnr": [], "input_ssim": []}
        examples: list[Tensor] = []
        for start in range(0, len(self.validation), 256):
            index = torch.arange(start, min(start + 256, len(self.validation)))
            draw = generator(self.device, self.plan.seed, "validation", start)
            anchor, positive = self.validation.pairs(index, self.plan.task, self.curriculum.test, draw)
            restored = self._restored(anchor, positive)
            scores["ssim"].append(metrics.ssim(restored, anchor))
            scores["psnr"].append(metrics.psnr(restored, anchor))
            scores["input_ssim"].append(metrics.ssim(positive, anchor))
            examples = examples or [anchor[:8], positive[:8], restored[:8]]
        return {name: torch.cat(values).mean().item() for name, values in scores.items()}, examples

    def _restored(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """By all processes, in equal shares as far as they go."""
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
        begun = {} if self.begun is None else {"initial": self.begun}
        card = {**self.plan.describe(), **begun, "lnca": __version__, "commit": commit(), "history": self.history}
        if self.log is not None:
            save_weights(path, self.model, self.plan.model, self.settings, card)
            self.log.close()
        return path

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
        # A checksum says that a checkpoint is as it was written, not that a run of this version wrote it.
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
        if self.best["model"] is not None:
            self.model.load_state_dict(self.best["model"])
        self.model.load_state_dict(saved["model"])
        if saved["trainer"] is not None:
            self.trainer = self._trainer(self.phases[self.position["phase"]])
            self.trainer.load_state_dict(saved["trainer"])

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM end the run after the batch in progress; a second one ends it at once."""
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
    """Whether an error says that memory, of the processor or of a GPU, was not enough."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
