"""Bodies on their way to several receivers, and very large ones; what is taken lets the sender go
on.
"""

import gc
import os
import queue
import threading
import warnings
from collections import OrderedDict

import numpy as np
import psutil
import pytest
import torch

from roleml_nb.messaging.flow_control import Credit, Window
from roleml_nb.messaging.serialization.codec import Body, copy_of, encode
from roleml_nb.messaging.serialization.shared_memory import Region
from roleml_nb.role import CallTimeout
from tests.messaging.links.test_direct import Host, linked


@pytest.mark.parametrize("size", [10, 100_000, 500_000])
@pytest.mark.parametrize("owned", [False, True])
def test_no_receiver_sees_what_another_or_the_sender_writes(size, owned):
    sent = {"array": np.arange(size, dtype="f4"), "tensor": torch.arange(size)}
    body = encode(sent)
    body = body.snapshot() if owned else body
    received = [share.decode() for share in body.shares(4)]
    received[1]["array"] += 1
    received[2]["tensor"].mul_(2)
    sent["array"][:] = -1
    gc.collect()
    for index, value in enumerate(received):
        assert value["array"].tolist() == (np.arange(size, dtype="f4") + (index == 1)).tolist()
        assert value["tensor"].tolist() == (torch.arange(size) * (2 if index == 2 else 1)).tolist()
        assert value["array"].flags.writeable


def test_a_region_is_gone_when_nobody_has_it():
    process, data = psutil.Process(), [np.full(50_000_000, 7, "u1"), b"", b"abc"]
    region = Region(data)
    path = region.place.path
    file, before = os.stat(path), process.num_fds()
    mapped = [region.map() for _ in range(50)]
    assert process.num_fds() == before
    assert [bytes(each[2]) for each in mapped] == [b"abc"] * 50 and not mapped[0][1]
    mapped[3][0][:2] = b"xy"
    assert bytes(mapped[3][0][:3]) == b"xy\7" and bytes(mapped[4][0][:3]) == b"\7\7\7"
    address_space = process.memory_info().vms
    region = mapped = None
    gc.collect()
    assert process.memory_info().vms < address_space - 49 * 50_000_000
    # it is too large to be kept for the next one; another file may have its number by now, for as
    # long as another thread has it open
    try:
        assert not os.path.samestat(file, os.stat(path))
    except FileNotFoundError:
        pass


def test_without_private_mappings_everyone_gets_a_copy(monkeypatch):
    monkeypatch.delattr("os.memfd_create")
    shares = encode(np.zeros(200_000)).snapshot().shares(3)
    first, second, third = (share.decode() for share in shares)
    first += 1
    assert second.sum() == third.sum() == 0


def test_a_copy_is_what_would_be_received():
    for value in (None, 3, "text", ({"a": 1}, {}), ({"a": [1]}, {"b": np.arange(5)})):
        copy, size = copy_of(value)
        assert size == encode(value).nbytes
        if isinstance(value, tuple):
            assert copy[0] == value[0] and copy[0] is not value[0]


def test_a_copy_of_models_and_numbers_is_what_would_be_received():
    weights, array = torch.arange(6.0).reshape(2, 3), np.arange(4, dtype="i2")
    twice = "said twice"
    for value in (
        ({"age": 3}, {"update": OrderedDict(weight=weights, bias=weights[0])}),
        {"update": {"a": array}, "age": 2**40, "é": "é"},
        [
            weights.t(),
            torch.zeros(0),
            weights.half(),
            torch.zeros(2, dtype=torch.bfloat16),
            True,
            -1,
            256,
            1 << 16,
            2.5,
            None,
        ],
        {"text": twice, "again": twice, "deep": [[[[[1]]]]]},
        list(range(1000)),
        {1: array},
        OrderedDict(b=(1,), a=()),
    ):
        for _ in range(2):  # the size is remembered
            copy, size = copy_of(value)
            assert (
                size == encode(value).nbytes
                and repr(copy) == repr(value)
                and type(copy) is type(value)
            )
    copy, _ = copy_of({"one": weights, "other": weights, "array": array})
    copy["one"] += 1
    copy["array"] += 1
    assert copy["other"] is copy["one"] and weights[0, 0] == 0 and array[0] == 0
    with pytest.warns(RuntimeWarning, match="requires a gradient is sent without"):
        assert not copy_of({"gradient": torch.ones(1, requires_grad=True) * 2})[0][
            "gradient"
        ].requires_grad


def test_a_gradient_does_not_travel_and_that_is_said():
    leaf = torch.ones(3, requires_grad=True)
    with pytest.warns(RuntimeWarning, match="requires a gradient is sent without"):
        received = encode(leaf * 2).decode()
    assert received.tolist() == [2, 2, 2] and not received.requires_grad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parameter = encode(torch.nn.Parameter(torch.ones(2))).decode()
        assert parameter.requires_grad and encode(leaf.detach()).decode().tolist() == [1, 1, 1]


def test_more_than_two_gibibytes_cross_a_link(tmp_path_factory):
    import tempfile

    size = 2**31 + 2**27
    with tempfile.TemporaryDirectory() as directory:
        got = queue.Queue()
        a, b = (
            Host("a", directory),
            Host("b", directory, deliver=lambda peer, frames: got.put(frames)),
        )
        try:
            sent = np.zeros(size, "u1")
            sent[-1], sent[2**31] = 7, 9
            link = linked(a, b)
            link.send(encode({"weights": sent, "name": "large"}).frames())
            received = Body.of_frames(got.get(timeout=60), owned=True).decode(own=True)
            assert received["name"] == "large" and received["weights"].shape == (size,)
            assert received["weights"][-1] == 7 and received["weights"][2**31] == 9
            received["weights"][0] = 1
            assert sent[0] == 0
        finally:
            a.transport.close()
            b.transport.close()


def test_a_window_holds_back_until_something_is_taken():
    window = Window(limit=100)
    window.acquire(60, 5, "there")
    window.acquire(30, 5, "there")
    with pytest.raises(
        CallTimeout, match=r"held back for 0\.1 s: 0 MB of tasks and events wait for there"
    ):
        window.acquire(20, 0.1, "there")
    credit = Credit(window.release, 60)
    entered = threading.Event()
    thread = threading.Thread(target=lambda: (window.acquire(50, 20, "there"), entered.set()))
    thread.start()
    assert not entered.wait(0.05)
    del credit
    assert entered.wait(10)
    thread.join()
    assert window.bytes == 80
    window.acquire(1000, 0, "there")  # answers and the like are never held back
    window.clear()
    window.acquire(1000, 5, "there")  # one that is larger than the window passes alone
