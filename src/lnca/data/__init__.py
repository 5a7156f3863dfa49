"""Turns pictures into 32x32 tiles or crops, and splits them into training, validation and test sets."""
