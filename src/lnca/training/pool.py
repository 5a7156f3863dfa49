"""The replay pool (paper 2.1 and 4.2): states of earlier roll-outs, from which training goes on.

It makes the clean picture an attractor: the rule learns to stay there, not only to get there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Entries:
    """Some samples on their way: `state` are the output and hidden channels (B, H', W', C) after `age` (B,) steps,
    `sample` (B,) the numbers of the clean tiles, `positive` and `anchor` the pictures (B, 3, H, W)."""

    positive: Tensor
    anchor: Tensor
    state: Tensor
    sample: Tensor
    age: Tensor


class ReplayPool:
    """At most `size` samples; a new one replaces the oldest when the pool is full."""

    def __init__(self, size: int):
        self.size = size
        self.pushed = 0
        self.entries: Entries | None = None

    def __len__(self) -> int:
        return min(self.pushed, self.size)

    def push(self, new: Entries) -> None:
        """Adds samples; of a batch larger than the pool only the last ones stay."""
        tensors = {name: value.detach()[-self.size :] for name, value in vars(new).items()}
        count = len(tensors["age"])
        if self.entries is None:
            self.entries = Entries(**{n: v.new_zeros((self.size, *v.shape[1:])) for n, v in tensors.items()})
        slots = (self.pushed + torch.arange(count, device=tensors["age"].device)) % self.size
        self.put_back(slots, Entries(**tensors))
        self.pushed += count

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Entries]:
        """`count` different slots at random, and what lies there."""
        assert self.entries is not None
        order = torch.randperm(len(self), generator=generator, device=generator.device)
        slots = order[:count].to(self.entries.age.device)
        return slots, Entries(**{name: value[slots] for name, value in vars(self.entries).items()})

    def put_back(self, slots: Tensor, entries: Entries) -> None:
        """Overwrites the given slots."""
        for name, value in vars(entries).items():
            getattr(self.entries, name)[slots] = value.detach()

    def state_dict(self) -> dict:
        """Everything in the pool, for a checkpoint."""
        return {"pushed": self.pushed, "entries": None if self.entries is None else dict(vars(self.entries))}

    def load_state_dict(self, state: dict) -> None:
        """Restores what `state_dict` gave."""
        self.pushed = state["pushed"]
        self.entries = None if state["entries"] is None else Entries(**state["entries"])
