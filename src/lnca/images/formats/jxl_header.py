"""The header of a JPEG XL codestream (ISO 18181-1, annexes A to E): its size, and its transfer function.

libjxl's encoders always mark more than 8 bits as linear light. So lnca changes the header after encoding.
"""

from typing import NamedTuple

CODESTREAM = b"\xff\x0a"
LINEAR, SRGB = 8, 13
# Encodings of numbers, chosen by two bits: a constant, or a number of bits and an offset.
Choice = int | tuple[int, int]
ENUM: tuple[Choice, ...] = (0, 1, (4, 2), (6, 18))
XY: tuple[Choice, ...] = ((19, 0), (19, 524288), (20, 1048576), (21, 2097152))
RGB, GREY, XYB = 0, 1, 2
CUSTOM = 2
ALPHA, SPOT, MOSAIC = 0, 2, 5
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class Header(NamedTuple):
    """Width, height, types of channels beyond the colours, the transfer function (None for a profile or a gamma), and
    the position of its 4 bits, if there are any."""

    width: int
    height: int
    extra: list[int]
    transfer: int | None
    place: int | None


class _Bits:
    """Reads numbers, lowest bit first."""

    def __init__(self, content: bytes):
        self.value, self.at, self.end = int.from_bytes(content, "little"), 0, 8 * len(content)

    def take(self, count: int) -> int:
        if self.at + count > self.end:
            raise ValueError("the header ends early")
        found = self.value >> self.at & (1 << count) - 1
        self.at += count
        return found

    def flag(self) -> bool:
        return bool(self.take(1))

    def choose(self, choices: tuple[Choice, ...]) -> int:
        chosen = choices[self.take(2)]
        return chosen if isinstance(chosen, int) else chosen[1] + self.take(chosen[0])


def read_header(stream: bytes) -> Header:
    """The header of a codestream; its first kilobyte is enough.

    Raises:
        ValueError: the header is not valid, or has a preview.
    """
    if not stream.startswith(CODESTREAM):
        raise ValueError("no codestream of JPEG XL")
    bits = _Bits(stream[2:1024])
    width, height = _size(bits)
    if bits.flag():
        return Header(width, height, [], SRGB, None)
    if bits.flag():
        _skip_extra_fields(bits)
    _skip_depth(bits)
    bits.flag()
    extra = [_channel(bits) for _ in range(bits.choose((0, 1, (4, 2), (12, 1))))]
    bits.flag()
    transfer, place = _transfer(bits)
    return Header(width, height, extra, transfer, None if place is None else 16 + place)


def with_transfer(stream: bytes, transfer: int) -> bytes:
    """The codestream with another transfer function; unchanged if its header has no room for one."""
    place = read_header(stream).place
    if place is None:
        return stream
    head = int.from_bytes(stream[:1024], "little")
    head = head & ~(15 << place) | (transfer - 2) << place
    return head.to_bytes(len(stream[:1024]), "little") + stream[1024:]


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.flag()

    def side() -> int:
        return 8 * (bits.take(5) + 1) if small else bits.choose(((9, 1), (13, 1), (18, 1), (30, 1)))

    height, ratio = side(), bits.take(3)
    if ratio == 0:
        return side(), height
    across, down = RATIOS[ratio - 1]
    return height * across // down, height


def _skip_extra_fields(bits: _Bits) -> None:
    """Skips orientation, intrinsic size, preview and animation."""
    bits.take(3)
    if bits.flag():
        _size(bits)
    if bits.flag():
        raise ValueError("a preview")
    if bits.flag():
        bits.choose((100, 1000, (10, 1), (30, 1)))
        bits.choose((1, 1001, (8, 1), (10, 1)))
        bits.choose((0, (3, 0), (16, 0), (32, 0)))
        bits.flag()


def _skip_depth(bits: _Bits) -> None:
    if bits.flag():
        bits.choose((32, 16, 24, (6, 1)))
        bits.take(4)
    else:
        bits.choose((8, 10, 12, (6, 1)))


def _channel(bits: _Bits) -> int:
    """Reads the type of a channel beyond the colours."""
    if bits.flag():
        return ALPHA
    kind = bits.choose(ENUM)
    _skip_depth(bits)
    bits.choose((0, 3, 4, (3, 1)))
    bits.take(8 * bits.choose((0, (4, 0), (5, 16), (10, 48))))
    if kind == ALPHA:
        bits.flag()
    elif kind == SPOT:
        bits.take(64)
    elif kind == MOSAIC:
        bits.choose((1, (2, 0), (4, 3), (8, 19)))
    return kind


def _transfer(bits: _Bits) -> tuple[int | None, int | None]:
    """Reads the transfer function and its position."""
    if bits.flag():
        return SRGB, None
    profile, space = bits.flag(), bits.choose(ENUM)
    if profile or space == XYB:
        return None, None
    if bits.choose(ENUM) == CUSTOM:
        _skip_xy(bits, 1)
    if space != GREY and bits.choose(ENUM) == CUSTOM:
        _skip_xy(bits, 3)
    if bits.flag():
        return None, None
    place = bits.at + 2
    transfer = bits.choose(ENUM)
    return transfer, place if 2 <= transfer < 18 else None


def _skip_xy(bits: _Bits, count: int) -> None:
    for _ in range(2 * count):
        bits.choose(XY)
