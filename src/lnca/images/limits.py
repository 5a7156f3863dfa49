"""Limits that commands name before anything heavy is imported."""

# Of all frames of a picture file together.
PIXEL_LIMIT = 500_000_000
# Of a picture that can be restored.
SMALLEST_SIDE = 8
