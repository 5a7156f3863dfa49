"""The replay pool."""

import copy

import torch

from lnca.training.pool import Entries, ReplayPool


def entries(*numbers):
    value = torch.tensor(numbers)
    picture = value.float().reshape(-1, 1, 1, 1)
    return Entries(picture, picture + 0.5, picture * 2, value, value * 10)


def test_it_grows_to_its_size_and_then_replaces_the_oldest():
    pool = ReplayPool(4)
    pool.push(entries(0, 1, 2))
    assert len(pool) == 3
    pool.push(entries(3, 4, 5))
    assert len(pool) == 4
    assert sorted(pool.entries.sample.tolist()) == [2, 3, 4, 5]


def test_of_a_batch_larger_than_the_pool_the_last_stay():
    pool = ReplayPool(2)
    pool.push(entries(0, 1, 2, 3, 4))
    assert sorted(pool.entries.sample.tolist()) == [3, 4]


def test_draws_are_distinct_whole_and_seeded():
    pool = ReplayPool(8)
    pool.push(entries(*range(6)))
    slots, drawn = pool.draw(4, torch.Generator().manual_seed(0))
    assert len(set(slots.tolist())) == 4
    assert drawn.sample.max() < 6
    assert torch.equal(drawn.state.flatten(), drawn.sample * 2.0)
    assert torch.equal(drawn.age, drawn.sample * 10)
    again, _ = pool.draw(4, torch.Generator().manual_seed(0))
    assert torch.equal(slots, again)
    assert len(pool.draw(20, torch.Generator())[0]) == 6


def test_what_is_put_back_lies_in_its_slots():
    pool = ReplayPool(4)
    pool.push(entries(0, 1, 2, 3))
    pool.put_back(torch.tensor([1, 3]), entries(7, 9))
    assert pool.entries.sample.tolist() == [0, 7, 2, 9]
    assert pool.entries.state.flatten().tolist() == [0, 14, 4, 18]


def test_its_state_restores_it():
    pool, other = ReplayPool(4), ReplayPool(4)
    pool.push(entries(0, 1, 2, 3, 4))
    other.load_state_dict(copy.deepcopy(pool.state_dict()))
    for each in (pool, other):
        each.push(entries(8))
    assert other.entries.sample.tolist() == [8, 2, 3, 4]
    for name, value in vars(pool.entries).items():
        assert torch.equal(value, getattr(other.entries, name))
