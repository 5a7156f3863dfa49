"""The widget: choose a layer and press a button; a layer beside it gets the denoised images."""

from typing import Any

from magicgui import magic_factory
from napari.layers import Image, Layer
from napari.qt.threading import create_worker
from napari.viewer import Viewer

import lnca

from .stacks import Range, denoised, ends, places


def denoisers(_: Any = None) -> list[str]:
    """Names of the trained models that denoise, that of photographs first."""
    names = [model.name for model in lnca.models() if model.card["task"].endswith("denoise")]
    return sorted(names, key=lambda name: (not name.startswith("photo"), name))


@magic_factory(
    call_button="Denoise",
    model={"choices": denoisers, "tooltip": "photo-denoise is for what cameras take."},
    values={"label": "black and white", "tooltip": "Values between which is denoised; what lies outside stays."},
    noise={
        "max": 1e9,
        "step": 0.1,
        "tooltip": "Standard deviation of the noise, in the layer's values; 0 estimates it in each plane.",
    },
    strength={"widget_type": "FloatSlider", "max": 1.0, "tooltip": "Share of the denoised layer in what comes out."},
)
def denoise(
    viewer: Viewer,
    layer: Image,
    model: str = "photo-denoise",
    values: Range = Range.VALUES,
    noise: float = 0.0,
    strength: float = 1.0,
) -> Any:
    """Denoises a layer plane by plane beside napari's own work, with a bar, and adds what it gives as a layer.

    Args:
        layer: (..., Y, X) grey or (..., Y, X, 3 or 4) RGB; of a multiscale one the finest scale.
        model: a name from `lnca.models()`.
        values: which values are black and white to the model.
        noise: standard deviation of the noise in the layer's values; 0 estimates it.
        strength: share of the denoised layer in what comes out, 0 to 1.

    Returns:
        The worker, already started; napari shows what it raises.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    _, looks, kind = layer.as_layer_data_tuple()
    looks |= {"name": f"{layer.name} denoised", "multiscale": False}

    def work() -> Any:
        between = ends(data, layer.rgb, values, tuple(layer.contrast_limits))
        return (yield from denoised(data, layer.rgb, between, lnca.load(model), noise, strength))

    return create_worker(
        work,
        _start_thread=True,
        _connect={"returned": lambda stack: viewer.add_layer(Layer.create(stack, looks, kind))},
        _progress={"total": len(places(data.shape, layer.rgb)), "desc": f"lnca: {layer.name}"},
    )
