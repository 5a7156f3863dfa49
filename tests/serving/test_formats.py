"""The service answers in every format that is written."""

from typing import get_args

from lnca.images.formats import ALL
from lnca.serving.app import MEDIA, Kind


def test_every_format_that_is_written_can_be_asked_for():
    written = {each.name.lower() for each in ALL if each.write is not None}
    assert set(get_args(Kind)) == written == {name.lower() for name in MEDIA}
    assert all("/" in media for media in MEDIA.values())
