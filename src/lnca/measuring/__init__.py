"""The paper's efficiency tables (4.4), measured again: what a model costs."""
