"""Recipes: a whole experiment as data, with model settings, corruption, phases, their losses and optimizers.

Recipes are YAML files with the fields of `Recipe`; the package has `paper` (literal), `stable` (the
default), and those that trained the shipped models.
"""

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from ..architectures import ARCHITECTURES, settings_of
from ..corruption import Curriculum, Task
from ..degradation import PhotoTask
from ..errors import LncaError, in_short
from .muon import MuonSettings
from .optimizer import OptimizerSettings

try:
    import yaml
except ModuleNotFoundError as error:
    raise LncaError("training needs PyYAML: pip install 'lnca[train]'") from error


Backward = typing.Literal["keep", "recompute", "segments", "budget"]
# Limits of a recipe's file: its characters, its values, and their depth of nesting.
LONGEST, MOST, DEEPEST = 1_000_000, 10_000, 20


@dataclass(frozen=True, kw_only=True)
class AutoencoderPhase:
    """Phase 1 (paper 3.2.1).

    Args:
        epochs: passes over the training tiles.
        reconstruction, distance, task, equivalence: weights of equations (3), (4), (5), (6).
        margin: alpha of equation (4).
        perturbation: standard deviation of epsilon in equation (6).
        ssim: weight of 1 - SSIM, added for D(clean latent, corrupted skip) beside equation (6) (0 in the paper).
        batch_norm: "synchronised" uses the statistics of the whole batch, over all processes; "frozen" uses those of
            the initial weights.
    """

    epochs: int = 20
    reconstruction: float = 100.0
    distance: float = 10.0
    task: float = 10.0
    equivalence: float = 100.0
    margin: float = 1.0
    perturbation: float = 0.5
    ssim: float = 0.0
    batch_norm: typing.Literal["synchronised", "frozen"] = "synchronised"
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)


@dataclass(frozen=True, kw_only=True)
class AutomatonPhase:
    """Phase 2 (paper 3.2.2), and the optional third phase, which trains all parts together.

    Args:
        epochs: passes over the training tiles; 0 leaves the phase out.
        reconstruction, latent, output_overflow, hidden_overflow: weights of equations (7), (8), and (9) for output and
            hidden channels.
        l1, ssim: weights of the mean absolute error and of 1 - SSIM of the restored picture (0 in the paper).
        standardise_latent: divide equation (8) by the variance of the clean latents.
        output_range: interval of equation (9) for the output channels; "latent" takes the range of the clean latents.
        fewest_steps, most_steps: bounds of the number of steps, which is drawn for every batch.
        pool: samples in the replay pool; 0 trains only on fresh samples.
    """

    epochs: int = 20
    reconstruction: float = 100.0
    latent: float = 100.0
    output_overflow: float = 1.0
    hidden_overflow: float = 1.0
    l1: float = 0.0
    ssim: float = 0.0
    standardise_latent: bool = False
    output_range: tuple[float, float] | typing.Literal["latent"] = (0.0, 1.0)
    fewest_steps: int = 8
    most_steps: int = 32
    pool: int = 1024
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)


@dataclass(frozen=True, kw_only=True)
class PixelPhase:
    """The only phase of ViTCA in pixel space.

    Args:
        reconstruction, overflow: weights of the mean absolute error and of equation (9) (for output and hidden
            channels).
        epochs, fewest_steps, most_steps, pool: as in `AutomatonPhase`.
    """

    epochs: int = 20
    reconstruction: float = 100.0
    overflow: float = 100.0
    fewest_steps: int = 8
    most_steps: int = 32
    pool: int = 1024
    optimizer: OptimizerSettings = OptimizerSettings(learning_rate=1e-3)


@dataclass(frozen=True, kw_only=True)
class DirectPhase:
    """The only phase of NAFNet ("psnr": negative PSNR) or Restormer ("l1": mean absolute error)."""

    loss: typing.Literal["psnr", "l1"]
    epochs: int = 20
    optimizer: OptimizerSettings = OptimizerSettings(learning_rate=1e-3, normalise_gradients=False)


@dataclass(frozen=True, kw_only=True)
class ResidualPhase:
    """The only phase of a latent automaton with a path at full resolution: trains all parts together.

    Args:
        epochs, fewest_steps, most_steps: as in `AutomatonPhase`.
        l1, ssim: weights of the mean absolute error and of 1 - SSIM of the restored picture.
        balance: a picture's error is divided by its own mean absolute error to this power (`losses.balanced_error`).
        overflow: weight of equation (9) for output and hidden channels, with the interval [-3, 3].
        settled: share of the batches whose cells first run up to `longest` steps without a gradient, so that the rule
            learns to keep a restored picture.
        longest: see `settled`.
        rest: weight of the mean absolute change of these batches' cells in one more step, so that the cells come to
            rest.
        fixed: prefixes of the names of parameters that are not trained, such as "autoencoder.features".
    """

    epochs: int = 20
    fewest_steps: int = 4
    most_steps: int = 20
    l1: float = 1.0
    ssim: float = 0.1
    balance: float = 0.0
    overflow: float = 1e-3
    settled: float = 0.25
    longest: int = 64
    rest: float = 0.0
    fixed: tuple[str, ...] = ()
    optimizer: OptimizerSettings = OptimizerSettings(
        learning_rate=2e-3, warmup=0.1, weight_decay=1e-4, normalise_gradients=False, clip_norm=1.0
    )


