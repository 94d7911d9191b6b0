"""Hosts on different machines: network namespaces, the controller in one, an engine in each of two
others.

Needs root and the right to make namespaces; where a machine does not give it, the tests are skipped
and say so.
"""

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import tempfile
import textwrap

import ipyparallel as ipp
import pytest

from roleml_nb import Event, EventHandler, NodeLost, Role, Service, Task, Testbed
from tests.waiting import until

BRIDGE = "rmlbr0"
NAMESPACES = {"rml0": "10.77.0.10", "rml1": "10.77.0.11", "rml2": "10.77.0.12"}
SIX = {"rml1": "fd77::11", "rml2": "fd77::12"}


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True)


def forbidden() -> str:
    """Why no namespaces can be made here; empty if they can."""
    probe = f"rmlprobe{os.getpid()}"  # several processes collect tests at the same time
    try:
        made = ip("netns", "add", probe, check=False)
    except FileNotFoundError:
        return "the program ip (iproute2) is not installed"
    ip("netns", "del", probe, check=False)
    return made.stderr.strip() if made.returncode else ""


reason = forbidden()
pytestmark = pytest.mark.skipif(
    bool(reason), reason=f"NETWORK NAMESPACES ARE NOT PERMITTED HERE: {reason}"
)


def clear():
    for number, name in enumerate(NAMESPACES):
        ip("link", "del", f"rmlv{number}", check=False)
        ip("netns", "del", name, check=False)
    ip("link", "del", BRIDGE, check=False)


@pytest.fixture
def network(monkeypatch, tmp_path):
    """Three machines.

    This process keeps its temporary files (but `tmp_path`) where the engines do not see them.
    """
    with (
        open("/tmp/rml-namespaces.lock", "w") as lock,
        tempfile.TemporaryDirectory(prefix="rml") as own,
    ):
        # their names and addresses are the machine's, whoever runs these tests
        fcntl.flock(lock, fcntl.LOCK_EX)
        monkeypatch.setattr(tempfile, "tempdir", own)
        yield from switch()


def switch():
    """The machines, on a switch, until they are not needed any more.

    There is one such network at a time on a machine.
    """
    with socket.socket(socket.AF_UNIX) as alone:
        until(lambda: taken(alone), "no other process of this machine runs such a test", 600)
        yield from machines()


def taken(lock):
    """Whether this process has the name now, which no other one has until it ends."""
    try:
        lock.bind(f"\0{BRIDGE}")
    except OSError:
        return False
    return True


