"""Quality of trained models on the test split, as the paper defines it (4.3)."""
