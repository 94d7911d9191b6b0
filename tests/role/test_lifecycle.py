"""The lifecycle by itself: what each status lets through."""

import threading

import pytest

from roleml_nb.role import (
    Lifecycle,
    NoSuchRoleError,
    RoleInstanceID,
    RoleMoved,
    Status,
    StatusError,
)
from tests.waiting import until


def ready() -> Lifecycle:
    lifecycle = Lifecycle("n/r")
    for status in (Status.DECLARED, Status.STARTING, Status.READY):
        lifecycle.become(status)
    return lifecycle


def in_thread(work):
    outcome = []

    def run():
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, outcome


def test_a_status_is_found_by_its_text():
    assert Status("ready") is Status.READY and str(Status.PAUSED) == "paused"
    assert (
        Status.READY in Status.DECLARED_COMPATIBLE
        and Status.TERMINATED not in Status.DECLARED_COMPATIBLE
    )
    with pytest.raises(ValueError, match="no status 'raedy'; did you mean 'ready'"):
        Status("raedy")


def test_pause_returns_when_the_last_of_several_handlers_has_ended():
    """Of handlers that one thread started, too: there are no tickets by thread that could overwrite
    each other.
    """
    lifecycle = ready()
    lifecycle.enter()
    lifecycle.enter()
    thread, _ = in_thread(lifecycle.pause)
    until(lambda: lifecycle.status is Status.PAUSING, "pausing")
    lifecycle.exit()
    assert lifecycle.status is Status.PAUSING and thread.is_alive()
    lifecycle.exit()
    thread.join(5)
    assert lifecycle.status is Status.PAUSED


def test_a_pause_that_takes_too_long_leaves_the_role_ready():
    lifecycle = ready()
    with (
        lifecycle.entered(),
        pytest.raises(StatusError, match="n/r: 1 handlers still running after 0.01 s"),
    ):
        lifecycle.pause(0.01)
    assert lifecycle.status is Status.READY


def test_handlers_wait_while_the_role_is_paused():
    lifecycle = ready()
    lifecycle.pause()
    lifecycle.pause()  # harmless
    thread, outcome = in_thread(lifecycle.enter)
    with pytest.raises(StatusError, match="n/r is paused and did not become ready in 0.01 s"):
        lifecycle.enter(0.01)
    lifecycle.resume()
    thread.join(5)
    assert outcome == [None] and lifecycle.running == 1


@pytest.mark.parametrize(
    "end, error",
    [
        (lambda lifecycle: lifecycle.terminate(), NoSuchRoleError),
        (lambda lifecycle: lifecycle.offloaded(RoleInstanceID("m", "r")), RoleMoved),
    ],
)
def test_who_waits_for_a_role_that_goes_is_told(end, error):
    lifecycle = ready()
    lifecycle.pause()
    thread, outcome = in_thread(lifecycle.enter)
    end(lifecycle)
    thread.join(5)
    assert isinstance(outcome[0], error)


def test_changes_that_make_no_sense_are_refused():
    lifecycle = ready()
    with pytest.raises(StatusError, match="n/r is ready and cannot be resumed"):
        lifecycle.resume()
    lifecycle.terminate()
    for change in (lifecycle.pause, lifecycle.terminate):
        with pytest.raises(StatusError, match="n/r is finalizing and cannot be"):
            change()
    with pytest.raises(StatusError, match="n/r is finalizing: it cannot emit 'x'"):
        lifecycle.wait_to_emit("x", 1)


def test_every_change_is_told_in_order():
    changes = []
    lifecycle = Lifecycle("n/r", lambda status, before: changes.append((str(before), str(status))))
    lifecycle.become(Status.READY)
    lifecycle.pause()
    lifecycle.resume()
    assert changes == [
        ("declaring", "ready"),
        ("ready", "pausing"),
        ("pausing", "paused"),
        ("paused", "resuming"),
        ("resuming", "ready"),
    ]
