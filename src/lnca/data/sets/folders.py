"""Your own pictures: a folder of clean pictures, or two folders of pairs."""

from pathlib import Path

from ...errors import LncaError
from ..reading import sorted_out
from ..source import About, DataSet, FilePicture, Found, Sample, matched, missing

CLEAN = ("GT", "gt", "clean", "sharp", "target", "reference")
CORRUPTED = ("DAMAGED", "damaged", "noisy", "blur", "blurred", "input", "corrupted")

FOLDER_ABOUT = About(
    title="a folder of clean pictures",
    home="wherever your pictures are",
    licence="yours",
    size="any",
    tree="any picture files, in ROOT and the folders below it",
)
PAIRS_ABOUT = About(
    title="two folders of pairs",
    home="wherever your pictures are",
    licence="yours",
    size="any",
    tree=(
        f"one of {', '.join(CLEAN)} and one of {', '.join(CORRUPTED)},\n"
        "with pictures of the same names (endings may differ) and, two by two, the same sizes"
    ),
)


def scan_folder(root: Path) -> Found:
    """Every picture is a sample and a group of its own."""
    try:
        paths, problems, others = sorted_out(root)
    except LncaError as error:
        return Found(problems=[str(error)])
    return Found(
        [Sample(str(path.relative_to(root)), path.name, FilePicture(path)) for path in paths], problems, others
    )


def scan_pairs(root: Path) -> Found:
    """Pairs of files with equal names in the two folders; every pair is a group of its own."""
    clean = next((root / name for name in CLEAN if (root / name).is_dir()), None)
    corrupted = next((root / name for name in CORRUPTED if (root / name).is_dir()), None)
    if clean is None or corrupted is None:
        return missing(PAIRS_ABOUT, root, "does not hold two folders of pairs")
    found = Found()
    try:
        good_files, *first = sorted_out(clean)
        bad_files, *second = sorted_out(corrupted)
    except LncaError as error:
        return Found(problems=[str(error)])
    found.problems, found.others = ([*one, *other] for one, other in zip(first, second, strict=True))

    def key(path: Path) -> str:
        return str(path.relative_to(clean if path.is_relative_to(clean) else corrupted).with_suffix(""))

    for name, good, bad in matched(good_files, bad_files, key, found):
        found.samples.append(Sample(name, name, FilePicture(good), FilePicture(bad)))
    return found


FOLDER = DataSet("folder", FOLDER_ABOUT, scan_folder, None, 64)
PAIRS = DataSet("pairs", PAIRS_ABOUT, scan_pairs, None, 128)
