"""Whole files as starting points, one of every kind that lnca reads; all are small and made here."""

import io
import json
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageCms

import lnca
from lnca.architectures import resolve
from lnca.catalogue import HEADER
from lnca.images.photo import Photo
from lnca.images.writing import write_photo
from lnca.training.recipe import shipped_recipes

SIDES = (24, 16)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"><rdf:RDF/></x:xmpmeta>'
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(channels: int, kind: Any = np.uint8, seed: int = 0) -> np.ndarray:
    width, height = SIDES
    shape = (height, width) if channels == 1 else (height, width, channels)
    generator = np.random.default_rng(seed)
    if kind is np.float32:
        return generator.random(shape, np.float32)
    return generator.integers(0, np.iinfo(kind).max, shape, kind)


def described() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    exif.get_ifd(0x8769)[0x829A] = 0.25
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 0.0)
    return exif


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.copy().save(buffer, kind, **options)
    return buffer.getvalue()


def written(photo: Photo, kind: str) -> bytes:
    buffer = io.BytesIO()
    write_photo(photo, buffer, kind, "the corpus")
    return buffer.getvalue()


def tiffs() -> list[bytes]:
    import tifffile

    made = []
    variants: tuple[tuple[int, Any, dict[str, Any]], ...] = (
        (3, np.uint8, {"compression": "lzw", "predictor": True}),
        (3, np.uint16, {"compression": "zlib"}),
        (1, np.uint16, {"tile": (16, 16)}),
        (3, np.float32, {"compression": "zlib", "predictor": True}),
        (1, np.float32, {"photometric": "minisblack", "bigtiff": True}),
        (4, np.uint16, {"byteorder": ">", "extrasamples": ["unassalpha"]}),
        (3, np.uint8, {"compression": "packbits"}),
        (3, np.uint16, {"planarconfig": "separate", "rowsperstrip": 4}),
    )
    for channels, kind, options in variants:
        buffer = io.BytesIO()
        array = noise(channels, kind)
        array = np.moveaxis(array, -1, 0) if options.get("planarconfig") == "separate" else array
        options = {"photometric": "rgb" if channels > 2 else "minisblack", **options}
        tifffile.imwrite(buffer, array, **options)
        made.append(buffer.getvalue())
    return made


def raw() -> bytes:
    """A raw file of a camera (DNG) with a Bayer pattern."""
    import tifffile

    buffer = io.BytesIO()
    unit = (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)
    tags = [
        (50706, 1, 4, (1, 4, 0, 0), True),
        (50708, 2, 0, "Camera", True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, (0, 1, 1, 2), True),
        (50721, 10, 9, unit, True),
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),
        (50717, 4, 1, 16383, True),
    ]
    bayer = np.random.default_rng(5).integers(0, 16384, (64, 96), np.uint16)
    tifffile.imwrite(buffer, bayer, photometric=32803, extratags=tags, metadata=None)
    return buffer.getvalue()


def avif() -> bytes:
    """An AVIF file of 10 bits."""
    import imagecodecs

    return bytes(imagecodecs.avif_encode(noise(3, np.uint16) >> 6, level=90, bitspersample=10))


def jxl() -> bytes:
    """A lossy JPEG XL file without container."""
    import imagecodecs

    return bytes(imagecodecs.jpegxl_encode(noise(3), lossless=False, distance=1.0, usecontainer=False))


def exr() -> bytes:
    """An OpenEXR file in half precision, with alpha and a further channel."""
    import OpenEXR

    buffer = io.BytesIO()
    channels = {"RGBA": noise(4, np.float32).astype(np.float16), "Z": noise(1, np.float32)}
    OpenEXR.File({"compression": OpenEXR.PIZ_COMPRESSION, "type": OpenEXR.scanlineimage}, channels).write(buffer)
    return buffer.getvalue()


