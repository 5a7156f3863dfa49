"""Builds modules from the names and settings of architectures."""

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

from torch import Tensor

from ..architectures import (
    DeblurSettings,
    LatentNAFCASettings,
    LatentSettings,
    LatentViTCASettings,
    NAFNetSettings,
    PyramidSettings,
    ResidualSettings,
    RestormerSettings,
    Settings,
    ViTCASettings,
    resolve,
)
from ..errors import LncaError, in_short
from . import nafnet, restormer
from .autoencoder import Autoencoder
from .deblurring import Deblurrer
from .latent import LatentAutomaton
from .model import RestorationModel
from .nafca import NAFCA
from .nafnet import NAFNet
from .pixel import PixelAutomaton
from .pyramid import PyramidAutomaton
from .residual import ResidualCoder
from .restormer import Restormer
from .rules import rule_named
from .vitca import ViTCA


@singledispatch
def module_of(settings: Settings) -> RestorationModel:
    """An untrained module; settings from other packages build their own modules."""
    return settings.build()  # type: ignore[attr-defined]


def _latent(settings: LatentSettings, rule: type, **options: Any) -> LatentAutomaton:
    """The paper's autoencoder with a rule."""
    width = settings.latent_channels
    autoencoder = Autoencoder(latent_channels=width, downsamplings=settings.downsamplings)
    automaton = rule(width, width, settings.hidden_channels, settings.update_rate, **options)
    return LatentAutomaton(autoencoder, automaton, settings.steps)


@module_of.register
def _(settings: LatentNAFCASettings) -> LatentAutomaton:
    names = ("embed", "expansion", "dropout", "residual_scale", "zero_head")
    return _latent(settings, NAFCA, **{name: getattr(settings, name) for name in names})


@module_of.register
def _(settings: LatentViTCASettings) -> LatentAutomaton:
    names = ("embed", "heads", "mlp", "position")
    return _latent(settings, ViTCA, **{name: getattr(settings, name) for name in names})


@module_of.register
def _(settings: ResidualSettings) -> LatentAutomaton:
    coder = ResidualCoder(
        width=settings.width,
        shrink=settings.shrink,
        latent_channels=settings.latent_channels,
        output_channels=settings.output_channels,
        mixing=settings.mixing,
    )
    channels = (settings.latent_channels, settings.output_channels, settings.hidden_channels)
    options: dict[str, dict[str, Any]] = {
        "nafca": {"embed": settings.embed, "expansion": settings.expansion, "dropout": 0.0},
        "vitca": {"embed": settings.embed, "heads": settings.heads, "mlp": settings.mlp, "position": "none"},
    }
    rule = rule_named(settings.rule)(*channels, **options.get(settings.rule, {}))
    return LatentAutomaton(coder, rule, settings.steps)


@module_of.register
def _(settings: PyramidSettings) -> PyramidAutomaton:
    return PyramidAutomaton(settings.channels, settings.rules, settings.steps)


@module_of.register
def _(settings: DeblurSettings) -> Deblurrer:
    return Deblurrer(settings.channels, settings.rules, settings.steps)


@module_of.register
def _(settings: ViTCASettings) -> PixelAutomaton:
    rule = ViTCA(
        3,
        3,
        settings.hidden_channels,
        settings.update_rate,
        embed=settings.embed,
        heads=settings.heads,
        mlp=settings.mlp,
        position=settings.position,
    )
    return PixelAutomaton(rule, settings.steps)


@module_of.register
def _(settings: NAFNetSettings) -> NAFNet:
    return NAFNet(**vars(settings))


@module_of.register
def _(settings: RestormerSettings) -> Restormer:
    return Restormer(**vars(settings))


# Settings deduced from the names and shapes of a public state dict.
DEDUCED: dict[str, Callable[[Mapping[str, Tensor]], dict[str, Any]]] = {
    "nafnet": nafnet.settings_of,
    "restormer": restormer.settings_of,
}


def build(name: str, /, *, state_dict: Mapping[str, Tensor] | None = None, **settings: Any) -> RestorationModel:
    """A torch module: untrained, such as `build("latent-nafca", hidden_channels=48)`, or with public weights, such as
    `build("nafnet", state_dict=torch.load("nafnet.pth", weights_only=True)["params"])`.

    Args:
        name: an architecture or a preset.
        state_dict: weights with the names of NAFNet's or Restormer's release; the settings are deduced from them.
        settings: fields of the architecture's settings.

    Raises:
        LncaError: unknown architecture or setting, a value that does not fit, or weights of another architecture.
    """
    if state_dict is not None:
        if name not in DEDUCED:
            raise LncaError(f"settings can be deduced for {' and '.join(DEDUCED)} only, not for {name}")
        try:
            settings = {**DEDUCED[name](state_dict), **settings}
        except (KeyError, ValueError, IndexError) as error:
            raise LncaError(f"these are no weights of {name}: {error} is missing") from error
        except (TypeError, AttributeError) as error:
            raise LncaError(f"these are no weights of {name}; give a state dict") from error
    try:
        model = module_of(resolve(name, settings)[1])
        if state_dict is not None:
            model.load_state_dict(state_dict, strict=True)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise LncaError(f"cannot build {name}: {in_short(error, 300)}") from error
    return model
