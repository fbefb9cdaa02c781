"""What the browser's row of pictures says was done there."""

import base64

from explorer.ui.tray import read_event


def test_one_pasted_file_over_the_limit_does_not_lose_the_others():
    good = {"name": "good.png", "data": base64.b64encode(b"pixels").decode()}
    large = {"name": "large.tif", "size": 30 * 2**20}
    event = read_event({"kind": "paste", "pasted": [good], "large": [large]})
    assert event.pasted == (("good.png", b"pixels"),)
    assert event.large == (("large.tif", 30 * 2**20),)
    assert read_event(None) is None
