from spandrel.architectures.LNCA import LNCAArch, PyramidAutomaton

from .util import (
    ModelFile,
    TestImage,
    assert_image_inference,
    assert_loads_correctly,
    assert_size_requirements,
    disallowed_props,
    skip_if_unchanged,
)

skip_if_unchanged(__file__)

# The address becomes that of the weights' release.
URL = "https://huggingface.co/OWNER/photo-denoise/resolve/main/model.safetensors"
NAME = "photo-denoise.safetensors"


def test_load():
    assert_loads_correctly(
        LNCAArch(),
        lambda: PyramidAutomaton(),
        lambda: PyramidAutomaton(channels=(8, 12, 16)),
        lambda: PyramidAutomaton(rules=1),
        lambda: PyramidAutomaton(filters=6, hidden=10),
        lambda: PyramidAutomaton(shared=5, own=3),
    )


def test_size_requirements():
    file = ModelFile.from_url(URL, name=NAME)
    assert_size_requirements(file.load_model())


def test_photo_denoise(snapshot):
    file = ModelFile.from_url(URL, name=NAME)
    model = file.load_model()
    assert model == snapshot(exclude=disallowed_props)
    assert isinstance(model.model, PyramidAutomaton)
    assert_image_inference(
        file,
        model,
        [TestImage.SR_32, TestImage.JPEG_15],
    )
