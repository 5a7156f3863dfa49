"""The readers of data sets: those of the paper, and your own folders."""

from ...catalogue import unknown
from ..source import DataSet
from .celeba import CELEBA
from .cifar10 import CIFAR10
from .folders import FOLDER, PAIRS
from .gopro import GOPRO
from .hub import PREFIX, hub_set
from .realblur import REALBLUR_J, REALBLUR_R
from .renoir import RENOIR
from .sid import SID
from .tiny_imagenet import TINY_IMAGENET

ALL = (
    CELEBA,
    CIFAR10,
    TINY_IMAGENET,
    RENOIR,
    SID,
    GOPRO,
    REALBLUR_J,
    REALBLUR_R,
    FOLDER,
    PAIRS,
)
SETS: dict[str, DataSet] = {each.name: each for each in ALL}


def data_set(name: str) -> DataSet:
    """The reader of that name; raises `LncaError` if there is none."""
    if name.startswith(PREFIX):
        return hub_set(name)
    if name not in SETS:
        raise unknown("data set", name, SETS)
    return SETS[name]
