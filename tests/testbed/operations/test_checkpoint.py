"""Checkpoints: stopping and resuming equals not stopping."""

import functools
import json
import sys
import types
import zipfile

import numpy as np
import pytest

import roleml_nb
from roleml_nb import (
    Each,
    Element,
    Event,
    EventHandler,
    Role,
    RoleInstanceID,
    RoleMLError,
    Runnable,
    Service,
    Task,
    Testbed,
    impl,
)
from roleml_nb.spec.board_layout import BoardLayout
from tests.waiting import until

LIMIT = 30.0


class Line:
    """A model whose training depends on all that it has done before: it has momentum, and draws its
    samples.
    """

    def __init__(self, dataset_seed):
        self.weights, self.speed, self.random = (
            np.zeros(3),
            np.zeros(3),
            np.random.default_rng(dataset_seed),
        )

    def get_params(self):
        return {"weights": self.weights.copy()}

    def set_params(self, params):
        self.weights = np.array(params["weights"])

    def train(self, dataset, **options):
        for _ in range(3):
            x = self.random.standard_normal(3)
            self.speed = 0.9 * self.speed - 0.05 * (self.weights @ x - dataset[0] @ x) * x
            self.weights = self.weights + self.speed
        return {"loss": float(self.speed @ self.speed)}


def federated(bed):
    """Three clients, two of which are drawn for each round; the server has momentum."""
    from roleml_nb.library import (
        ClientSelector,
        EpochTrainer,
        FedAvgAggregator,
        FedAvgM,
        FederatedCoordinator,
    )

    server, clients = bed.spawn("server"), bed.spawn("client{1..3}")
    clients.assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(Line, Each(range(3))),
            "dataset": Each([[np.arange(3.0) + part] for part in range(3)]),
        },
    )
    server.assign(
        "aggregator", FedAvgAggregator, elements={"strategy": impl(FedAvgM, momentum=0.5)}
    )
    server.assign("client_selector", ClientSelector, options={"fraction": 0.6})
    server.assign("coordinator", FederatedCoordinator)
    server.relate("trainer", clients.role("trainer"))


def train(bed, first_round):
    bed.call("server/coordinator", "run", {"num_rounds": 5, "first_round": first_round})


def parameters(bed):
    model = bed.call("server/coordinator", "get-model")
    return {name: np.asarray(value) for name, value in model.items()}


def equal(one, other):
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name]) for name in one
    )


def test_stopping_at_round_5_and_resuming_equals_not_stopping(tmp_path):
    with Testbed(engines=0, timeout=LIMIT, seed=4) as bed:
        federated(bed)
        bed.call("server/coordinator", "run", {"num_rounds": 10})
        never_stopped = parameters(bed)
    with Testbed(engines=0, timeout=LIMIT, seed=4) as bed:
        federated(bed)
        train(bed, 1)
        bed.save(tmp_path / "run.checkpoint")
        spec = bed.spec()
        train(bed, 6)  # it goes on as if nothing had been
        assert equal(parameters(bed), never_stopped)
    with Testbed.from_checkpoint(tmp_path / "run.checkpoint", timeout=LIMIT) as bed:
        assert bed.spec() == spec and bed.engines == 0
        train(bed, 6)
        assert equal(parameters(bed), never_stopped)
        table = bed.trace.metrics.to_pandas()
        # emissions are counted on
        assert table[table["channel"] == "round-completed"]["step"].min() == 6


def test_engines_resume_and_a_checkpoint_may_go_to_another_number_of_them(tmp_path):
    with Testbed(engines=0, timeout=LIMIT, seed=4) as bed:
        federated(bed)
        bed.call("server/coordinator", "run", {"num_rounds": 10})
        never_stopped = parameters(bed)
    with Testbed(engines=2, timeout=LIMIT, seed=4, preload=()) as bed:
        federated(bed)
        train(bed, 1)
        bed.save(tmp_path / "run.checkpoint")
        spec = bed.spec()
        bed.call("server/coordinator", "run", {"num_rounds": 1})
        bed.restore(tmp_path / "run.checkpoint")
        assert bed.spec() == spec
        train(bed, 6)
        assert equal(parameters(bed), never_stopped)
    with Testbed.from_checkpoint(tmp_path / "run.checkpoint", engines=0, timeout=LIMIT) as bed:
        assert {given["engine"] for given in bed.spec()["nodes"].values()} == {"notebook"}
        train(bed, 6)
        assert equal(parameters(bed), never_stopped)


