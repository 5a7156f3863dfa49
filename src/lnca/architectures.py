"""Names of architectures and their settings, as in the headers of weight files."""

import dataclasses
import math
import typing
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Literal, Protocol

from .catalogue import unknown
from .errors import LncaError


class Settings(Protocol):
    """An architecture: a frozen dataclass of its settings, which the header of a weight file holds, and the phases of
    a recipe that train it (`lnca.training.trainers`). It has no phases if it uses the weights of another architecture.

    `lnca.nn.registry.module_of` builds its module, by the method `build` if it has one. A function registered with
    `lnca.runtime.models.runnable` builds the model that runs without torch.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    phases: ClassVar[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class LatentSettings:
    """Settings of both latent models; see `Autoencoder`, `Automaton` and `LatentAutomaton`."""

    phases: ClassVar[tuple[str, ...]] = ("autoencoder", "automaton", "joint")
    latent_channels: int = 16
    hidden_channels: int = 32
    downsamplings: int = 2
    update_rate: float = 1.0
    steps: int = 64


@dataclass(frozen=True, kw_only=True)
class LatentNAFCASettings(LatentSettings):
    """Settings of LatentNAFCA; see `NAFCA`."""

    embed: int = 128
    expansion: int = 4
    dropout: float = 0.1
    residual_scale: float = 0.1
    zero_head: bool = True


@dataclass(frozen=True, kw_only=True)
class LatentViTCASettings(LatentSettings):
    """Settings of LatentViTCA; see `ViTCA`."""

    embed: int = 128
    heads: int = 4
    mlp: int = 64
    position: Literal["sinusoidal", "none"] = "sinusoidal"


@dataclass(frozen=True, kw_only=True)
class ResidualSettings:
    """Settings of a latent automaton with a path at full resolution; see `ResidualCoder` and `rule_named`. Rules of
    other packages ignore the settings of the paper's two rules."""

    phases: ClassVar[tuple[str, ...]] = ("residual",)
    rule: str = "nafca"
    width: int = 16
    shrink: int = 1
    latent_channels: int = 16
    output_channels: int = 32
    hidden_channels: int = 16
    mixing: int = 96
    steps: int = 16
    embed: int = 128
    expansion: int = 4
    heads: int = 4
    mlp: int = 64


@dataclass(frozen=True, kw_only=True)
class PyramidSettings:
    """Settings of an automaton on three lattices; see `PyramidAutomaton`. 0 steps mean the number of rules."""

    phases: ClassVar[tuple[str, ...]] = ("noise_level", "pyramid")
    channels: tuple[int, int, int] = (64, 80, 96)
    rules: int = 3
    steps: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", self.steps or self.rules)


@dataclass(frozen=True, kw_only=True)
class DeblurSettings:
    """Settings of a deblurrer; see `Deblurrer`."""

    phases: ClassVar[tuple[str, ...]] = ()
    channels: tuple[int, int, int] = (64, 80, 96)
    rules: int = 3
    steps: int = 4


@dataclass(frozen=True, kw_only=True)
class ViTCASettings:
    """Settings of ViTCA in pixel space; see `ViTCA` and `PixelAutomaton`."""

    phases: ClassVar[tuple[str, ...]] = ("vitca",)
    hidden_channels: int = 32
    update_rate: float = 0.5
    steps: int = 64
    embed: int = 128
    heads: int = 4
    mlp: int = 64
    position: Literal["sinusoidal", "none"] = "sinusoidal"


@dataclass(frozen=True, kw_only=True)
class NAFNetSettings:
    """Settings of NAFNet; see `NAFNet`."""

    phases: ClassVar[tuple[str, ...]] = ("nafnet",)
    width: int = 64
    encoder_blocks: tuple[int, ...] = (2, 2, 4, 8)
    middle_blocks: int = 12
    decoder_blocks: tuple[int, ...] = (2, 2, 2, 2)
    image_channels: int = 3


