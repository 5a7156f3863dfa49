"""The layout in which each data set is published, in miniature."""

import io
import pickle
import shutil
import zipfile

import numpy as np
from PIL import Image

from conftest import textured
from lnca.data.sets.cifar10 import CLASSES


def save(path, seed=0, size=(40, 36), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    textured(*size, seed).save(path, **options)
    return path


def celeba(root):
    for number in range(1, 7):
        save(root / "img_align_celeba" / f"{number:06}.jpg", number, (178, 218))


def celeba_zip(root):
    root.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(root / "img_align_celeba.zip", "w") as archive:
        archive.writestr("img_align_celeba/", b"")
        for number in range(1, 7):
            content = io.BytesIO()
            textured(178, 218, number).save(content, "JPEG")
            archive.writestr(f"img_align_celeba/{number:06}.jpg", content.getvalue())


def cifar_rows(seed, count=6):
    return np.stack([np.asarray(textured(32, 32, 100 * seed + i)).transpose(2, 0, 1).ravel() for i in range(count)])


def cifar10_python(root):
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for seed, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        batch = {b"data": cifar_rows(seed), b"labels": [0] * 6, b"batch_label": name.encode()}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


def cifar10_binary(root):
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for seed, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        labels = np.zeros((6, 1), np.uint8)
        (folder / f"{name}.bin").write_bytes(np.concatenate([labels, cifar_rows(seed)], 1).tobytes())


def parquet(path, columns):
    """Columns of pictures in the layout of the hub."""
    import datasets

    datasets.disable_progress_bars()
    features = datasets.Features({name: datasets.Image() for name in columns})
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(columns, features=features).to_parquet(path)


def cifar10_parquet(root):
    for seed, part in enumerate(("train", "test")):
        pictures = [Image.fromarray(row.reshape(3, 32, 32).transpose(1, 2, 0)) for row in cifar_rows(seed)]
        parquet(root / "plain_text" / f"{part}-00000-of-00001.parquet", {"img": pictures})


def cifar10_jpeg(root):
    for seed, part in enumerate(("train", "test")):
        for index, name in enumerate(CLASSES):
            save(root / part / name / "0000.jpg", 20 * seed + index, (32, 32))


def cifar10_zip(root):
    cifar10_jpeg(root / "loose")
    with zipfile.ZipFile(root / "cifar10.zip", "w") as archive:
        for path in sorted((root / "loose").rglob("*.jpg")):
            archive.write(path, path.relative_to(root / "loose"))
        archive.writestr("train/readme.txt", "text")
    shutil.rmtree(root / "loose")


def tiny_imagenet(root):
    top = root / "tiny-imagenet-200"
    for index, name in enumerate(("n01443537", "n01629819")):
        for number in range(3):
            save(top / "train" / name / "images" / f"{name}_{number}.JPEG", 10 * index + number, (64, 64))
        (top / "train" / name / f"{name}_boxes.txt").write_text("")
    (top / "wnids.txt").write_text("n01629819\nn01443537\n")
    for number in range(2):
        save(top / "val" / "images" / f"val_{number}.JPEG", 50 + number, (64, 64))
    grey = textured(64, 64, 60).convert("L")
    grey.save(top / "val" / "images" / "val_2.JPEG")
    save(top / "test" / "images" / "test_0.JPEG", 99, (64, 64))


def renoir(root):
    for index, camera in enumerate(("Mi3_Aligned", "S90_Aligned", "T3i_Aligned")):
        for scene in (1, 2):
            folder = root / camera / f"Batch_{scene:03}"
            for seed, name in enumerate(("IMG_1Reference", "IMG_2Noisy", "IMG_3Noisy", "IMG_4full", "Mask")):
                save(folder / f"{name}.bmp", 100 * index + 10 * scene + seed, (70, 70))


def raw(path, seed, scale=1.0):
    """A small raw picture of a Bayer sensor, as a DNG that LibRaw reads."""
    import tifffile

    path.parent.mkdir(parents=True, exist_ok=True)
    smooth = np.asarray(textured(96, 80, seed).convert("L"), np.float64)
    values = (512 + smooth * 30 * scale).astype(np.uint16)
    rationals = [1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1]
    tifffile.imwrite(
        path,
        values,
        photometric=32803,
        metadata=None,
        subfiletype=0,
        extratags=[
            (271, "s", 0, "lnca", True),
            (272, "s", 0, "miniature", True),
            (33421, "H", 2, (2, 2), True),
            (33422, "B", 4, bytes([0, 1, 1, 2]), True),
            (50706, "B", 4, bytes([1, 4, 0, 0]), True),
            (50707, "B", 4, bytes([1, 1, 0, 0]), True),
            (50708, "s", 0, "lnca miniature", True),
            (50714, "H", 1, 512, True),
            (50717, "I", 1, 16383, True),
            (50721, "2i", 9, rationals, True),
            (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),
            (50778, "H", 1, 21, True),
        ],
    )
    return path


def sid(root):
    for camera in ("Sony", "Fuji"):
        for scene in (1, 2):
            raw(root / camera / "long" / f"{scene:05}_00_10s.dng", scene)
            raw(root / camera / "short" / f"{scene:05}_00_0.1s.dng", scene, 0.01)
            raw(root / camera / "short" / f"{scene:05}_01_0.04s.dng", scene, 0.004)
    raw(root / "Sony" / "long" / "10034_00_10s.dng", 9)
    raw(root / "Sony" / "short" / "10034_00_0.1s.dng", 9, 0.01)


def sid_png(root):
    for scene in range(1, 7):
        save(root / "Sony" / "long" / f"{scene:05}_00_10s.png", scene)
        dark = textured(40, 36, scene).point(lambda value: value // 8)
        (root / "Sony" / "short").mkdir(parents=True, exist_ok=True)
        dark.save(root / "Sony" / "short" / f"{scene:05}_00_0.1s.png")


def gopro(root):
    for part, films in (("train", ("GOPR0372_07_00", "GOPR0372_07_01")), ("test", ("GOPR0384_11_00",))):
        for film in films:
            for frame in (1, 2):
                for kind in ("blur", "blur_gamma", "sharp"):
                    save(root / "GOPRO_Large" / part / film / kind / f"{frame:06}.png", frame)


def realblur(root, kind="J"):
    top = {
        "J": "RealBlur-J_ECC_IMCORR_centroid_itensity_ref",
        "R": "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref",
    }[kind]
    lines = []
    for scene in (1, 2, 3, 4):
        for shot in (1, 2):
            names = [f"{top}/scene{scene:03}/{part}/{part}_{shot}.png" for part in ("gt", "blur")]
            for name in names:
                save(root / name, 10 * scene + shot)
            lines.append(" ".join(names))
    (root / f"RealBlur_{kind}_train_list.txt").write_text("\n".join(lines[:6]) + "\n")
    (root / f"RealBlur_{kind}_test_list.txt").write_text("\n".join(lines[6:]) + "\n")


def realblur_r(root):
    realblur(root, "R")


def folder(root):
    for number in range(5):
        save(root / f"{number}.png", number, (140, 70))


def pairs(root):
    for number in range(5):
        save(root / "GT" / f"{number}.png", number, (140, 70))
        save(root / "DAMAGED" / f"{number}.jpg", number, (140, 70), quality=10)
