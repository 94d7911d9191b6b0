import pytest

from roleml_nb.messaging.links.relay import Relay
from roleml_nb.role import LinkFailed


def test_a_relay_that_was_closed_refuses_new_links():
    relay = Relay(
        "notebook",
        exchange=lambda *_: [],
        deliver=print,
        failed=print,
        run_in_background=lambda work, name: work(),
    )
    relay.close()
    with pytest.raises(LinkFailed, match="no relay to 'engine0': the testbed is being stopped"):
        relay.link("engine0")