@dataclass(frozen=True, kw_only=True)
class RestormerSettings:
    """Settings of Restormer; see `Restormer`."""

    phases: ClassVar[tuple[str, ...]] = ("restormer",)
    dim: int = 48
    num_blocks: tuple[int, int, int, int] = (4, 6, 6, 8)
    num_refinement_blocks: int = 4
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    ffn_expansion_factor: float = 2.66
    bias: bool = False
    norm_bias: bool = True
    image_channels: int = 3


# The settings of each architecture, or "module:class" of settings that are imported on demand.
ARCHITECTURES: dict[str, type[Settings] | str] = {
    "latent-nafca": LatentNAFCASettings,
    "latent-vitca": LatentViTCASettings,
    "lnca": ResidualSettings,
    "pyramid": PyramidSettings,
    "deblur": DeblurSettings,
    "vitca": ViTCASettings,
    "nafnet": NAFNetSettings,
    "restormer": RestormerSettings,
}

# Presets: smaller settings of an architecture, with about 1/20 of its arithmetic.
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "nafnet-tiny": (
        "nafnet",
        {"width": 20, "encoder_blocks": (1, 1, 2, 4), "middle_blocks": 6, "decoder_blocks": (1, 1, 1, 1)},
    ),
    "vitca-tiny": ("vitca", {"embed": 24, "heads": 4, "mlp": 16, "position": "none"}),
    "restormer-tiny": ("restormer", {"dim": 16, "num_blocks": (1, 2, 2, 4), "num_refinement_blocks": 2}),
}

# Settings that old weight files still have, with the value that means unused; None accepts any value.
RETIRED: dict[str, dict[str, Any]] = {
    "lnca": {
        "grain": False,
        "context": 0,
        "depth": 0,
        "scales": 0,
        "echoes": 0,
        "blurs": 0,
        "blur_lengths": None,
        "iterations": None,
        "border": None,
        "window": None,
    }
}


class RetiredError(LncaError):
    """A model has a part that this version no longer supports."""


# Largest integer in the settings, and most integers in one setting; models stay far below.
LARGEST, LONGEST = 4096, 16


def settings_of(architecture: str) -> type[Settings]:
    """The class of an architecture's settings.

    Raises:
        LncaError: its module cannot be imported.
    """
    kind = ARCHITECTURES[architecture]
    if not isinstance(kind, str):
        return kind
    module, _, name = kind.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise LncaError(f"{architecture} needs {kind}, which cannot be imported: {error}") from error


def resolve(name: str, settings: dict[str, Any]) -> tuple[str, Settings]:
    """The architecture of `name`, which may be a preset, and its settings with changes.

    Raises:
        LncaError: the name or a setting is unknown, or a value has the wrong type, is below 0 or above 4096;
            `RetiredError` for a setting of earlier versions.
    """
    architecture, preset = PRESETS.get(name, (name, {}))
    if architecture not in ARCHITECTURES:
        raise unknown("architecture", name, [*ARCHITECTURES, *PRESETS])
    kind: Any = settings_of(architecture)
    fields = [field.name for field in dataclasses.fields(kind)]
    hints = typing.get_type_hints(kind)
    for key, value in settings.items():
        retired = RETIRED.get(architecture, {})
        if key in retired:
            if retired[key] in (None, value):
                continue
            raise RetiredError(f"it has {key}, which {architecture} no longer has: train it again")
        if key not in fields:
            raise unknown(f"setting of {architecture}", key, fields)
        if not _fits(hints[key], value):
            wanted = str(getattr(hints[key], "__name__", hints[key])).replace("typing.", "")
            raise LncaError(
                f"{key} of {architecture} should be {wanted}, none above {LARGEST}, got {str(value)[:60]!r}"
            )
    kept = {key: value for key, value in settings.items() if key in fields}
    return architecture, kind(**{**preset, **kept})


def _fits(hint: Any, value: Any) -> bool:
    """Whether the value of a setting, which may come from a file, has the right type and a sensible size."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return any(type(value) is type(known) and value == known for known in arguments)
    if origin is tuple:
        if not isinstance(value, list | tuple) or len(value) > LONGEST:
            return False
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return len(value) == len(kinds) and all(map(_fits, kinds, value))
    if hint in (int, float):
        number = isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
        return number and math.isfinite(value) and 0 <= value <= LARGEST
    return isinstance(value, hint)