@dataclass(frozen=True, kw_only=True)
class NoiseLevelPhase:
    """The first phase of an automaton on three lattices, on crops of photographs: its estimator of noise levels.

    Args:
        epochs: passes over `training_tiles` crops.
        crops: sides of the crops at the beginning and at the end, in pixels, multiples of 8; they grow evenly.
        plain: share of the crops with plain noise (`lnca.degradation.plain_noise`) instead of camera degradations.
    """

    epochs: int = 2
    crops: tuple[int, int] = (192, 192)
    plain: float = 0.25
    optimizer: OptimizerSettings = OptimizerSettings(
        learning_rate=3e-3, warmup=0.01, decay=0.6, betas=(0.9, 0.98), normalise_gradients=False, clip_norm=1.0
    )


@dataclass(frozen=True, kw_only=True)
class PyramidPhase:
    """The second phase of an automaton on three lattices: all other parts, which get the true levels.

    Args:
        epochs, crops, plain: as in `NoiseLevelPhase`.
        earlier: weight of the error after each step except the last one, which has a weight of 1.
        memory: decay of the exponential moving average of the weights, after its first updates.
        muon: optimizer of the convolutions of the rules.
        optimizer: optimizer of the other parameters, and the schedule of both.
    """

    epochs: int = 12
    crops: tuple[int, int] = (64, 96)
    plain: float = 0.5
    earlier: float = 0.1
    memory: float = 0.999
    muon: MuonSettings = MuonSettings()
    optimizer: OptimizerSettings = OptimizerSettings(
        learning_rate=1e-3, warmup=0.005, decay=0.3, betas=(0.9, 0.98), normalise_gradients=False, clip_norm=5.0
    )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole experiment. Each phase is a field; the other fields are:

    Args:
        batch_size: samples in a batch.
        tile: side in pixels of the squares that are cut from pictures and shrunk to 32x32.
        crop: for photographs, side of the crops if the phase does not set it; crops are not shrunk, and
            `training_tiles` of them are an epoch.
        augment: rotate and mirror the tiles at random.
        training_tiles: largest number of training tiles; None takes all.
        validation_tiles: largest number of tiles for the validation after each epoch.
        precision: "float32", or "bfloat16" for matrix products (the cells stay float32).
        compile: compile the automaton's step (needs a C++ compiler).
        backward: what back-propagation through the steps keeps. "keep": everything; "recompute": the cells after every
            step, and it computes each step again; "segments": the cells after every sqrt(n) steps, and it computes
            the others again; "budget": as little as the compiler needs (requires compile).
        micro_batches: number of parts of a batch that are computed one after the other: the same gradient in less
            memory. The autoencoder phase ignores it, since its batch norms and negatives need the whole batch. A run
            may be resumed with another number.
        denoise, deblur: see `Curriculum`.
        checkpoint_every: batches between checkpoints.
        sheet_every: epochs between contact sheets.
        exploded: a loss above this stops the run.
        model: settings given to `lnca.build`, by model.
    """

    name: str = "recipe"
    batch_size: int = 8
    tile: int = 64
    crop: int = 64
    augment: bool = False
    training_tiles: int | None = None
    validation_tiles: int = 1024
    precision: typing.Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    backward: Backward = "keep"
    micro_batches: int = 1
    checkpoint_every: int = 500
    sheet_every: int = 5
    exploded: float = 1e7
    denoise: Curriculum = Curriculum(0.25, 0.75, slope=1.0, test=0.5)
    deblur: Curriculum = Curriculum(4, 10, slope=15, test=7)
    autoencoder: AutoencoderPhase = field(default_factory=AutoencoderPhase)
    automaton: AutomatonPhase = field(default_factory=AutomatonPhase)
    joint: AutomatonPhase = field(default_factory=lambda: AutomatonPhase(epochs=0))
    residual: ResidualPhase = ResidualPhase()
    noise_level: NoiseLevelPhase = NoiseLevelPhase()
    pyramid: PyramidPhase = PyramidPhase()
    vitca: PixelPhase = PixelPhase()
    nafnet: DirectPhase = DirectPhase(loss="psnr")
    restormer: DirectPhase = DirectPhase(
        loss="l1", optimizer=OptimizerSettings(learning_rate=3e-4, normalise_gradients=False)
    )
    model: dict[str, dict] = field(default_factory=dict)

    def curriculum(self, task: Task | PhotoTask) -> Curriculum:
        """The curriculum of a task; photographs have none, and ignore the difficulty."""
        curricula: dict[str, Curriculum] = {"denoise": self.denoise, "deblur": self.deblur}
        return curricula.get(task, Curriculum(1, 1, 1, 1))


# The phases of each architecture, which are fields of the recipe.
PHASES = {name: phases for name in ARCHITECTURES if (phases := settings_of(name).phases)}


def shipped_recipes() -> list[str]:
    """Names of the recipes inside the package."""
    folder = resources.files("lnca") / "recipes"
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


class OneOfEach(yaml.SafeLoader):
    """Refuses a mapping with a duplicate field; YAML's own reader silently takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[typing.Hashable, typing.Any]:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> typing.Any:
    """Parses YAML into plain types; raises `yaml.YAMLError`."""
    return OneOfEach(text).get_single_data()