def test_a_model_of_torch_keeps_its_optimizer(tmp_path):
    from torch.optim import Adam

    from roleml_nb.library import EpochTrainer
    from roleml_nb.workload import mlp

    data = [(np.eye(4, dtype=np.float32), np.arange(4) % 2)]
    with Testbed(engines=0, timeout=LIMIT) as bed:
        bed.spawn("a").assign(
            "trainer",
            EpochTrainer,
            elements={"model": impl(mlp, 4, 2, optimizer=Adam), "dataset": data},
        )
        bed.call("a/trainer", "train")
        bed.save(tmp_path / "kept")
        bed.call("a/trainer", "train")
        never_stopped = bed.call("a/trainer", "get-model")
        bed.restore(tmp_path / "kept")
        bed.call("a/trainer", "train")
        assert equal(bed.call("a/trainer", "get-model"), never_stopped)


class Counter(Role):
    """Counts what it is told, and what its peer counts."""

    counted = Event()
    start = Element(list)

    def __init__(self):
        super().__init__()
        self.total, self.heard, self.once, self.alias = 0, [], [], self.__dict__

    def __getstate__(self):
        return {key: value for key, value in super().__getstate__().items() if key != "alias"}

    def __setstate__(self, state):
        self.__dict__.update(state, alias="made anew")

    @Task(expand=True)
    def count(self, caller, by):
        self.total += by
        self.start().append(by)
        self.counted.emit({"total": self.total, "by": by})
        return self.total

    @Service(expand=True)
    def state(self, caller):
        return (
            self.total,
            self.heard,
            self.once,
            self.start(),
            self.ctx.seed,
            self.alias == "made anew",
        )

    @Service(expand=True)
    def listen(self, caller, to):
        self.subscribe(RoleInstanceID.of(to), "counted", self.on_explicit, conditions={"by": 7})

    def on_explicit(self, source, args, payloads):
        self.once.append(args["total"])

    @EventHandler("peer", "counted", expand=True)
    def on_counted(self, caller, total, by):
        self.heard.append(total)


class Sleeper(Role):
    @Task(expand=True)
    def work(self, caller):
        self.gate.wait(LIMIT)

    @Service(expand=True)
    def begin(self, caller):
        import threading

        self.gate = threading.Event()

    @Service(expand=True)
    def open(self, caller):
        self.gate.set()
        del self.gate


class Pacer(Role, Runnable):
    """Works by itself, in steps that depend on the step before."""

    def __init__(self):
        super().__init__()
        self.steps, self.going = 0, False

    def run(self):
        self.going = True
        while self.going:
            self.steps += 1
            self.base.host.clock.sleep(0.001)

    def stop(self):
        self.going = False

    @Service(expand=True)
    def done(self, caller):
        return self.steps


@pytest.fixture
def two():
    with Testbed(engines=0, timeout=LIMIT, seed=1) as bed:
        bed.spawn("a", seed=5)
        bed.spawn("b")
        bed.assign(["a", "b"], "counter", Counter, elements={"start": Each([[1], [2]])})
        bed.relate("a", "peer", "b/counter")
        bed.link_relationship("b", "friend", "peer")
        bed.relate("b", "friend", "a/counter")
        yield bed


def states(bed):
    return bed.call("*/counter", "state")


