"""The paper's section 3.2: losses, replay pool, the phases, and the run that executes them."""
