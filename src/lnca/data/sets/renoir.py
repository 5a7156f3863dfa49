"""RENOIR (Anaya and Barbu, JVCIR 2018): static scenes in low light, noisy and reference exposures of three cameras."""

from pathlib import Path

from ..source import About, DataSet, FilePicture, Found, Sample, below, folders, missing, pictures

CAMERAS = ("Mi3_Aligned", "S90_Aligned", "T3i_Aligned")
ABOUT = About(
    title="RENOIR",
    home="http://adrianbarburesearch.blogspot.com/p/renoir-dataset.html (the three aligned archives)",
    licence="none stated; for research, with the paper cited",
    size="120 scenes, over 400 pictures of 10 to 18 megapixels, three archives",
    tree="\n".join(
        f"{camera}/Batch_001/<any>Reference.bmp, <any>Noisy.bmp (one or two) ... Batch_040" for camera in CAMERAS
    ),
)


def scan(root: Path) -> Found:
    """A pair for each noisy picture of a scene; a group is a scene of a camera."""
    found = Found()
    present = [folder for camera in CAMERAS if (folder := below(root, camera)) is not None]
    if not present:
        return missing(ABOUT, root, f"holds none of {', '.join(CAMERAS)}")
    if root.name not in CAMERAS:
        found.problems += [
            f"{root / camera} is missing; get it from {ABOUT.home}"
            for camera in CAMERAS
            if camera not in {folder.name for folder in present}
        ]
    for scene in (scene for folder in present for scene in folders(folder)):
        files = pictures(scene)
        references = [path for path in files if "reference" in path.stem.lower()]
        noisy = [path for path in files if "noisy" in path.stem.lower()]
        if len(references) != 1:
            found.problems.append(f"{scene} has {len(references)} reference pictures instead of one")
        elif not noisy:
            found.problems.append(f"{references[0]} has no noisy partner")
        else:
            group = f"{scene.parent.name}/{scene.name}"
            found.samples += [
                Sample(f"{group}/{path.name}", group, FilePicture(references[0]), FilePicture(path)) for path in noisy
            ]
    return found


RENOIR = DataSet("renoir", ABOUT, scan, "denoise", 256)