def test_state_elements_relationships_and_subscriptions_come_back(two, tmp_path):
    two.assign("b", "extra", Counter, elements={"start": []})
    two.call("a/counter", "listen", {"to": "b/extra"})
    two.call("b/extra", "count", {"by": 7})
    for by in (7, 1):
        two.call("*/counter", "count", {"by": by})
    until(
        lambda: states(two)["a"][1:3] == ([7, 8], [7]) and states(two)["b"][1] == [7, 8], "events"
    )
    two.save(tmp_path / "kept")
    before = states(two)
    with Testbed.from_checkpoint(tmp_path / "kept", timeout=LIMIT) as bed:
        after = states(bed)
        assert after == {node: (*state[:5], True) for node, state in before.items()}
        assert after["a"] == (8, [7, 8], [7], [1, 7, 1], 5, True) and after["b"][3:5] == (
            [2, 7, 1],
            1,
        )
        bed.call("b/counter", "count", {"by": 7})
        bed.call("b/extra", "count", {"by": 7})
        bed.call("b/extra", "count", {"by": 1})
        bed.call("b/extra", "count", {"by": 7})
        until(lambda: states(bed)["a"][1:3] == ([7, 8, 15], [7, 14, 22]), "events of b")
        bed.relate("b", "friend", "b/counter")  # the link is there, and a new member is listened to
        bed.call("b/counter", "count", {"by": 1})
        until(lambda: states(bed)["b"][1] == [7, 8, 16], "own events")
        assert bed.spec()["nodes"]["b"]["links"] == {"friend": "peer"}
        # the class is known again as the one that is there
        assert bed.update(Counter, fresh=True) == []
        bed.assign("a", "other", Counter, elements={"start": []})
        assert [given["turn"] for given in bed.spec()["nodes"]["a"]["roles"].values()] == [0, 2]


def test_a_testbed_is_rewound(two, tmp_path):
    two.call("*/counter", "count", {"by": 2})
    until(lambda: states(two)["a"][1] == [2] == states(two)["b"][1], "events")
    two.save(tmp_path / "kept")
    before, spec = states(two), two.spec()
    two.assign("a", "second", Counter, elements={"start": []})
    two.relate("a", "others", "b/counter")
    two.call("b/counter", "count", {"by": 5})
    two.terminate("b", "counter")
    two.restore(tmp_path / "kept")
    assert (
        states(two) == {node: (*state[:5], True) for node, state in before.items()}
        and two.spec() == spec
    )
    two.call("b/counter", "count", {"by": 1})
    until(lambda: states(two)["a"][1] == [2, 3], "events of b")


def test_events_wait_for_a_role_that_is_paused(two, tmp_path):
    two.call("b/actor", "change-role-status", {"name": "counter", "status": "paused"})
    for by in (1, 2):
        two.call("a/counter", "count", {"by": by})
    two.save(tmp_path / "kept")
    with Testbed.from_checkpoint(tmp_path / "kept", timeout=LIMIT) as bed:
        assert {node.name: node.roles["counter"][1] for node in bed.status().nodes} == {
            "a": "ready",
            "b": "paused",
        }
        bed.call("a/counter", "count", {"by": 4})
        bed.call("b/actor", "change-role-status", {"name": "counter", "status": "ready"})
        until(lambda: states(bed)["b"][1] == [1, 3, 7], "events in their order")


def test_nothing_is_saved_in_the_middle_of_a_handler(two, tmp_path):
    two.assign("a", "sleeper", Sleeper)
    two.call("a/sleeper", "begin")
    working = two.call_task("a/sleeper", "work")
    until(lambda: any("handler running" in line for line in two.waiting()), "the handler")
    with pytest.raises(
        RoleMLError,
        match=(
            r"after 0.1 s this is still at work: a/sleeper.work \(handler running since .*; wait"
            r" until "
            r"it has ended, or end it with bed.stop_run\(\) or %rml stop --run"
        ),
    ):
        two.save(tmp_path / "kept", timeout=0.1)
    assert list(tmp_path.iterdir()) == []
    two.call("a/sleeper", "open")
    working.result(LIMIT)
    two.save(tmp_path / "kept", timeout=LIMIT)
    assert two.call("a/counter", "count", {"by": 1}) == 1


def test_main_routines_stop_for_it_and_run_again(two, tmp_path):
    two.assign("a", "pacer", Pacer)
    until(lambda: two.call("a/pacer", "done") > 3, "steps")
    two.save(tmp_path / "kept")
    before = two.call("a/pacer", "done")
    until(lambda: two.call("a/pacer", "done") > before, "more steps")
    with Testbed.from_checkpoint(tmp_path / "kept", timeout=LIMIT) as bed:
        until(lambda: bed.call("a/pacer", "done") > before, "steps after it")