def machines():
    clear()
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("link", "set", BRIDGE, "up")
    ip("addr", "add", "10.77.0.1/24", "dev", BRIDGE)
    for number, (name, address) in enumerate(NAMESPACES.items()):
        ip("netns", "add", name)
        ip("link", "add", f"rmlv{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", f"rmlv{number}", "master", BRIDGE, "up")
        for words in (
            ["addr", "add", f"{address}/24", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
            ["link", "set", "lo", "up"],
            ["route", "add", "default", "via", "10.77.0.1"],
        ):
            ip("-n", name, *words)
    yield
    clear()


def block(one, other):
    """From now on, nothing passes between the two, and nobody is told."""
    ip("-n", one, "route", "add", "blackhole", f"{NAMESPACES[other]}/32")
    ip("-n", other, "route", "add", "blackhole", f"{NAMESPACES[one]}/32")


def unblock(one, other):
    ip("-n", one, "route", "del", "blackhole", f"{NAMESPACES[other]}/32")
    ip("-n", other, "route", "del", "blackhole", f"{NAMESPACES[one]}/32")


class Asker(Role):
    told = Event()

    def __init__(self):
        self.heard = []
        self.go_on = True

    @Service(expand=True)
    def stop(self, caller):
        self.go_on = False

    @Service(expand=True)
    def get_heard(self, caller):
        return self.heard

    @Task(expand=True)
    def tell(self, caller):
        """Numbers, until told to stop; returns how many."""
        number = 0
        while self.go_on:
            self.told.emit({"number": number})
            number += 1
            self.base.host.clock.sleep(0.002)
        return number

    @EventHandler("other", "told", expand=True)
    def on_told(self, source, number):
        self.heard.append(number)

    @Service(expand=True)
    def where(self, caller):
        import subprocess

        return subprocess.run(
            ["ip", "-4", "-o", "addr", "show", "eth0"], capture_output=True, text=True
        ).stdout.split()[3]

    @Service(expand=True)
    def ask(self, caller, number: int):
        return self.call("other", "echo", {"number": number})

    @Service(expand=True)
    def echo(self, caller, number: int):
        return number


Asker.__module__ = "__main__"


@contextlib.contextmanager
def cluster(directory, *options):
    """A controller with these options in the first namespace, an engine in each of the others;
    started as a user would by hand.
    """

    def run(namespace, *words):
        return subprocess.Popen(
            ["ip", "netns", "exec", namespace, *words],
            env={**os.environ, "IPYTHONDIR": str(directory)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    profile = directory / "profile_default"
    started = [
        run(
            "rml0",
            sys.executable,
            "-m",
            "ipyparallel.controller",
            f"--profile-dir={profile}",
            "--ip=0.0.0.0",
            "--location=10.77.0.10",
            "--HeartMonitor.period=250",
            "--HeartMonitor.max_heartmonitor_misses=60",
            *options,
        )
    ]
    try:
        until(
            lambda: list(profile.glob("security/ipcontroller-engine.json")),
            "the controller is up",
            30,
        )
        for name in ("rml1", "rml2"):
            # temporary files of its own, as on another machine: no socket file of the others can be
            # reached
            started.append(
                run(
                    name,
                    "unshare",
                    "--mount",
                    "sh",
                    "-c",
                    f"mount -t tmpfs none /mnt && mount -t tmpfs none {tempfile.gettempdir()} &&"
                    f" TMPDIR=/mnt exec {sys.executable} -m ipyparallel.engine"
                    f" --profile-dir={profile} --timeout=30",
                )
            )
        client = ipp.Client(str(profile / "security" / "ipcontroller-client.json"), timeout=30)
        client.wait_for_engines(2, timeout=60, interactive=False)
        yield client
        client.close()
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(20)


def deployed(client):
    bed = Testbed(cluster=client, preload=(), timeout=60)
    bed.spawn("a", on=client.ids[0])
    bed.spawn("b", on=client.ids[1])
    bed.assign(["a", "b"], "asker", Asker)
    bed.relate("a", "other", "b/asker")
    bed.relate("b", "other", "a/asker")
    return bed


def between(bed):
    engines = sorted(bed.fleet.numbers)
    return [
        line
        for line in bed.links()
        if line.startswith(engines[0])
        and f"→ {engines[1]}" in line
        or line.startswith(engines[1])
        and f"→ {engines[0]}" in line
    ]


def test_direct_links_the_relay_when_their_path_breaks_and_direct_ones_again(network, tmp_path):
    """Nothing is lost, nothing comes twice, nothing out of order, while numbers travel all the
    time.
    """
    with cluster(tmp_path) as client, deployed(client) as bed:
        assert {bed.call("a/asker", "where"), bed.call("b/asker", "where")} == {
            "10.77.0.11/24",
            "10.77.0.12/24",
        }
        assert bed.call("a/asker", "ask", {"number": 1}) == 1
        until(lambda: all(": direct" in line for line in between(bed)), "direct links", 60)
        telling = bed.call_task("a/asker", "tell")
        until(lambda: bed.call("b/asker", "get-heard"), "the first ones", 60)
        block("rml1", "rml2")
        assert bed.call("a/asker", "ask", {"number": 2}, timeout=60) == 2
        assert bed.call("b/asker", "ask", {"number": 3}, timeout=60) == 3
        until(lambda: all(": relay (" in line for line in between(bed)), "both say so", 60)
        unblock("rml1", "rml2")
        until(
            lambda: all(": direct (again, after " in line for line in between(bed)),
            "both say so",
            120,
        )
        bed.call("a/asker", "stop")
        count = telling.result(60)
        heard = until(
            lambda: (found := bed.call("b/asker", "get-heard")) and len(found) >= count and found,
            "all",
            60,
        )
        assert heard == list(range(count))
        assert bed.call("b/asker", "ask", {"number": 4}) == 4
        assert set(bed.fleet.home.transport._control_connections) == set(bed.fleet.numbers)
        assert str(bed.stop_run()) == "run stopped: nothing was at work" and not bed.lost


def test_the_relay_from_the_start_where_machines_do_not_reach_each_other(network, tmp_path):
    block("rml1", "rml2")
    with cluster(tmp_path) as client, deployed(client) as bed:
        assert bed.call("a/asker", "ask", {"number": 1}, timeout=60) == 1
        assert all(": relay (no direct link from" in line for line in between(bed))


def urls(bed):
    """Over which address each engine sends to the other one."""
    return {
        url
        for host_id in bed.fleet.numbers
        for url in bed.fleet.run(host_id, urls_of)
        if "10.77.0.1" in url or "fd77" in url
    }


def urls_of(host):
    return [link.url for link in host.transport._links if link.peer != "notebook"]


urls_of.__module__ = "__main__"


def test_direct_links_between_machines_without_a_default_route(network, tmp_path):
    for name in NAMESPACES:
        ip("-n", name, "route", "del", "default")
    with cluster(tmp_path) as client, deployed(client) as bed:
        assert bed.call("a/asker", "ask", {"number": 1}) == 1
        until(lambda: all(": direct" in line for line in between(bed)), "direct links", 60)
        assert len(between(bed)) == 2
        assert sorted(url.rpartition(":")[0] for url in urls(bed)) == [
            "tcp://10.77.0.11",
            "tcp://10.77.0.12",
        ]


@pytest.mark.parametrize("default", ["with a default route", "without one"])
def test_direct_links_between_machines_that_reach_each_other_over_ipv6_alone(
    network, tmp_path, default
):
    for name, address in SIX.items():
        ip("-n", name, "addr", "add", f"{address}/64", "dev", "eth0", "nodad")
        if default == "without one":
            ip("-n", name, "route", "del", "default")
    block("rml1", "rml2")
    with cluster(tmp_path) as client, deployed(client) as bed:
        assert bed.call("a/asker", "ask", {"number": 1}) == 1
        until(lambda: all(": direct" in line for line in between(bed)), "direct links", 60)
        assert len(between(bed)) == 2
        assert sorted(url.rpartition(":")[0] for url in urls(bed)) == [
            "tcp://[fd77::11]",
            "tcp://[fd77::12]",
        ]


def test_machines_without_ipv6_still_listen(network, tmp_path):
    for name in NAMESPACES:
        subprocess.run(
            [
                "ip",
                "netns",
                "exec",
                name,
                "sh",
                "-c",
                "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6",
            ],
            check=True,
        )
    with cluster(tmp_path) as client, deployed(client) as bed:
        assert bed.call("a/asker", "ask", {"number": 1}) == 1
        until(lambda: all(": direct" in line for line in between(bed)), "direct links", 60)


def test_an_engine_that_ends_on_another_machine_is_lost_within_seconds(network, tmp_path):
    with cluster(tmp_path) as client, deployed(client) as bed:
        waiting = bed.call_task("b/asker", "tell")
        # numbers of processes are the same in all namespaces of this test
        os.kill(bed.fleet.process(bed.registry.places["b"]).pid, 9)
        name = bed.registry.places["b"]
        bed.fleet._processes[name] = bed.fleet.process(name)._replace(machine="another")
        with pytest.raises(NodeLost, match="ipyparallel says that its process has ended"):
            waiting.result(20)
        assert list(bed.lost) == [name], bed.lost
        assert bed.call("a/asker", "echo", {"number": 1}) == 1


def has_addresses(name, *wanted):
    code = (
        "from roleml_nb.messaging.links.addresses import local_addresses; print(*local_addresses())"
    )

    def found():  # it takes a moment until an interface that is up is at work, too
        done = subprocess.run(
            ["ip", "netns", "exec", name, sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.split() == [*wanted]

    until(found, f"the addresses {wanted}")


def test_the_addresses_of_a_machine_by_its_interfaces(network):
    loopback = ["127.0.0.1", "::1"]
    for words in (
        ["link", "add", "second", "type", "veth", "peer", "name", "third"],
        ["link", "set", "second", "up"],
        ["addr", "add", "10.66.0.1/24", "dev", "second"],
        ["addr", "add", "10.55.0.1/24", "dev", "third"],
        ["addr", "add", "fd66::1/64", "dev", "second", "nodad"],
        ["addr", "add", "169.254.3.4/16", "dev", "second"],
    ):
        ip("-n", "rml1", *words)
    has_addresses("rml1", "10.77.0.11", *loopback)  # nobody is at the other end of the second one
    ip("-n", "rml1", "link", "set", "third", "netns", "rml2")
    ip("-n", "rml2", "link", "set", "third", "up")
    has_addresses("rml1", "10.77.0.11", "10.66.0.1", "fd66::1", "169.254.3.4", *loopback)
    ip("-n", "rml1", "route", "replace", "default", "via", "10.66.0.7")
    has_addresses("rml1", "10.66.0.1", "10.77.0.11", "fd66::1", "169.254.3.4", *loopback)
    ip("-n", "rml1", "route", "del", "default")
    has_addresses("rml1", "10.77.0.11", "10.66.0.1", "fd66::1", "169.254.3.4", *loopback)
    ip("-n", "rml1", "link", "set", "second", "down")
    ip("-n", "rml1", "link", "set", "eth0", "down")
    has_addresses("rml1", *loopback)
    ip("-n", "rml1", "link", "set", "lo", "down")
    has_addresses("rml1", "127.0.0.1")


def test_a_stranger_on_the_network_gets_no_answer(network, tmp_path):
    with cluster(tmp_path) as client, deployed(client) as bed:
        address = bed.fleet.run(sorted(bed.fleet.numbers)[0], address_of)
        url = next(url for url in address.tcp_urls if "10.77.0.1" in url)
        script = textwrap.dedent(f"""
            import zmq
            for server in (zmq.curve_keypair()[0], {address.public_key!r}):
                socket = zmq.Context.instance().socket(zmq.DEALER)
                socket.linger = 0
                socket.curve_serverkey = server
                socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
                socket.connect({url!r})
                socket.send_multipart([b"roleml_nb 1", b"notebook", b"x" * 32])
                print(socket.poll(1500))
        """)
        answers = subprocess.run(
            ["ip", "netns", "exec", "rml0", sys.executable, "-c", script],
            capture_output=True,
            text=True,
        )
        assert answers.stdout.split() == ["0", "0"], answers.stderr
        assert bed.call("a/asker", "ask", {"number": 1}) == 1


def address_of(host):
    return host.transport.address


address_of.__module__ = "__main__"
