"""Limits, apart from other modules so that commands can show them without heavy imports."""

# Largest number of pixels of all frames of a picture file together.
PIXEL_LIMIT = 500_000_000
# Shortest side in pixels of a picture that can be restored.
SMALLEST_SIDE = 8
