"""Which cells still change: the others need no step, and are left out."""

import numpy as np

# What is said where cells cannot settle.
NEEDED = "steps that end where cells settle need a latent model and the compiled kernels, on the CPU"


class Settling:
    """What the kernel remembers of each cell of a lattice between steps.

    A cell is settled when neither it nor a neighbour changed by more than the tolerance the last time they took part in
    a step. With a tolerance of 0 its next step would change nothing either, so leaving it out is exact.

    Args:
        batch, rows, columns: of the lattice.
        tolerance: largest change of a channel that counts as none.

    Attributes:
        unsettled: (B, H, W), uint8: 1 for cells that take part in the next step.
        steps: (B, H, W), int32: steps each cell took part in.
        tolerance: as given.
    """

    def __init__(self, batch: int, rows: int, columns: int, tolerance: float):
        self.tolerance = tolerance
        self.unsettled = np.ones((batch, rows, columns), np.uint8)
        self.steps = np.zeros((batch, rows, columns), np.int32)
        self._spare = np.zeros_like(self.unsettled)

    @staticmethod
    def bytes(cells: int) -> int:
        """Memory for so many cells, and for a copy of what is said of them."""
        return 2 * 6 * cells

    @property
    def buffers(self) -> tuple[np.ndarray, np.ndarray]:
        """`unsettled`, and room for that of the following step."""
        return self.unsettled, self._spare

    def advanced(self, steps: int) -> None:
        """To be called after so many steps, each of which reads one of the buffers and writes the other."""
        if steps % 2:
            self.unsettled, self._spare = self._spare, self.unsettled

    def part(self, begin: int, end: int, axis: int = 1) -> "Settling":
        """A copy of rows [begin, end), or of columns, where `axis` is 2."""
        result = Settling.__new__(Settling)
        result.tolerance = self.tolerance
        result.unsettled, result.steps = (along(x, axis, begin, end).copy() for x in (self.unsettled, self.steps))
        result._spare = np.zeros_like(result.unsettled)
        return result

    def put(self, begin: int, part: "Settling", first: int, last: int, axis: int = 1) -> None:
        """Puts rows [first, last) of a part from row `begin` on, or columns, where `axis` is 2."""
        for own, given in ((self.unsettled, part.unsettled), (self.steps, part.steps)):
            along(own, axis, begin, begin + last - first)[...] = along(given, axis, first, last)


def along(x: np.ndarray, axis: int, begin: int, end: int) -> np.ndarray:
    """Places [begin, end) of an axis, a view."""
    return x[(slice(None),) * axis + (slice(begin, end),)]
