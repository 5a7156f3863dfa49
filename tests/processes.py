"""Processes for the tests that need several; they are forked from one that has imported what takes long."""

from multiprocessing import get_context
from multiprocessing.context import ForkServerContext

# Also what torch and torchmetrics import only when a training begins.
IMPORTED = ["lnca.restoration.split", "lnca.training.run", "torch._dynamo", "torchmetrics.functional.image"]


def forked() -> ForkServerContext:
    """The context of `multiprocessing` that begins such processes."""
    context = get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context
