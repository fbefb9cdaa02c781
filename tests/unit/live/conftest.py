import pytest

from explorer.live.hub import shared_hub
from explorer.models.library import list_checkpoints
from tests.unit.live.serving import serve


@pytest.fixture(scope="module")
def host():
    with serve() as address:
        yield address


@pytest.fixture
def token(checkpoints):
    hub = shared_hub()
    issued = hub.issue_token()
    for listing in list_checkpoints([checkpoints]):
        hub.allow(issued, listing.name, listing.folder, listing.stamp)
    yield issued
    hub.revoke(issued)


@pytest.fixture
def model(checkpoints):
    listing = next(one for one in list_checkpoints([checkpoints]) if one.name == "bars-vae")
    return shared_hub().open(listing.folder, listing.stamp)