def pictures() -> list[tuple[str, bytes]]:
    """Suffix and content of picture files of every format, depth and compression that is read."""
    colour, grey, alpha = (Image.fromarray(noise(channels)) for channels in (3, 1, 4))
    whole, deep = (Photo([noise(3, kind)], described(), XMP, ICC) for kind in (np.uint8, np.uint16))

    def film(kind: str) -> bytes:
        first, *rest = (Image.fromarray(noise(3, seed=seed)) for seed in range(3))
        options: dict[str, Any] = {} if kind in ("MPO", "TIFF") else {"duration": 40, "loop": 0}
        return saved(first, kind, save_all=True, append_images=rest, **options)

    deep_grey, deep_alpha = (Photo([noise(channels, np.uint16)]) for channels in (1, 4))
    jpegs = [
        written(whole, "JPEG"),
        saved(colour, "JPEG", progressive=True, quality=60),
        saved(grey, "JPEG"),
        saved(colour.convert("CMYK"), "JPEG", icc_profile=ICC),
        film("MPO"),
    ]
    pngs = [
        written(whole, "PNG"),
        saved(colour.quantize(16), "PNG", transparency=3),
        saved(grey.convert("1"), "PNG"),
        saved(grey.convert("LA"), "PNG"),
        film("PNG"),
        written(deep, "PNG"),
        written(deep_grey, "PNG"),
        written(deep_alpha, "PNG"),
    ]
    webps = [film("WEBP"), written(whole, "WEBP"), saved(alpha, "WEBP", lossless=True, exif=described())]
    gifs = [film("GIF"), saved(colour, "GIF", transparency=1)]
    bmps = [saved(colour, "BMP"), saved(colour.quantize(4), "BMP")]
    tifs = [
        written(whole, "TIFF"),
        film("TIFF"),
        saved(colour, "TIFF", compression="tiff_lzw"),
        *tiffs(),
        saved(colour, "TIFF", compression="jpeg"),
        saved(grey.convert("1"), "TIFF", compression="group4"),
        saved(grey.convert("F"), "TIFF"),
    ]
    light = Photo([noise(3, np.float32)])
    more = {
        ".heic": [written(whole, "HEIC"), written(deep, "HEIC"), written(Photo([noise(3), noise(4)]), "HEIC")],
        ".avif": [written(whole, "AVIF"), film("AVIF"), avif()],
        ".jxl": [written(whole, "JXL"), written(deep_alpha, "JXL"), written(light, "JXL"), jxl()],
        ".jp2": [written(whole, "JP2"), written(deep, "JP2"), saved(colour, "JPEG2000", no_jp2=True)],
        ".exr": [written(light, "EXR"), exr()],
        ".hdr": [written(light, "HDR")],
        ".ppm": [written(whole, "PNM"), written(deep_alpha, "PNM"), b"P2 # words\n16 8\n15\n" + b"1 2 3 4 " * 32],
        ".pfm": [written(light, "PFM")],
        ".tga": [written(whole, "TGA"), saved(colour.quantize(16), "TGA"), saved(alpha, "TGA")],
    }
    kinds = {".jpg": jpegs, ".png": pngs, ".webp": webps, ".gif": gifs, ".bmp": bmps, ".tif": tifs, ".dng": [raw()]}
    kinds |= more
    return [(suffix, content) for suffix, contents in kinds.items() for content in contents]


# Small models of every architecture.
SMALL: dict[str, dict[str, Any]] = {
    "latent-nafca": {"latent_channels": 4, "hidden_channels": 4, "embed": 8, "expansion": 2, "steps": 2},
    "latent-vitca": {
        "latent_channels": 4,
        "hidden_channels": 4,
        "embed": 8,
        "heads": 2,
        "mlp": 8,
        "position": "none",
        "steps": 2,
    },
    "lnca": {
        "width": 4,
        "latent_channels": 4,
        "output_channels": 4,
        "hidden_channels": 4,
        "mixing": 8,
        "embed": 8,
        "expansion": 2,
        "steps": 2,
    },
    "vitca": {"hidden_channels": 4, "embed": 8, "heads": 2, "mlp": 8, "position": "none", "steps": 2},
    "nafnet": {"width": 4, "encoder_blocks": (1,), "middle_blocks": 1, "decoder_blocks": (1,)},
    "restormer": {"dim": 2, "num_blocks": (1, 1, 1, 1), "num_refinement_blocks": 1, "heads": (1, 1, 1, 1)},
}


def weights() -> list[tuple[dict[str, Any], dict[str, torch.Tensor]]]:
    """Headers (version, architecture, settings, card) and tensors of small models."""
    made = []
    for name, settings in SMALL.items():
        torch.manual_seed(0)
        model = lnca.build(name, **settings)
        full = vars(resolve(name, settings)[1])
        header = {"version": 1, "architecture": name, "settings": full, "card": {"task": "denoise"}}
        made.append((header, {key: tensor.contiguous() for key, tensor in model.state_dict().items()}))
    return made


def weight_file(header: Any, tensors: dict[str, torch.Tensor]) -> bytes:
    from safetensors.torch import save

    return save(tensors, {HEADER: json.dumps(header)})


def recipes() -> list[str]:
    """The texts of the shipped recipes, and features of YAML that recipes do not use."""
    from importlib import resources

    folder = resources.files("lnca") / "recipes"
    texts = [(folder / f"{name}.yaml").read_text("utf-8") for name in shipped_recipes()]
    doubled = "\n".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30))
    return [
        *texts,
        "!!python/object/apply:os.system ['true']\n",
        "model: {lnca: !!python/name:os.system }\n",
        "model: !!map {a: !!binary aGk=}\n",
        f"a0: &a0 [x, x]\n{doubled}\n",
        "[" * 3000,
        "model: &m {lnca: *m}\n",
        "name: " + "x" * 100_000,
    ]
