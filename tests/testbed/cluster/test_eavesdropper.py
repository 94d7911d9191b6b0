"""What an eavesdropper between machines can read, and what it can do with that."""

import json

import pytest

from roleml_nb import Role, Service, Testbed
from tests.testbed.cluster.eavesdropper import Eavesdropper
from tests.testbed.cluster.test_namespaces import cluster, network, pytestmark  # noqa: F401

SPOKEN = "what one role says to another " * 4


class Talker(Role):
    @Service(expand=True)
    def say(self, caller, text: str):
        return self.call("other", "hear", {"text": text})

    @Service(expand=True)
    def hear(self, caller, text: str):
        return len(text)


Talker.__module__ = "__main__"


def secrets_of(host):
    """All that no other machine may learn of a host."""
    from zmq.utils import z85

    transport = host.transport
    return [
        transport._keys._secret,
        z85.decode(transport._keys._secret),
        *transport._tokens.values(),
    ]


secrets_of.__module__ = "__main__"


def overheard(tmp_path, *words, **options):
    """All that passed while two machines worked together, and what was tried with it while they
    still did.
    """
    listening = Eavesdropper(["rmlv0", "rmlv1", "rmlv2"])
    with (
        cluster(tmp_path, *words) as client,
        Testbed(cluster=client, preload=(), timeout=60, **options) as bed,
    ):
        names = ["loudly-named-a", "loudly-named-b"]
        for name, engine in zip(names, client.ids, strict=True):
            bed.spawn(name, on=engine)
        bed.assign(names, "talker", Talker)
        bed.relate(names[0], "other", f"{names[1]}/talker")
        assert bed.call("loudly-named-a/talker", "say", {"text": SPOKEN}) == len(SPOKEN)
        dump = listening.stop()
        secrets = sum(bed.fleet.on_hosts(secrets_of).values(), [])
        tried = dump.break_in("rml0", ["notebook", *bed.fleet.numbers])
        public = [bed.fleet.home.transport.address.public_key]
        connection = json.loads(
            (tmp_path / "profile_default/security/ipcontroller-client.json").read_text()
        )
        theirs = [
            connection[name].encode() for name in ("key", "curve_serverkey") if connection.get(name)
        ]
        assert theirs
        assert bed.call("loudly-named-a/talker", "say", {"text": "still there"}) == 11
    return dump, [*secrets, *theirs], public, tried


def test_nothing_lets_an_eavesdropper_in(network, tmp_path):  # noqa: F811
    dump, secrets, public, (attempts, let_in) = overheard(tmp_path)
    assert let_in == []
    # to each host, with each public key as the host's, and a key of its own or one that it found
    assert attempts >= 3 * 3 * 4
    assert all(key in dump for key in public)
    assert [secret for secret in secrets if secret in dump] == []
    # orders to engines are ipyparallel's, signed and not encrypted
    assert b"loudly-named-a" in dump
    assert SPOKEN.encode() not in dump


@pytest.mark.parametrize(
    "words, readable", [((), True), (("--IPController.enable_curve=True",), False)]
)
def test_what_is_relayed_can_be_read_unless_ipyparallel_encrypts_it(
    network,  # noqa: F811
    tmp_path,
    words,
    readable,  # noqa: F811, RUF100
):
    """As docs/messages.md says."""
    dump, secrets, _, tried = overheard(tmp_path, *words, links=("relay",))
    assert (SPOKEN.encode() in dump) == (b"loudly-named-a" in dump) == readable
    assert len(dump.text) > 100_000
    assert [secret for secret in secrets if secret in dump] == []
    assert tried == (0, [])  # no host listens
