"""CelebA (Liu et al., ICCV 2015): faces, clean."""

import zipfile
from pathlib import Path

from ..source import About, DataSet, FilePicture, Found, Sample, ZipPicture, archived, below, missing, pictures

COUNT = 202_599
ABOUT = About(
    title="CelebA",
    home="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    licence="non-commercial research only; the pictures belong to their owners",
    size="202,599 pictures of 178x218, 1.4 GB",
    tree="img_align_celeba/000001.jpg ... 202599.jpg   or the zip   img_align_celeba.zip",
    checksums="img_align_celeba.zip: md5 00d2c5bc6d35e252742224ab0c1e8fcb",
)


def scan(root: Path) -> Found:
    """The aligned pictures, from the folder or, without one, from the zip archive."""
    folder = below(root, "img_align_celeba")
    if folder is not None:
        # The archive contains a folder of the same name, which some tools unpack into yet another one.
        files = pictures(folder) or pictures(folder / folder.name)
        found = Found([Sample(path.name, path.name, FilePicture(path)) for path in files])
    else:
        archive = root if root.suffix == ".zip" else root / "img_align_celeba.zip"
        if not archive.is_file():
            return missing(ABOUT, root, "holds neither img_align_celeba/ nor img_align_celeba.zip")
        found = Found()
        try:
            members = archived(archive, ".jpg", found)
        except (OSError, zipfile.BadZipFile) as error:
            return missing(ABOUT, archive, f"is no whole zip archive ({error})")
        for member in members:
            name = member.rsplit("/", 1)[-1]
            found.samples.append(Sample(name, name, ZipPicture(archive, member)))
    if len(found.samples) != COUNT:
        found.problems.append(f"{len(found.samples)} of {COUNT} pictures are there; unpack the whole archive")
    return found


CELEBA = DataSet("celeba", ABOUT, scan)
