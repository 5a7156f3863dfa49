"""Tracks which cells have settled, so that steps can skip them."""

import numpy as np

# Error message where settling is not supported.
UNSUPPORTED = "steps that end where cells settle need a latent model and the compiled kernels, on the CPU"


class Settling:
    """The state of each cell that the kernels keep between steps.

    A cell has settled when neither it nor a neighbour changed by more than the tolerance in their last update. With a
    tolerance of 0 its next update would change nothing either, so skipping it is exact.

    Args:
        batch, rows, columns: size of the lattice.
        tolerance: largest change of a channel that counts as none.

    Attributes:
        unsettled: (B, H, W), uint8: 1 for cells that the next step updates.
        steps: (B, H, W), int32: number of updates of each cell.
        tolerance: see above.
    """

    def __init__(self, batch: int, rows: int, columns: int, tolerance: float):
        self.tolerance = tolerance
        self.unsettled = np.ones((batch, rows, columns), np.uint8)
        self.steps = np.zeros((batch, rows, columns), np.int32)
        self._spare = np.zeros_like(self.unsettled)

    @staticmethod
    def bytes(cells: int) -> int:
        """Bytes of the state of `cells` cells, and of a copy of it."""
        return 2 * 6 * cells

    @property
    def buffers(self) -> tuple[np.ndarray, np.ndarray]:
        """`unsettled`, and the buffer for its next value."""
        return self.unsettled, self._spare

    def advanced(self, steps: int) -> None:
        """Must be called after `steps` steps, each of which reads one of the buffers and writes the other."""
        if steps % 2:
            self.unsettled, self._spare = self._spare, self.unsettled

    def part(self, begin: int, end: int, axis: int = 1) -> "Settling":
        """A copy of rows [begin, end), or of columns if `axis` is 2."""
        result = Settling.__new__(Settling)
        result.tolerance = self.tolerance
        result.unsettled, result.steps = (along(x, axis, begin, end).copy() for x in (self.unsettled, self.steps))
        result._spare = np.zeros_like(result.unsettled)
        return result

    def put(self, begin: int, part: "Settling", first: int, last: int, axis: int = 1) -> None:
        """Copies rows [first, last) of a part to the rows from `begin` on; columns if `axis` is 2."""
        for own, given in ((self.unsettled, part.unsettled), (self.steps, part.steps)):
            along(own, axis, begin, begin + last - first)[...] = along(given, axis, first, last)


def along(x: np.ndarray, axis: int, begin: int, end: int) -> np.ndarray:
    """A view of positions [begin, end) of an axis."""
    return x[(slice(None),) * axis + (slice(begin, end),)]
