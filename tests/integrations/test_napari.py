"""The plugin of napari: stacks without napari, its manifest by npe2, and the widget in napari where it is installed."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import lnca

FOLDER = Path(__file__).parents[2] / "integrations" / "napari"

# Before Qt is imported: there is no screen.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture
def plugin(monkeypatch):
    """The plugin's folder can be imported from."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in [name for name in sys.modules if name.startswith("napari_lnca")]:
        del sys.modules[name]


@pytest.fixture
def stacks(plugin):
    from napari_lnca import stacks

    return stacks


def micrographs(frames=3, *, black=100, white=3200, deviation=150.0, dtype=np.uint16, size=(40, 48)):
    """Blobs that move on a dark ground, (T, Y, X): without noise, and with it."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    clean = np.stack(
        [
            black + (white - black) * np.exp(-((rows - 18) ** 2 + (columns - 20 - 2 * time) ** 2) / 60)
            for time in range(frames)
        ]
    )
    noisy = clean + np.random.default_rng(0).normal(0, deviation, clean.shape)
    return clean, noisy.clip(0, 4095).round().astype(dtype)


def finished(steps):
    """What a generator yields, and what it returns."""
    yielded = []
    while True:
        try:
            yielded.append(next(steps))
        except StopIteration as end:
            return yielded, end.value


def error(values, clean):
    return float(np.sqrt(((values.astype(float) - clean) ** 2).mean()))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_a_stack_keeps_its_values_and_loses_noise(stacks, dtype):
    clean, noisy = micrographs(dtype=dtype)
    between = stacks.ends(noisy, False, stacks.Range.VALUES, (0, 1))
    assert between == (noisy.min(), noisy.max())
    yielded, restored = finished(stacks.denoised(noisy, False, between, lnca.load("photo-denoise", "cpu")))
    assert yielded == [1, 2, 3]
    assert (restored.shape, restored.dtype) == (noisy.shape, noisy.dtype)
    assert error(restored, clean) < error(noisy, clean) / 2
    assert abs(restored.mean() - noisy.mean()) < 20


def test_planes_are_restored_by_themselves_in_any_number_of_axes(stacks):
    _, noisy = micrographs(4)
    restorer, between = lnca.load("photo-denoise", "cpu"), stacks.Ends(0, 4095)
    flat = finished(stacks.denoised(noisy, False, between, restorer))[1]
    deep = finished(stacks.denoised(noisy.reshape(2, 2, 40, 48), False, between, restorer))[1]
    assert np.array_equal(deep.reshape(flat.shape), flat)
    assert np.array_equal(finished(stacks.denoised(noisy[0], False, between, restorer))[1], flat[0])
    rgb = np.stack([noisy] * 3, -1)
    assert finished(stacks.denoised(rgb, True, between, restorer))[1].shape == rgb.shape


def test_what_lies_outside_the_range_stays(stacks):
    _, noisy = micrographs()
    between = stacks.ends(noisy, False, stacks.Range.LIMITS, (200, 1500))
    restored = finished(stacks.denoised(noisy, False, between, lnca.load("photo-denoise", "cpu")))[1]
    outside = (noisy < 200) | (noisy > 1500)
    assert outside.any()
    assert np.array_equal(restored[outside], noisy[outside])
    assert not np.array_equal(restored[~outside], noisy[~outside])


def test_the_noise_is_told_in_the_values_of_the_layer(stacks):
    clean, noisy = micrographs(deviation=200.0)
    restorer, between = lnca.load("photo-denoise", "cpu"), stacks.Ends(0, 4095)
    little, right = (finished(stacks.denoised(noisy, False, between, restorer, noise))[1] for noise in (5.0, 200.0))
    assert error(right, clean) < error(little, clean) / 2


def test_ends_of_types(stacks):
    for dtype, wanted in ((np.uint8, (0, 255)), (np.int16, (-32768, 32767)), (np.float64, (0, 1))):
        assert stacks.ends(np.zeros((8, 8), dtype), False, stacks.Range.TYPE, (0, 0)) == wanted


def test_what_is_refused(stacks):
    flat = np.full((2, 16, 16), 7.0)
    with pytest.raises(lnca.LncaError, match="got bool"):
        stacks.ends(flat > 0, False, stacks.Range.VALUES, (0, 1))
    with pytest.raises(lnca.LncaError, match="NaN or infinite"):
        stacks.ends(flat * np.nan, False, stacks.Range.VALUES, (0, 1))
    with pytest.raises(lnca.LncaError, match="white should be above black, got 7 and 7"):
        finished(stacks.denoised(flat, False, stacks.Ends(7, 7), None))
    with pytest.raises(lnca.LncaError, match="needs 3 axes"):
        stacks.places((16, 16), True)


def test_npe2_accepts_the_manifest(plugin):
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(FOLDER / "napari_lnca" / "napari.yaml")
    assert manifest.name == "napari-lnca"
    (widget,) = manifest.contributions.widgets
    (command,) = manifest.contributions.commands
    assert widget.command == command.id


def test_the_widget_adds_a_layer_in_napari(plugin):
    napari = pytest.importorskip("napari")
    pytest.importorskip("qtpy.QtWidgets")
    from napari.components import ViewerModel
    from napari_lnca.widget import denoise

    # The model of the viewer, without the canvas, which needs OpenGL.
    clean, noisy = micrographs()
    app, viewer = napari.qt.get_qapp(), ViewerModel()
    layer = viewer.add_image(noisy, name="cells", scale=(1, 0.5, 0.5), colormap="magma")
    denoise()(viewer=viewer, layer=layer)
    end = time.monotonic() + 60
    while len(viewer.layers) < 2 and time.monotonic() < end:
        app.processEvents()
        time.sleep(0.01)
    made = viewer.layers["cells denoised"]
    assert (made.data.shape, made.data.dtype, made.colormap.name) == (noisy.shape, noisy.dtype, "magma")
    assert np.array_equal(made.scale, layer.scale)
    assert error(made.data, clean) < error(noisy, clean) / 2
