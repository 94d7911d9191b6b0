"""Memory that processes share: nobody sees what another one writes, and a file is used anew only
when nobody has it any more.
"""

import gc
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

from roleml_nb.messaging.serialization import shared_memory
from roleml_nb.messaging.serialization.shared_memory import Place, Region, can_open_sample

SIZE = 1_000_000
OTHER = """
import pickle, sys
from roleml_nb.messaging.serialization.shared_memory import Region, can_open_sample
place = pickle.load(sys.stdin.buffer)
region = Region.at(place)
(first, _), (second, _) = region.map(), region.map()
del region
first[:3] = b"xyz"
print(bytes(first[:4]), bytes(second[:4]), flush=True)
sys.stdin.buffer.readline()
"""


@pytest.fixture
def files():
    """No file that an earlier test has left."""
    gc.collect()
    while shared_memory._pool:
        os.close(shared_memory._pool.popleft()[0])


@pytest.fixture
def other():
    """A process that opens a region, writes to one of its two mappings, says what it has, and keeps
    them until it is told to end.
    """
    processes = []

    def start(place):
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        processes.append(process)
        process.stdin.write(pickle.dumps(place))
        process.stdin.flush()
        return process, process.stdout.readline().decode().strip()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def buffers(value):
    return [np.full(SIZE, value, "u1"), b""]


def test_another_process_has_a_copy_of_its_own_each_time_it_maps(files, other):
    region = Region(buffers(7))
    (mine, empty), place = region.map(), region.place
    process, said = other(place)
    assert said == r"b'xyz\x07' b'\x07\x07\x07\x07'"
    assert bytes(mine[:3]) == b"\7\7\7" and bytes(empty) == b""
    mine[:3] = b"abc"
    assert bytes(region.map()[0][:3]) == b"\7\7\7"


@pytest.mark.parametrize("end", ["end", "kill"])
def test_a_file_is_used_anew_when_no_process_has_it(files, other, end):
    region = Region(buffers(7))
    place = region.place
    process, _ = other(place)
    region = None
    second = Region(buffers(8))
    assert second.place.path != place.path  # the other one has it still
    second = None
    if end == "kill":
        process.send_signal(signal.SIGKILL)
    process.communicate(b"\n")
    paths = [Region(buffers(9)).place.path for _ in range(3)]
    assert place.path in paths
    with pytest.raises(OSError, match="another content"):
        Region.at(place)


def test_a_mapping_keeps_what_it_shows_from_being_written_over(files):
    region = Region(buffers(7))
    mapped = region.map()[0]
    path, region = region.place.path, None
    assert Region(buffers(8)).place.path != path and Region.of(mapped).place.path == path
    assert bytes(mapped[:3]) == b"\7\7\7"
    mapped = None
    assert path in {Region(buffers(9)).place.path for _ in range(2)}


def test_few_files_are_kept(files, monkeypatch):
    held = [Region(buffers(7)) for _ in range(shared_memory.MAX_POOL_BYTES // SIZE + 5)]
    held.clear()
    assert (
        sum(size for _, size in shared_memory._pool)
        <= shared_memory.MAX_POOL_BYTES
        < sum(size for _, size in shared_memory._pool) + 2 * SIZE
    )
    monkeypatch.setattr(shared_memory, "MAX_REGIONS", 2)
    held = [Region(buffers(7)) for _ in range(2)]
    with pytest.raises(OSError, match="2 regions already"):
        Region(buffers(7))


def test_what_is_no_region_is_known(files):
    region = Region([b"token"])
    assert can_open_sample(region.place.path, b"token") and not can_open_sample(
        region.place.path, b"other"
    )
    assert not can_open_sample("/proc/0/fd/1", b"token") and not can_open_sample("nul\0", b"token")
    assert (
        Region.of(b"x") is Region.of(memoryview(b"x")) is Region.of(memoryview(np.zeros(3))) is None
    )
    with pytest.raises(OSError, match="No such file"):
        Region.at(Place("/proc/0/fd/1", [], 1, b""))
    with pytest.raises(OSError, match="another content"):
        Region.at(region.place._replace(size=1 << 40))
