"""The paper's efficiency tables (4.4), measured again: time and memory of the models."""