def test_what_cannot_be_kept_is_named_and_everything_goes_on(two, tmp_path):
    two.assign("a", "sleeper", Sleeper)
    two.call("a/sleeper", "begin")
    with pytest.raises(
        RoleMLError,
        match="a/sleeper cannot be kept: its attribute 'gate' cannot be sent .*__getstate__",
    ):
        two.save(tmp_path / "kept")
    assert list(tmp_path.iterdir()) == []
    assert two.call("*/counter", "count", {"by": 1}) == {"a": 1, "b": 1}


def test_what_does_not_fit_is_refused_and_changes_nothing(two, tmp_path):
    kept = tmp_path / "kept"
    two.save(kept)
    with Testbed(engines=0, seed=2) as bed:
        with pytest.raises(
            RoleMLError,
            match=(
                r"kept is of a testbed with seed 1, and this one has 2; start one with"
                r" Testbed\(seed=1\)"
            ),
        ):
            bed.restore(kept)
    with Testbed(engines=0, seed=1) as bed:
        bed.spawn("c")
        bed.assign("c", "sleeper", Sleeper)
        with pytest.raises(
            RoleMLError,
            match="kept has no node 'c', which has roles here; restore into a testbed of its own",
        ):
            bed.restore(kept)
        bed.terminate("c", "sleeper")
        bed.spawn("a", seed=6)
        bed.assign("a", "sleeper", Sleeper)
        with pytest.raises(
            RoleMLError,
            match="cannot restore .*kept: .*node 'a' has seed 6, and the checkpoint's has 5",
        ):
            bed.restore(kept)
        assert (
            list(bed.spec()["nodes"]["a"]["roles"]) == ["sleeper"]
            and bed.call("a/sleeper", "begin") is None
        )


def test_what_is_no_checkpoint_is_refused(two, tmp_path):
    with pytest.raises(RoleMLError, match=r"none does not exist; write one with bed.save\("):
        Testbed.from_checkpoint(tmp_path / "none")
    (tmp_path / "text").write_text("text")
    with pytest.raises(RoleMLError, match="text is no checkpoint, or damaged: "):
        two.restore(tmp_path / "text")
    with pytest.raises(
        RoleMLError,
        match="text exists and is no checkpoint; choose another name, such as text.checkpoint",
    ):
        two.save(tmp_path / "text")
    with zipfile.ZipFile(tmp_path / "zip", "w") as file:
        file.writestr("checkpoint.json", "{}")
    with pytest.raises(RoleMLError, match="zip is no checkpoint of roleml_nb"):
        two.restore(tmp_path / "zip")
    with zipfile.ZipFile(tmp_path / "newer", "w") as file:
        file.writestr("checkpoint.json", json.dumps({"roleml_nb_checkpoint": 2}))
    with pytest.raises(
        RoleMLError,
        match="newer is a checkpoint of format 2, and this roleml_nb reads up to 1; install",
    ):
        two.restore(tmp_path / "newer")
    two.save(tmp_path / "kept")
    with (
        zipfile.ZipFile(tmp_path / "kept") as whole,
        zipfile.ZipFile(tmp_path / "cut", "w") as file,
    ):
        for name in ("checkpoint.json", "testbed"):
            file.writestr(name, whole.read(name))
    with pytest.raises(RoleMLError, match="cut is damaged: it has no 0"):
        two.restore(tmp_path / "cut")
    assert two.call("a/counter", "count", {"by": 1}) == 1
    with pytest.raises(RoleMLError, match="cannot write .*kept: No such file or directory"):
        two.save(tmp_path / "missing" / "kept")


class Broken(Role):
    def __setstate__(self, state):
        raise ValueError("no way back")


def test_a_role_that_cannot_come_back_is_told_with_what_to_do(two, tmp_path):
    two.assign("b", "broken", Broken)
    two.save(tmp_path / "kept")
    with pytest.raises(
        RoleMLError,
        match=(
            "not all nodes could be made what they are in .*kept, and the testbed is neither what"
            " it was nor that: stop it. .*no way back"
        ),
    ):
        two.restore(tmp_path / "kept")
    with pytest.raises(RoleMLError, match="no way back"):
        Testbed.from_checkpoint(tmp_path / "kept", timeout=LIMIT)


