"""The data sets of the paper, and yours: one reader each."""

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

SETS: dict[str, DataSet] = {
    data_set.name: data_set
    for data_set in (CELEBA, CIFAR10, TINY_IMAGENET, RENOIR, SID, GOPRO, REALBLUR_J, REALBLUR_R, FOLDER, PAIRS)
}


def data_set(name: str) -> DataSet:
    """The reader of that name; raises `LncaError` when there is none."""
    if name.startswith(PREFIX):
        return hub_set(name)
    if name not in SETS:
        raise unknown("data set", name, SETS)
    return SETS[name]