def load_recipe(name_or_path: str, overrides: typing.Iterable[str] = ()) -> Recipe:
    """Reads a shipped recipe or a YAML file.

    Args:
        overrides: "automaton.optimizer.learning_rate=1e-3" and the like, applied in order.

    Raises:
        LncaError: the recipe does not exist, or a field is unknown or of the wrong type.
    """
    if name_or_path in shipped_recipes():
        text = (resources.files("lnca") / "recipes" / f"{name_or_path}.yaml").read_text("utf-8")
    else:
        try:
            text = Path(name_or_path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            known = ", ".join(shipped_recipes())
            raise LncaError(f"no recipe {name_or_path!r}: it is neither one of {known} nor a readable file") from error
    if len(text) > LONGEST:
        raise LncaError(f"{name_or_path!r} is no recipe: it has more than {LONGEST // 1000} thousand characters")
    try:
        data = parse_yaml(text) or {}
        if not isinstance(data, dict):
            raise LncaError(f"recipe {name_or_path!r} should be a mapping of fields")
        for override in overrides:
            _override(data, override)
    except RecursionError as error:
        raise LncaError(f"recipe {name_or_path!r} is nested too deeply") from error
    # An invalid date or number raises ValueError.
    except (yaml.YAMLError, ValueError) as error:
        raise LncaError(f"recipe {name_or_path!r} is not valid YAML: {in_short(error, 300)}") from error
    return parse_recipe(data)


def with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with this number of epochs in all its phases."""
    phases = {name: getattr(recipe, name) for name in sorted(set().union(*PHASES.values()))}
    changed = {name: dataclasses.replace(phase, epochs=epochs) for name, phase in phases.items() if phase.epochs}
    return dataclasses.replace(recipe, **changed)


def parse_recipe(data: object) -> Recipe:
    """A recipe from plain dictionaries; raises `LncaError` naming the first field that is wrong."""
    _check_plain(data)
    return _parse(Recipe, data, "recipe", Recipe())


def _check_plain(data: object) -> None:
    """Raises `LncaError` for values that JSON cannot hold, and for aliases that make it endless (each use counts)."""
    left, found = [(data, 0)], 0
    while left:
        value, depth = left.pop()
        found += 1
        if found > MOST or depth > DEEPEST:
            raise LncaError("a recipe should not have its aliases in each other, nor thousands of fields")
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise LncaError(f"the fields of a recipe should have names, got {_shown(next(iter(value)))}")
            left += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list | tuple):
            left += [(inner, depth + 1) for inner in value]
        elif not isinstance(value, str | int | float | None):
            kind = type(value).__name__
            raise LncaError(f"a recipe should hold text, numbers, lists and mappings, got a {kind}: {_shown(value)}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _override(data: dict, text: str) -> None:
    path, equals, value = text.partition("=")
    if not equals:
        raise LncaError(f"{_shown(text)} should have the form field=value, such as automaton.epochs=5")
    *parents, last = path.split(".")
    for parent in parents:
        inner = data.get(parent, {})
        if not isinstance(inner, dict):
            raise LncaError(f"{_shown(text)}: {_shown(parent)[1:-1]} has no fields")
        # A copy, because a YAML alias is the same mapping in two places.
        data[parent] = data = dict(inner)
    data[last] = parse_yaml(value)


def _parse(kind: typing.Any, value: typing.Any, where: str, default: typing.Any) -> typing.Any:
    """Checks plain data against a type; a dataclass keeps the fields of `default` that are not given."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        if not isinstance(value, dict):
            raise LncaError(f"{where} should be a mapping of fields, got {_shown(value)}")
        unknown = set(value) - set(hints)
        if unknown:
            raise LncaError(f"{where} has no field {_shown(min(unknown))}; it has {', '.join(hints)}")
        fields = {name: _parse(hints[name], v, f"{where}.{name}", getattr(default, name)) for name, v in value.items()}
        return dataclasses.replace(default, **fields)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return _parse(option, value, where, default)
            except LncaError:
                continue
    elif origin is typing.Literal:
        if value in arguments:
            return value
    elif origin is tuple:
        if isinstance(value, list | tuple):
            options = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
            if len(value) == len(options):
                return tuple(_parse(option, item, where, None) for option, item in zip(options, value, strict=True))
    elif origin is dict:
        if isinstance(value, dict):
            return {name: _parse(arguments[1], inner, f"{where}.{name}", {}) for name, inner in value.items()}
    elif kind is float:
        # YAML reads 1e-3 as a string.
        try:
            return value if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    shown = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
    raise LncaError(f"{where} should be {shown}, got {_shown(value)}")
