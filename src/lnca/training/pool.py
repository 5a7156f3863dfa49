"""The replay pool (paper 2.1 and 4.2): states of earlier roll-outs, from which training continues.

It makes the clean picture an attractor: the rule learns not only to reach it but to stay there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .world import ALONE, World


@dataclass
class Entries:
    """Samples in the middle of a roll-out: `state` are the output and hidden channels (B, H', W', C) after `age` (B,)
    steps, `sample` (B,) the numbers of the clean tiles, `positive` and `anchor` the pictures (B, 3, H, W)."""

    positive: Tensor
    anchor: Tensor
    state: Tensor
    sample: Tensor
    age: Tensor


class ReplayPool:
    """At most `size` samples; a new one replaces the oldest when the pool is full.

    All processes of a world see the same pool. Of n processes each keeps every n-th slot, and they send each other
    the entries that are drawn.

    Attributes:
        entries: this process's slots.
    """

    def __init__(self, size: int, world: World = ALONE):
        self.size, self.world = size, world
        self.pushed = 0
        self.entries: Entries | None = None

    def __len__(self) -> int:
        return min(self.pushed, self.size)

    def push(self, new: Entries) -> None:
        """Adds samples; if the batch is larger than the pool, only its last samples stay."""
        tensors = {name: value.detach()[-self.size :] for name, value in vars(new).items()}
        count = len(tensors["age"])
        if self.entries is None:
            own = -(-self.size // self.world.size)
            self.entries = Entries(**{n: v.new_zeros((own, *v.shape[1:])) for n, v in tensors.items()})
        slots = (self.pushed + torch.arange(count, device=tensors["age"].device)) % self.size
        self.put_back(slots, Entries(**tensors))
        self.pushed += count

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Entries]:
        """Draws `count` different slots at random; returns them and their entries."""
        assert self.entries is not None
        order = torch.randperm(len(self), generator=generator, device=generator.device)
        slots = order[:count].to(self.entries.age.device)
        mine, places = self._own(slots)

        def collected(value: Tensor) -> Tensor:
            drawn = value.new_zeros((len(slots), *value.shape[1:]))
            drawn[mine] = value[places]
            return self.world.summed(drawn)

        return slots, Entries(**{name: collected(value) for name, value in vars(self.entries).items()})

    def put_back(self, slots: Tensor, entries: Entries) -> None:
        """Overwrites the given slots."""
        mine, places = self._own(slots)
        for name, value in vars(entries).items():
            getattr(self.entries, name)[places] = value.detach()[mine]

    def _own(self, slots: Tensor) -> tuple[Tensor, Tensor]:
        """The slots among `slots` that this process keeps, and their positions there."""
        mine = (slots % self.world.size == self.world.rank).nonzero()[:, 0]
        return mine, slots[mine] // self.world.size

    def state_dict(self) -> dict:
        """Everything in the pool, of all processes, for a checkpoint."""

        def whole(own: Tensor) -> Tensor:
            parts = self.world.gathered(own).unflatten(0, (self.world.size, -1))
            return parts.transpose(0, 1).flatten(0, 1)[: self.size]

        entries = None if self.entries is None else {name: whole(value) for name, value in vars(self.entries).items()}
        return {"pushed": self.pushed, "entries": entries}

    def load_state_dict(self, state: dict) -> None:
        """Restores the state that `state_dict` returned, in a world of any size."""

        def own(whole: Tensor) -> Tensor:
            missing = -self.size % self.world.size
            padded = torch.cat([whole, whole.new_zeros((missing, *whole.shape[1:]))])
            return padded[self.world.rank :: self.world.size].clone()

        self.pushed = state["pushed"]
        entries = state["entries"]
        self.entries = None if entries is None else Entries(**{name: own(value) for name, value in entries.items()})
