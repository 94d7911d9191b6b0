"""Who listens where: nothing beyond this machine, unless a host beyond it is there."""

import os

import ipyparallel as ipp
import psutil
import pytest

from roleml_nb import Testbed
from roleml_nb.messaging.links.addresses import Address, answers, network
from roleml_nb.testbed.cluster.handshake import interfaces
from tests.messaging.links.test_direct import directory, host  # noqa: F401
from tests.waiting import until


def listening(pids):
    """Where processes listen on TCP."""
    return {
        connection.laddr[:2]
        for pid in pids
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def opened(make):
    """Where this process and the engines listen since the testbed was made."""
    before = listening([os.getpid()])
    with make() as bed:
        engines = [process.pid for process in bed.fleet._processes.values()]
        assert len(engines) == 2
        until(lambda: all(": direct" in line for line in bed.links()), "direct links", 60)
        assert all(host.transport.address.tcp_urls == () for host in [bed.fleet.home])
        return listening([os.getpid(), *engines]) - before


def beyond(places):
    return {ip for ip, _ in places} - {"127.0.0.1", "::1"}


def test_nothing_of_ones_own_testbed_listens_beyond_this_machine():
    assert beyond(opened(lambda: Testbed(engines=2, preload=()))) == set()


@pytest.mark.parametrize("way", ["cluster", "profile"])
def test_nothing_of_a_local_cluster_that_is_joined_does(way, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    with ipp.Cluster(n=2, profile="joined", cluster_id="") as client:
        client.wait_for_engines(2, timeout=60)
        joins = {"cluster": client} if way == "cluster" else {"profile": "joined"}
        assert beyond(opened(lambda: Testbed(**joins, preload=()))) == set()


def hosts(**networks):
    return [Address(name, b"", f"/x/{name}", network=where) for name, where in networks.items()]


@pytest.mark.parametrize(
    "networks, reached, wanted",
    [
        ("aaa", ["abc", "abc", "abc"], {}),
        (
            "aaa",
            ["a", "b", "c"],
            dict.fromkeys("abc", "127.0.0.1"),
        ),  # as between users of one machine
        ("aab", ["ab", "ab", "c"], dict.fromkeys("abc", "*")),
        ("abb", ["a", "bc", "bc"], dict.fromkeys("abc", "*")),
        ("aaa", ["abc", "ab", "abc"], {"c": "127.0.0.1"}),
        ("aab", ["abc", "ab", "abc"], {"c": "*"}),
    ],
)
def test_hosts_listen_no_wider_than_others_need_it(networks, reached, wanted):
    everyone = hosts(**dict(zip("abc", networks, strict=True)))
    assert interfaces(everyone, dict(zip("abc", reached, strict=True))) == wanted


def test_a_socket_file_proves_nothing_unless_somebody_answers(host, tmp_path):  # noqa: F811
    address = host("a").transport.address
    assert answers(address) and address.network == network()
    stale = tmp_path / "stale"
    stale.touch()
    assert not answers(Address("a", b"", str(stale))) and not answers(Address("a", b"", None))
    assert not answers(Address("a", b"", str(tmp_path / "none")))
