"""RealBlur (Rim et al., ECCV 2020): pairs taken through a beam splitter, as the camera's JPEG (J) and raw files (R)."""

from pathlib import Path, PurePosixPath

from ..source import About, DataSet, FilePicture, Found, Sample, is_below, missing

FOLDERS = {
    "J": "RealBlur-J_ECC_IMCORR_centroid_itensity_ref",
    "R": "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref",
}


def about(kind: str) -> About:
    """How to get RealBlur-J or -R."""
    return About(
        title=f"RealBlur-{kind}",
        home="https://github.com/rimchang/RealBlur (RealBlur.tar.gz)",
        licence="CC BY 4.0",
        size="4,738 pairs of about 680x770 from 232 scenes, 12 GB for both kinds",
        tree=(
            f"RealBlur_{kind}_train_list.txt, RealBlur_{kind}_test_list.txt\n"
            f"{FOLDERS[kind]}/scene001/gt/gt_1.png ..., .../scene001/blur/blur_1.png ..."
        ),
    )


def scan(root: Path, kind: str) -> Found:
    """The pairs in the list files, which have lines "sharp blurred"; a group is a scene."""
    top = next((path for path in (root, root / "RealBlur") if (path / FOLDERS[kind]).is_dir()), None)
    if top is None:
        return missing(about(kind), root, f"holds no {FOLDERS[kind]}")
    found = Found()
    for part in ("train", "test"):
        listed = top / f"RealBlur_{kind}_{part}_list.txt"
        if not listed.is_file():
            found.problems.append(f"{listed} is missing; get it from {about(kind).home}")
            continue
        for number, line in enumerate(listed.read_text("utf-8", errors="replace").splitlines(), 1):
            if not line.strip():
                continue
            names = [PurePosixPath(name) for name in line.split()]
            if len(names) < 2 or not all(is_below(str(name)) for name in names[:2]):
                found.problems.append(f"{listed}, line {number}: {line!r} is not two names below the folder")
                continue
            sharp, blurred = top / names[0], top / names[1]
            absent = [path for path in (sharp, blurred) if not path.is_file()]
            found.problems += [f"{path} is missing, which {listed.name} names in line {number}" for path in absent]
            if not absent:
                scene = names[0].parent.parent.name
                found.samples.append(Sample(str(names[1]), scene, FilePicture(sharp), FilePicture(blurred)))
    return found


def scan_j(root: Path) -> Found:
    """RealBlur-J."""
    return scan(root, "J")


def scan_r(root: Path) -> Found:
    """RealBlur-R."""
    return scan(root, "R")


REALBLUR_J = DataSet("realblur-j", about("J"), scan_j, "deblur", 128)
REALBLUR_R = DataSet("realblur-r", about("R"), scan_r, "deblur", 128)
