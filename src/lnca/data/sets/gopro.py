"""GoPro (Nah et al., CVPR 2017): frames of a high-speed camera, sharp and averaged."""

from pathlib import Path

from ..source import About, DataSet, FilePicture, Found, Sample, below, folders, matched, missing, pictures

ABOUT = About(
    title="GoPro",
    home="https://seungjunnah.github.io/Datasets/gopro (GOPRO_Large.zip)",
    licence="CC BY 4.0",
    size="3,214 pairs of 1280x720, 8.9 GB",
    tree="\n".join(
        f"GOPRO_Large/{part}/{film}/blur/000001.png ..., .../sharp/000001.png ..."
        for part, film in (("train", "GOPR0372_07_00"), ("test", "GOPR0384_11_00"))
    ),
)


def scan(root: Path) -> Found:
    """The pairs of both parts; a group is a film."""
    top = below(root, "GOPRO_Large") or root
    found = Found()
    films = [(part, film) for part in ("train", "test") for film in folders(top / part)]
    if not films:
        return missing(ABOUT, root, "holds no GOPRO_Large/train or GOPRO_Large/test")
    found.problems += [
        f"{top / part} is missing; get it from {ABOUT.home}" for part in ("train", "test") if not (top / part).is_dir()
    ]
    for part, film in films:
        group = f"{part}/{film.name}"
        pairs = matched(pictures(film / "sharp"), pictures(film / "blur"), lambda p: p.stem, found, ("sharp", "blur"))
        count = len(found.samples)
        found.samples += [
            Sample(f"{group}/{name}", group, FilePicture(sharp), FilePicture(blur)) for name, sharp, blur in pairs
        ]
        if len(found.samples) == count:
            found.problems.append(f"{film} holds no pair of blur/ and sharp/")
    return found


GOPRO = DataSet("gopro", ABOUT, scan, "deblur", 128)
