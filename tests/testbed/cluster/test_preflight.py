"""What engines need of the machine: taken from elsewhere where that is natural, or said in one
error, before anything starts.

The machines are real: namespaces without a loopback interface, with read-only or full file systems;
processes with low limits.
"""

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from roleml_nb import Testbed
from roleml_nb.host.process import Process
from roleml_nb.host.socket_folder import why_unwritable
from roleml_nb.role import TestbedError
from roleml_nb.testbed.cluster import runtime_files
from roleml_nb.testbed.cluster.preflight import explain, find_lacks

ROOT = Path(__file__).parents[3]
BEGINNING = textwrap.dedent("""
    import os
    from roleml_nb import Role, Service, Testbed
    from roleml_nb.doctor import examine
    from roleml_nb.role import TestbedError

    class Echo(Role):
        @Service(expand=True)
        def echo(self, caller, number: int):
            return number + 1

    def use(engines, **options):
        with Testbed(engines=engines, preload=(), timeout=60, **options) as bed:
            bed.spawn("node")
            bed.assign("node", "echo", Echo)
            print("answer", engines, bed.call("node/echo", "echo", {"number": 1}), flush=True)

    def refused(make):
        try:
            make().stop()
        except TestbedError as error:
            print("refused:", error, flush=True)
""")


def forbidden() -> str:
    """Why no namespaces can be made here; empty if they can."""
    try:
        made = subprocess.run(
            ["unshare", "--net", "--mount", "true"], capture_output=True, text=True
        )
    except FileNotFoundError:
        return "the program unshare (util-linux) is not installed"
    return made.stderr.strip()


reason = forbidden()
namespaces = pytest.mark.skipif(bool(reason), reason=f"NAMESPACES ARE NOT PERMITTED HERE: {reason}")


@pytest.fixture
def home(tmp_path):
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path / "home"


