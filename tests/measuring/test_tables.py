"""Measured tables as text."""

from lnca.measuring.tables import as_text

ENVIRONMENT = {"device": "cpu", "processor": "some", "threads": 2}


def row(phase, batch, **found):
    return {"model": "latent-nafca", "phase": phase, "side": 32, "batch": batch, **found}


def test_memory_is_that_of_the_larger_phase_and_of_none_where_one_was_left_out():
    rows = [
        row("autoencoder", 8, saved=1e9, peak=4e9),
        row("automaton", 8, saved=2e9, peak=3e9),
        row("autoencoder", 32, saved=5e9, peak=6e9),
        row("automaton", 32, left_out="too slow"),
    ]
    text = as_text({"table": "train-memory", "environment": ENVIRONMENT, "steps": 32, "rows": rows})
    assert "|  | peak of the process | 4 | - |" in text
    assert "|  | kept for backward | 2 | - |" in text
    assert "| LatentNAFCA | paper, A100 | 0.5 | 1.1 |" in text
