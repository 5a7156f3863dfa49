"""Pictures to 32x32 tiles, and tiles to training, validation and test sets."""