class Growing(Role):
    """Has attributes that can be taken away, as a role has that an earlier version of its class has
    made.
    """

    def __init__(self, step=2):
        super().__init__()
        self.total, self.step, self.counts = 0, step, []

    @Service(expand=True)
    def add(self, caller):
        self.total += self.step
        self.counts.append(self.total)
        return self.counts

    @Service(expand=True)
    def sum(self, caller):
        return self.total

    @Service(expand=True)
    def lose(self, caller, names):
        for name in names:
            delattr(self, name)


class Locked(Growing):
    """Makes a part of its state anew."""

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "counts"}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.counts = [-1]


def logged(function):
    """A decorator that hides the code of what it decorates."""

    @functools.wraps(function)
    def begin(*args, **kwargs):
        return function(*args, **kwargs)

    return begin


class Wrapped(Growing):
    @logged
    def __init__(self):
        super().__init__()
        self.label = "as at first"

    @Service(expand=True)
    def add(self, caller):
        self.total += self.step
        return [self.label, self.total]


class Choosy(Growing):
    def __init__(self, step):
        super().__init__(step)
        if step == 3 and Choosy.strict:
            raise ValueError("a step of 3 has gone out of use")

    strict = False


@pytest.mark.parametrize("engines", [0, 2])
def test_attributes_that_a_class_has_got_since_are_as_it_begins_with_them(engines, tmp_path):
    with Testbed(engines=engines, timeout=LIMIT, preload=()) as bed:
        bed.spawn("a")
        bed.assign("a", "plain", Growing, options={"step": 3})
        bed.assign("a", "locked", Locked, options={"step": 3})
        bed.assign("a", "wrapped", Wrapped)
        for name in ("plain", "locked", "wrapped"):
            bed.call(f"a/{name}", "add")
        bed.call("a/wrapped", "lose", {"names": ["label"]})
        bed.call("a/plain", "lose", {"names": ["step", "counts"]})
        bed.call("a/locked", "lose", {"names": ["step"]})
        bed.save(tmp_path / "kept")
    with Testbed.from_checkpoint(
        tmp_path / "kept", engines=engines, timeout=LIMIT, preload=()
    ) as bed:
        assert bed.call("a/plain", "add") == [6]
        assert bed.call("a/locked", "add") == [-1, 6]
        assert bed.call("a/wrapped", "add") == ["as at first", 4]


def test_a_role_whose_new_attributes_cannot_be_made_goes_on_without_and_says_so(
    two, tmp_path, monkeypatch
):
    two.assign("a", "choosy", Choosy, options={"step": 3})
    two.call("a/choosy", "add")
    two.call("a/choosy", "lose", {"names": ["counts"]})
    two.save(tmp_path / "kept")
    monkeypatch.setattr(Choosy, "strict", True)
    two.restore(tmp_path / "kept")
    assert two.call("a/choosy", "sum") == 3
    assert (
        "a/choosy goes on with the attributes that it had: a/choosy: the new Choosy cannot be made"
        " with the options that the role was given (ValueError: a step of 3 has gone out of use)"
        in str(two.logs("a", level="warning"))
    )


def test_a_checkpoint_of_code_that_is_not_here_says_which_version_reads_it(tmp_path, monkeypatch):
    path = tmp_path / "run.checkpoint"
    later = types.ModuleType("roleml_nb.later")
    later.BoardLayout = BoardLayout
    with Testbed(engines=0) as bed:
        bed.registry.board_layout = BoardLayout("engine")
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "roleml_nb.later", later)
            patch.setattr(BoardLayout, "__module__", "roleml_nb.later")
            bed.save(path)
        with zipfile.ZipFile(path) as file:
            assert json.loads(file.read("checkpoint.json"))["version"] == roleml_nb.__version__
        with pytest.raises(
            RoleMLError,
            match=r"No module named 'roleml_nb\.later'.*; roleml_nb 0\.1\.0 has written it, and",
        ):
            bed.restore(path)
