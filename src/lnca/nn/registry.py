"""Names of architectures, their settings, and modules built from them."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from ..catalogue import unknown
from ..errors import LncaError
from .autoencoder import Autoencoder
from .latent import LatentAutomaton
from .nafca import NAFCA
from .vitca import ViTCA


@dataclass(frozen=True)
class LatentSettings:
    """Settings of both latent models; see `Autoencoder`, `Automaton` and `LatentAutomaton`."""

    latent_channels: int = 16
    hidden_channels: int = 32
    downsamplings: int = 2
    update_rate: float = 1.0
    steps: int = 64

    def assemble(self, rule: type, **settings: Any) -> LatentAutomaton:
        """The model around one rule."""
        channels = (self.latent_channels, self.latent_channels, self.hidden_channels, self.update_rate)
        autoencoder = Autoencoder(latent_channels=self.latent_channels, downsamplings=self.downsamplings)
        return LatentAutomaton(autoencoder, rule(*channels, **settings), self.steps)


@dataclass(frozen=True)
class LatentNAFCASettings(LatentSettings):
    """Settings of LatentNAFCA; see `NAFCA`."""

    embed: int = 128
    expansion: int = 4
    dropout: float = 0.1
    residual_scale: float = 0.1
    zero_head: bool = True

    def build(self) -> LatentAutomaton:
        """An untrained module."""
        return self.assemble(
            NAFCA,
            embed=self.embed,
            expansion=self.expansion,
            dropout=self.dropout,
            residual_scale=self.residual_scale,
            zero_head=self.zero_head,
        )


@dataclass(frozen=True)
class LatentViTCASettings(LatentSettings):
    """Settings of LatentViTCA; see `ViTCA`."""

    embed: int = 128
    heads: int = 4
    mlp: int = 64
    position: Literal["sinusoidal", "none"] = "sinusoidal"

    def build(self) -> LatentAutomaton:
        """An untrained module."""
        return self.assemble(ViTCA, embed=self.embed, heads=self.heads, mlp=self.mlp, position=self.position)


Settings = LatentNAFCASettings | LatentViTCASettings

ARCHITECTURES: dict[str, type[LatentNAFCASettings] | type[LatentViTCASettings]] = {
    "latent-nafca": LatentNAFCASettings,
    "latent-vitca": LatentViTCASettings,
}


def make_settings(name: str, settings: dict[str, Any]) -> Settings:
    """The settings of architecture `name`; raises `LncaError` for a name or a setting that is not there."""
    if name not in ARCHITECTURES:
        raise unknown("architecture", name, ARCHITECTURES)
    kind = ARCHITECTURES[name]
    fields = [field.name for field in dataclasses.fields(kind)]
    for key in settings:
        if key not in fields:
            raise unknown(f"setting of {name}", key, fields)
    return kind(**settings)


def build(name: str, **settings: Any) -> LatentAutomaton:
    """An untrained model, such as `build("latent-nafca", hidden_channels=48)`.

    Raises:
        LncaError: no such architecture or setting, or a value that does not fit.
    """
    try:
        return make_settings(name, settings).build()
    except (TypeError, ValueError) as error:
        raise LncaError(f"cannot build {name}: {error}") from error