def run(home, script, before="", namespace=(), **variables):
    """What a program prints that has `home` as its HOME and its temporary files beside it; `before`
    is a line of the shell.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "XDG_RUNTIME_DIR", "JUPYTER_DATA_DIR")
    }
    environment |= {
        "HOME": str(home),
        "TMPDIR": str(home.parent / "tmp"),
        "PYTHONPATH": str(ROOT),
        **variables,
    }
    program = [
        *namespace,
        "sh",
        "-ec",
        f'{before}\nexec "$@"',
        "sh",
        sys.executable,
        "-c",
        BEGINNING + textwrap.dedent(script),
    ]
    done = subprocess.run(
        program,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        cwd=variables.get("CWD"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "UserWarning" not in done.stderr, done.stderr
    return done.stdout


def left(home):
    """Files, but not folders, that are left of it."""
    return [str(path) for path in home.parent.rglob("*") if not path.is_dir()]


@namespaces
@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("true", "Network is unreachable"),
        ("ip link set lo up; ip addr del 127.0.0.1/8 dev lo", "Cannot assign requested address"),
    ],
    ids=["no interface is up", "no 127.0.0.1"],
)
def test_without_a_loopback_interface(home, before, why):
    printed = run(
        home,
        """
        use(0)
        refused(lambda: Testbed(engines=2))
        refused(lambda: Testbed(engines=1, detached=True))
        print(examine())
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        shell.run_line_magic("load_ext", "roleml_nb")
        shell.run_line_magic("rml", "clean")
        shell.run_line_magic("rml", "start --engines 0")
        shell.run_line_magic("rml", "stop")
        try:
            shell.run_line_magic("rml", "start --engines 2")
        except BaseException as error:
            print(type(error).__name__, error)
    """,
        before,
        ["unshare", "--net"],
    )
    text = f"ipyparallel needs the loopback interface, and 127.0.0.1 cannot be reached: {why}"
    lines = printed.splitlines()
    assert lines[0] == "answer 0 2"
    assert (
        lines[1]
        == lines[2]
        == f"refused: engines cannot start here: {text} (run 'ip link set lo up' as root, or ask"
        " who runs this container); Testbed(engines=0) keeps all nodes in this process and"
        " needs none of that"
    )
    assert f"problem: engines cannot start: {text}" in lines
    assert "nothing was left behind" in lines and "testbed stopped" in lines
    assert lines[-1].startswith(f"UsageError rml: engines cannot start here: {text}")
    assert not [path for path in left(home) if "rml" in path or "roleml" in path]


@namespaces
def test_a_home_that_is_read_only(home):
    """Engines start, can be left and found again; their files lie in TMPDIR, and all are gone in
    the end.
    """
    printed = run(
        home,
        """
        use(0)
        use(1)
        bed = Testbed(engines=1, preload=(), detached=True)
        print(bed.fleet.engines.runtime_file.path)
        bed.spawn("node")
        mark = bed.detach()
        bed = Testbed.attach(mark)
        print(bed.nodes() if hasattr(bed, "nodes") else bed.registry.nodes())
        bed.stop()
        print(examine())
    """,
        f"mount --bind {home} {home}; mount -o remount,ro,bind {home}",
        ["unshare", "--mount"],
    )
    place = home.parent / "tmp" / f"roleml_nb-{os.getuid()}"
    lines = printed.splitlines()
    assert (
        lines[:2] == ["answer 0 2", "answer 1 2"]
        and Path(lines[2]).parent == place
        and "node" in lines[3]
    )
    runtime = home / ".local/share/jupyter/runtime/roleml_nb"
    assert (
        f"records of testbeds lie in {place}: {runtime} (not writable); set HOME,"
        " JUPYTER_RUNTIME_DIR or TMPDIR to have them elsewhere" in printed
    )
    assert (
        f"engines use an IPython folder of their own: {home}/.ipython (not writable); set HOME or"
        " IPYTHONDIR" in printed
    )
    assert (
        not list(home.iterdir())
        and list((home.parent / "tmp").iterdir()) == [place]
        and not list(place.iterdir())
    )


@namespaces
def test_no_folder_that_can_be_written_to(home):
    """Nothing but a process of its own is possible, and the error names each folder."""
    frozen = "; ".join(
        f"mount --bind {folder} {folder}; mount -o remount,ro,bind {folder}"
        for folder in ("/tmp", "/var/tmp", "/dev/shm", home.parent)
    )
    printed = run(
        home,
        """
        use(0)
        refused(lambda: Testbed(engines=2))
        print(examine())
    """,
        f"{frozen}; cd /proc",
        ["unshare", "--mount"],
    )
    lines, tmp = printed.splitlines(), home.parent / "tmp"
    assert lines[0] == "answer 0 2"
    assert lines[1].startswith(
        "refused: no folder for the sockets and logs of engines: "
    ) and lines[1].endswith(
        "/tmp (not writable), /var/tmp (not writable), /dev/shm (not writable); set TMPDIR to a"
        " writable one with a path of at most 75 bytes, or use Testbed(engines=0), which needs none"
    )
    assert str(tmp) in lines[1]
    assert "problem: engines cannot start: no folder for records of testbeds: " in printed
    assert "problem: engines cannot start: no folder for sockets and logs: " in printed


@namespaces
def test_a_full_disk_is_left_for_another(home):
    full = home.parent / "full"
    full.mkdir()
    printed = run(
        home,
        """
        use(1)
        print(examine())
        with Testbed(engines=0) as bed:
            bed.spawn("node")
            try:
                bed.record(os.path.join(os.environ["JUPYTER_RUNTIME_DIR"], "recording"))
            except Exception as error:
                print(type(error).__name__, str(error))
        print(os.listdir(os.environ["JUPYTER_RUNTIME_DIR"]))
    """,
        f"mount -t tmpfs -o size=16k none {full}; head -c 9000 /dev/zero > {full}/zeros",
        ["unshare", "--mount"],
        TMPDIR=str(full),
        JUPYTER_RUNTIME_DIR=str(full),
    )
    lines = printed.splitlines()
    assert lines[0] == "answer 1 2"
    assert (
        f"{full} (No space left on device); set TMPDIR to have them elsewhere" in printed
        or len(str(full)) > 75
    )
    assert (
        lines[-2].startswith(f"RecordingError cannot write {full}/recording: ")
        and "No space left" in lines[-2]
    )
    assert "recording" not in lines[-1] and ".json" not in lines[-1]


def test_few_open_files(home):
    printed = run(home, "use(0)\nrefused(lambda: Testbed(engines=2))", "ulimit -n 64")
    assert printed.splitlines() == [
        "answer 0 2",
        (
            "refused: engines cannot start here: a process may have 64 files open, and with 2"
            " engines about 110 are needed (run 'ulimit -n 1024' before this kernel starts);"
            " Testbed(engines=0) keeps all nodes in this process and needs none of that"
        ),
    ]
    assert not left(home)


def test_a_low_limit_that_may_be_raised_is(home):
    assert run(home, "use(1)", "ulimit -S -n 64").splitlines() == ["answer 1 2"]


def test_a_home_below_a_file(home):
    assert why_unwritable("/dev/null/x/y") == "Not a directory"
    assert run(Path("/dev/null/x"), "use(1)", TMPDIR=str(home.parent / "tmp")).splitlines() == [
        "answer 1 2"
    ]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Jupyter's folder, which cannot be, and the one for temporary files."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", "/dev/null/x")
    monkeypatch.setattr(runtime_files, "temporary_folders", lambda: [str(tmp_path)])
    return tmp_path / f"roleml_nb-{os.getuid()}"


def test_records_of_others_are_not_read(folders):
    record = runtime_files.create(
        "mark", Process.here(), str(folders.parent / "made"), 2, detached=False
    )
    assert record.path == folders / "mark.json" and [
        each.testbed_id for each in runtime_files.read_all()
    ] == ["mark"]
    folders.chmod(0o777)
    assert runtime_files.read_all() == []
    with pytest.raises(TestbedError) as refused:
        runtime_files.create("other", Process.here(), "/made", 2, detached=False)
    assert (
        str(refused.value)
        == "engines cannot start here: no folder for the file by which %rml clean and %rml attach"
        f" find them: /dev/null/x/roleml_nb (Not a directory), {folders} (belongs to another"
        " user, or others can write to it); set HOME, JUPYTER_RUNTIME_DIR or TMPDIR to a"
        " writable folder with free space, or use Testbed(engines=0), which needs none"
    )
    folders.chmod(0o700)
    record.delete()
    assert not list(folders.iterdir())


def test_a_link_in_the_place_of_the_folder_is_not_followed(folders, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folders.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TestbedError, match="belongs to another user, or others can write to it"):
        runtime_files.create("mark", Process.here(), "/made", 2, detached=False)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n 4096"),
        (RuntimeError("[1:apply] ZMQError: Too many open files"), "ulimit -n 4096"),
        (OSError(errno.ENOSPC, "No space left on device"), "a disk is full"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "'ulimit -u'"),
        (RuntimeError("can't start new thread"), "'ulimit -u'"),
        (
            OSError(errno.EROFS, "Read-only file system"),
            "HOME, IPYTHONDIR, JUPYTER_RUNTIME_DIR or TMPDIR",
        ),
        (TimeoutError("Hub connection request timed out"), "%rml doctor"),
    ],
)
def test_errors_of_the_system_say_what_to_do(error, words):
    assert explain(error).startswith(f"{type(error).__name__}: {error}; ") and words in explain(
        error
    )


def test_what_fails_while_engines_start_is_one_error(monkeypatch, tmp_path):
    """Here: Python is not where it says; embedded ones do not know where they are."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(
        TestbedError,
        match=r"the testbed did not start: FileNotFoundError: .*'/nowhere/python'; %rml doctor",
    ):
        Testbed(engines=1)
    assert not list(tmp_path.glob("*/*"))


def test_no_room_for_another_thread(home):
    """The address space is limited to less than the stack of a thread more than there is."""
    printed = run(
        home,
        """
        import resource
        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (size + 4_000_000, resource.RLIM_INFINITY))
        refused(lambda: Testbed(engines=0))
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        use(0)
    """,
    )
    assert printed.splitlines() == [
        (
            "refused: the testbed did not start: RuntimeError: can't start new thread; too few"
            " processes or threads may run at a time: raise the limit with 'ulimit -u', or that of"
            " the container"
        ),
        "answer 0 2",
    ]


def test_this_machine_lacks_nothing():
    assert find_lacks(2) == []
