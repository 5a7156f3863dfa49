"""The paper's section 3.2: losses, replay pool, the two phases, and the run that holds them together."""
