"""The table in the documents agrees with the records, which `test_formats` tests."""

import format_table
from lnca.images.formats import ALL


def test_the_table_in_the_document_is_current():
    text = format_table.DOCUMENT.read_text("utf-8")
    assert format_table.BEGIN in text
    assert format_table.with_table(text) == text
    assert format_table.table().count("\n") == len(ALL) + 1
