"""TinyImageNet-200 (Stanford CS231n, after Russakovsky et al., IJCV 2015): 64x64 pictures, clean."""

from pathlib import Path

from ..source import About, DataSet, FilePicture, Found, Sample, below, folders, is_below, missing, pictures

ABOUT = About(
    title="TinyImageNet-200",
    home="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    licence="the terms of ImageNet: non-commercial research and education",
    size="100,000 training and 10,000 validation pictures of 64x64, 240 MB",
    tree=(
        "tiny-imagenet-200/wnids.txt\n"
        "tiny-imagenet-200/train/n01443537/images/n01443537_0.JPEG ...   (200 folders of 500)\n"
        "tiny-imagenet-200/val/images/val_0.JPEG ... val_9999.JPEG"
    ),
)
PER_CLASS, VALIDATION = 500, 10_000


def scan(root: Path) -> Found:
    """Training and validation pictures (the test pictures are left alone); a group is a picture."""
    top = below(root, "tiny-imagenet-200") or root
    if not (top / "train").is_dir():
        return missing(ABOUT, root, "holds no tiny-imagenet-200/train")
    found = Found()
    listed = top / "wnids.txt"
    if listed.is_file():
        wanted = listed.read_text("utf-8", errors="replace").split()
    else:
        found.problems.append(f"{listed} is missing; the classes found are taken")
        wanted = [folder.name for folder in folders(top / "train")]
    for name in sorted(wanted):
        if "/" in name or not is_below(name):
            found.problems.append(f"{listed}: {name!r} is no name of a folder; get it from {ABOUT.home}")
            continue
        files = pictures(top / "train" / name / "images", (".jpeg", ".jpg"))
        if len(files) != PER_CLASS:
            found.problems.append(f"{top / 'train' / name / 'images'} has {len(files)} of {PER_CLASS} pictures")
        found.samples += [Sample(path.name, path.name, FilePicture(path)) for path in files]
    files = pictures(top / "val" / "images", (".jpeg", ".jpg"))
    if len(files) != VALIDATION:
        found.problems.append(f"{top / 'val' / 'images'} has {len(files)} of {VALIDATION} pictures")
    found.samples += [Sample(path.name, path.name, FilePicture(path)) for path in files]
    return found


TINY_IMAGENET = DataSet("tiny-imagenet", ABOUT, scan)
