"""Twins: ROOT/NAME-sharp.png beside ROOT/NAME-shaken.png, pairs of one scene each."""

from pathlib import Path

from ..source import About, DataSet, FilePicture, Found, Sample, missing, pictures

ABOUT = About(
    title="Twins",
    home="your own camera on a tripod, and then in your hand",
    licence="yours",
    size="as many as you took",
    tree="NAME-sharp.png and NAME-shaken.png ...",
)


def scan(root: Path) -> Found:
    """The pairs; a group is a scene."""
    found = Found()
    names = {path.name: path for path in pictures(root)}
    for name, sharp in names.items():
        scene, mark, kind = name.rpartition("-sharp")
        if not mark:
            continue
        shaken = names.get(f"{scene}-shaken{kind}")
        if shaken is None:
            found.problems.append(f"{sharp} has no {scene}-shaken{kind} beside it")
        else:
            found.samples.append(Sample(scene, scene, FilePicture(sharp), FilePicture(shaken)))
    return found if found.samples or found.problems else missing(ABOUT, root, "holds no NAME-sharp.png")


TWINS = DataSet("twins", ABOUT, scan, "deblur", 64)
