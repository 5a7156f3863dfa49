"""The first bytes of a file determine its format, and only the formats' records know them."""

import io

import numpy as np
import pytest

from lnca.images.formats import ALL, format_of, other_kind
from lnca.images.photo import Photo
from lnca.images.writing import write_photo

FRAME = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)


@pytest.mark.parametrize("fmt", [each for each in ALL if each.write and each.name != "TGA"], ids=lambda each: each.name)
def test_each_format_is_recognised_by_its_own_record_alone(fmt):
    room = io.BytesIO()
    values = FRAME.astype(np.float32) / 255 if fmt.any_values and fmt.name != "TIFF" else FRAME
    write_photo(Photo([values]), room, fmt.name, "a")
    assert format_of(room, "") is fmt
    assert [each for each in ALL if each.recognise(room.getvalue()[:64])] == [fmt]


@pytest.mark.parametrize(
    "text", [b"BM, a text", b"BMW" + bytes(40), b"P1 is the first", b"P6", b"PF changed", b"P7 lens", b"", b"words"]
)
def test_texts_that_begin_as_pictures_do_are_none(text):
    assert format_of(io.BytesIO(text), "") is None
    assert other_kind(io.BytesIO(text)) is None


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"%PDF-1.7", "a PDF document; save its pages as pictures first"),
        (b"qoif" + bytes(9), "a QOI picture; convert"),
        (b"\0\0\0\x18ftypmp42" + bytes(40), "a film; lnca restore takes it by itself"),
    ],
)
def test_what_is_known_and_not_read_is_said(content, what):
    assert format_of(io.BytesIO(content), "") is None
    assert other_kind(io.BytesIO(content)).startswith(what)
