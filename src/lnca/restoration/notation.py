"""How regions and sizes are written; needs nothing heavy."""

from ..errors import LncaError


def parse_region(text: str) -> tuple[int, int, int, int]:
    """Left, top, width and height of "10,20,300,200"; raises `LncaError` for anything else."""
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise LncaError(f"{text!r} is no region; write left,top,width,height in pixels, such as 10,20,300,200")
    left, top, width, height = map(int, parts)
    if not width or not height:
        raise LncaError(f"the region {text} is empty; give a width and a height")
    return left, top, width, height


def parse_bytes(text: str) -> int:
    """Reads "2GB", "500 MB" or "100000"; raises `LncaError` for anything else."""
    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    number = text.strip().upper()
    unit = number.lstrip("0123456789. ")
    try:
        size = float(number[: len(number) - len(unit)]) * units[unit.strip()]
    except (KeyError, ValueError) as error:
        raise LncaError(f"{text!r} is no size; write 2GB or 500MB") from error
    if not 0 < size < 2**62:
        raise LncaError(f"{text!r} is no size; write 2GB or 500MB")
    return int(size)
