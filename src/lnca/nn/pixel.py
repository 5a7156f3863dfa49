"""A cellular automaton on the pixels themselves, like ViTCA in the paper's comparison (4.2)."""

from collections.abc import Container, Iterator

from torch import Tensor

from .automaton import Automaton
from .model import SteppedModel


class PixelAutomaton(SteppedModel):
    """ViTCA without autoencoder: every pixel is a cell.

    Args:
        automaton: its input and output channels are the image's.
        steps: steps at validation and test (64 in the paper).
    """

    def __init__(self, automaton: Automaton, steps: int = 64):
        super().__init__(steps)
        self.automaton = automaton

    def forward(self, image_BCHW: Tensor, steps: int | None = None, seed: int = 0) -> Tensor:
        """See `SteppedModel.forward`; the cells' output is not clipped."""
        cells = self.automaton.seed(image_BCHW.permute(0, 2, 3, 1))
        return self.image(self.automaton.run(cells, self.steps if steps is None else steps, seed))

    def frames(
        self, image_BCHW: Tensor, steps: int | None = None, seed: int = 0, only: Container[int] | None = None
    ) -> Iterator[Tensor]:
        fresh = self.automaton.seed(image_BCHW.permute(0, 2, 3, 1))
        states = self.automaton.frames(fresh, self.steps if steps is None else steps, seed)
        for cells in (cells for step, cells in enumerate(states) if only is None or step in only):
            yield self.image(cells)

    def image(self, cells_BHWC: Tensor) -> Tensor:
        """The output channels as an image (B, 3, H, W)."""
        return self.automaton.read(cells_BHWC).permute(0, 3, 1, 2)
