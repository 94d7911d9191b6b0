"""For each exercise: the solution of its lesson is right, and typical mistakes are told what is
wrong with them.
"""

import pytest

from roleml_nb.course import NotYet, check, exercises, toy_roles
from tests.course.lessons import answer

MISTAKES = [
    (
        "00.1",
        """
class Counter(Role):
    total = []
    @Service(expand=True)
    def add(self, caller, amount):
        self.total.append(amount)
        return sum(self.total)""",
        "another node counts for itself",
        "what belongs to the class is shared",
    ),
    (
        "00.1",
        """
class Counter(Role):
    @Service(expand=True)
    def add(self, caller, amount):
        return amount""",
        "another add, of 5, returns 7",
        "it returned 5",
    ),
    (
        "00.1",
        """
class Counter(Role):
    def add(self, caller, amount):
        return amount""",
        "it has the service add",
        "its services are: none",
    ),
    (
        "00.1",
        """
class Counter(Role):
    @Service(expand=True)
    def add(self, amount):
        return amount""",
        "it ends with an error",
        "its first parameter, 'amount', is who calls",
    ),
    ("00.1", "Counter = 3", "it is a role", "hand over a class that inherits from Role"),
    ("00.1", "class Counter:\n    total = 0", "it is a role", "class Counter(Role)"),
    (
        "00.1",
        "class Counter(Role):\n    pass\nCounter = Counter()",
        "it is a role",
        "Counter, without brackets",
    ),
    ("00.2", "pattern = 'client*'", "it finds no others", "it also finds client1"),
    (
        "00.2",
        "pattern = 'client{2..3}'",
        "it finds client2, client3 and client4",
        "it does not find client4",
    ),
    (
        "01.1",
        """
class Foreman(Role):
    @Task(expand=True)
    def run(self, caller):
        workers = self.ctx.relationships.members("worker")
        return sum(self.call_task(one, "work").result() for one in workers)""",
        "all three are at work at the same time",
        "when does he call the second?",
    ),
    (
        "01.1",
        """
class Foreman(Role):
    @Task(expand=True)
    def run(self, caller):
        return len([done.result() for _, done in self.call_task_group("worker", "work")])""",
        "it returns the sum of what they return, 321",
        "it returned 3: the three return 1, 20 and 300",
    ),
    (
        "00.1",
        """
class Counter(Role):
    total = 0
    @Service(expand=True)
    def add(self, caller, amount):
        self.total += amount""",
        "the first add, of 2, returns 2",
        "no return",
    ),
    (
        "01.2",
        """
class Watch(Role):
    best = None
    @EventHandler("sensor", "measured", expand=True)
    def on_measured(self, source, degrees):
        self.best = degrees
    @Service(expand=True)
    def highest(self, caller):
        return self.best""",
        "it returns 31",
        "it returned 24",
    ),
    (
        "01.2",
        """
class Watch(Role):
    best = None
    @EventHandler("sensor", "measured", expand=True)
    def on_measured(self, source, degrees):
        self.best = max(self.best, degrees)
    @Service(expand=True)
    def highest(self, caller):
        return self.best""",
        "it returns 31",
        "its handler ended with an error: ",
    ),
    (
        "02.1",
        (
            "def difference(own, everything):\n    return sum(abs(np.mean(own == c) -"
            " np.mean(everything == c)) for c in np.unique(own)) / 2"
        ),
        "a node with two of four classes",
        "the classes that the node does not have",
    ),
    (
        "02.1",
        (
            "def difference(own, everything):\n    return sum(abs(np.mean(own == c) -"
            " np.mean(everything == c)) for c in range(4)) / 2"
        ),
        "classes may have any numbers",
        "0.25 is right",
    ),
    (
        "02.1",
        (
            "def difference(own, everything):\n    return sum(abs(np.mean(own == c) -"
            " np.mean(everything == c)) for c in np.unique(everything))"
        ),
        "a node with two of four classes",
        "is that half of the sum?",
    ),
    (
        "02.1",
        "def difference(own, everything):\n    own.mean()",
        "a node with the same shares of all classes: 0",
        "no return",
    ),
    (
        "02.2",
        "def hospital(labels, parts, seed):\n    np.array_split(labels, parts)",
        "as many parts as were asked for",
        "no return",
    ),
    (
        "02.2",
        (
            "def hospital(labels, parts, seed):\n    h = len(labels) // 2\n    i ="
            " np.arange(len(labels))\n    return [i[:h], *np.array_split(i[h:], parts - 1)]"
        ),
        "which samples go where is drawn at random",
        "the labels may be in order",
    ),
    (
        "02.2",
        (
            "def hospital(labels, parts, seed):\n    return"
            " np.array_split(np.random.permutation(len(labels)), parts)"
        ),
        "the first part has half of the samples",
        "[150, 150, 150, 150]",
    ),
    (
        "02.2",
        """
def hospital(labels, parts, seed):
    order = np.random.permutation(len(labels))
    return [order[:len(order) // 2], *np.array_split(order[len(order) // 2:], parts - 1)]""",
        "the same seed gives the same parts",
        "nothing global",
    ),
    (
        "02.2",
        """
def hospital(labels, parts, seed):
    order = np.random.default_rng(seed).permutation(labels)
    return [order[:len(order) // 2], *np.array_split(order[len(order) // 2:], parts - 1)]""",
        "nothing is lost and nothing is in two places",
        "a part has indices, not labels",
    ),
    (
        "03.1",
        (
            "def weighted_mean(models, sizes):\n    return {name: sum(model[name] for model in"
            " models) / len(models) for name in models[0]}"
        ),
        "who has three times the data counts three times",
        "which share of all samples",
    ),
    (
        "03.1",
        """
def weighted_mean(models, sizes):
    mean = models[0]
    for name in mean:
        mean[name] *= sizes[0] / sum(sizes)
        for model, size in zip(models[1:], sizes[1:]):
            mean[name] += model[name] * size / sum(sizes)
    return mean""",
        "the models themselves stay as they were",
        "or what is called mean but is that model",
    ),
    (
        "03.1",
        "def weighted_mean(models, sizes):\n    return dict.fromkeys(models[0])",
        "entry by entry",
        "it made w=None, b=None",
    ),
    (
        "03.1",
        (
            "def weighted_mean(models, sizes):\n    return {**models[0], 'w': sum(model['w'] for"
            " model in models) / 2}"
        ),
        "entry by entry",
        "it made w=[2. 4.], b=[1.]",
    ),
    (
        "03.2",
        """
class Averager(Role):
    @Task(expand=True)
    def aggregate(self, caller, update):
        self.call_group("trainer", "apply-update", payloads={"update": update})
        sizes = dict(self.call_group("trainer", "get-data-size"))
        models = {member: self.call_task(member, "train").result() for member in sizes}
        total = sum(sizes.values())
        def mean(name):
            return sum(model[name] * (sizes[one] / total) for one, model in models.items())
        return {name: mean(name) for name in update}""",
        "all clients train at the same time",
        "when is the second one told to train?",
    ),
    (
        "03.2",
        """
class Averager(Role):
    @Task(expand=True)
    def aggregate(self, caller, update):
        return self.call("trainer", "apply-update", payloads={"updat": update})""",
        "it ends with an error",
        'File "exercise 03.2", line 5, in aggregate',
    ),
    (
        "03.2",
        """
class Averager(Role):
    @Task(expand=True)
    def aggregate(self, caller, update):
        models = [done.result() for _, done in self.call_task_group("trainer", "train")]
        return {name: sum(model[name] for model in models) / len(models) for name in update}""",
        "all clients began with the model that they were sent",
        "what has to be called before 'train'",
    ),
    (
        "03.2",
        """
class Averager(Role):
    @Task(expand=True)
    def aggregate(self, caller, update):
        self.call_group("trainer", "apply-update", payloads={"update": update})
        models = [done.result() for _, done in self.call_task_group("trainer", "train")]
        return {name: sum(model[name] for model in models) / len(models) for name in update}""",
        "weighted by their data",
        "it is the plain mean",
    ),
    (
        "03.3",
        """
class Rounds(Role):
    round_completed = Event()
    @Task(expand=True)
    def run(self, caller, num_rounds):
        clients = self.ctx.relationships.members("trainer")
        model = self.call("evaluator", "get-model")
        for _ in range(num_rounds):
            given = {"clients": clients}, {"update": model}
            task = self.call_task("aggregator", "aggregate", *given)
            new = task.result()["update"]
            self.call("evaluator", "apply-update", payloads={"update": new})
            metrics = self.call_task("evaluator", "test").result()
            self.round_completed.emit(args=metrics)
        return metrics["accuracy"]""",
        "the model gets better from round to round",
        "the model of the one before?",
    ),
    (
        "04.1",
        (
            "def round_ends(seconds, deadline, min_results):\n    return min(deadline,"
            " sorted(seconds)[min_results - 1])"
        ),
        "everybody is there before the deadline",
        "it returned 1.0: a round goes on to its deadline",
    ),
    (
        "04.1",
        "def round_ends(seconds, deadline, min_results):\n    return deadline",
        "everybody is there before the deadline",
        "unless all results are there before",
    ),
    (
        "04.1",
        "def round_ends(seconds, deadline, min_results):\n    max(seconds)",
        "everybody is there before the deadline",
        "no return",
    ),
    (
        "04.1",
        (
            "def round_ends(seconds, deadline, min_results):\n    return max(min(deadline,"
            " max(seconds)), sorted(seconds)[min_results])"
        ),
        "at the deadline there are too few results",
        "when does the fourth come?",
    ),
    (
        "04.2",
        "class FairSelector(ClientSelector):\n    pass",
        "each of 7 clients has been chosen 3 times",
        "who has been chosen least so far?",
    ),
    (
        "04.2",
        """
class FairSelector(ClientSelector):
    def choose(self, clients, count, number, random, coordinator):
        return [clients[(number * count + k) % 7] for k in range(count)]""",
        "it ends with an error",
        "",
    ),
    (
        "05.1",
        """
def mixing(neighbours):
    nodes = list(neighbours)
    def weight(a, b):
        return 1 / (1 + len(neighbours[a])) if b in (a, *neighbours[a]) else 0
    return np.array([[weight(a, b) for b in nodes] for a in nodes])""",
        "they are the same in both directions",
        "both degrees count",
    ),
    (
        "05.1",
        """
def mixing(neighbours):
    nodes = list(neighbours)
    top = max(map(len, neighbours.values()))
    matrix = np.array([[1 / (2 + top) if b in neighbours[a] else 0 for b in nodes] for a in nodes])
    return matrix + np.diag(1 - matrix.sum(1))""",
        "those of Metropolis and Hastings",
        "counted among those that share?",
    ),
    (
        "05.2",
        "graph_of_twelve = nx.cycle_graph(12)",
        "a round leaves less than 0.8",
        "its consensus rate is 0.911 with 12 edges",
    ),
    ("05.2", "graph_of_twelve = nx.complete_graph(12)", "it has at most 18 edges", "it has 66"),
    (
        "05.2",
        "graph_of_twelve = nx.disjoint_union(nx.cycle_graph(6), nx.cycle_graph(6))",
        "it is connected",
        "its components are",
    ),
    (
        "06.1",
        (
            "def busiest(kind, nodes, edges):\n    return {'star': 2 * nodes, 'tree': 2 * edges,"
            " 'ring': 4}[kind]"
        ),
        "tree of 16 below 4 edge nodes: 10 models",
        "an edge node has four clients",
    ),
    (
        "06.1",
        "def busiest(kind, nodes, edges):\n    2 * nodes",
        "star of 8: 16 models",
        "no return",
    ),
    (
        "06.2",
        "def all_reduce(vectors, send):\n    sum(vectors)",
        "a vector for each node",
        "no return",
    ),
    (
        "06.2",
        "def all_reduce(vectors, send):\n    return [sum(vectors) for _ in vectors]",
        "and all that is used was sent",
        "must not look into another one's chunks",
    ),
    (
        "06.2",
        (
            "def all_reduce(vectors, send):\n    return [sum(send(k, vector) for k, vector in"
            " enumerate(vectors)) for _ in vectors]"
        ),
        "no node sends more than",
        "a chunk per step",
    ),
    (
        "06.2",
        "def all_reduce(vectors, send):\n    return vectors",
        "all nodes have the sum",
        "which chunk does it pass on",
    ),
    (
        "07.1",
        """
def hierarchy(bed):
    bed.assign("root", "aggregator", FedAvgAggregator)
    bed.assign("root", "coordinator", FederatedCoordinator)
    bed.relate("root", "trainer", "client*/trainer")""",
        "the root talks to the two edge nodes",
        "who is in its relationship 'trainer'?",
    ),
    (
        "07.1",
        """
def hierarchy(bed):
    bed.assign("edge*", "aggregator", TreeAggregator)
    bed.relate("edge*", "trainer", "client*/trainer")
    bed.assign("root", "aggregator", FedAvgAggregator)
    bed.assign("root", "coordinator", FederatedCoordinator)
    bed.relate("root", "trainer", "edge*/aggregator")""",
        "each client has one edge node above it",
        "edge1 talked to client1, client2",
    ),
    (
        "07.2",
        """
def serverless(bed):
    bed.assign("node*", "mixer", DPsgdMixer)
    bed.wire("full", nodes="node*", role="mixer")
    bed.assign("leader", "coordinator", DecentralisedCoordinator)
    bed.relate("leader", "mixer", "node*/mixer")""",
        "each node talks to three others at most",
        "one talks to 5",
    ),
    (
        "07.2",
        (
            "from roleml_nb.library import FedAvgAggregator\ndef serverless(bed):\n   "
            " bed.assign('leader', 'aggregator', FedAvgAggregator)"
        ),
        "no node has an aggregator of federated averaging",
        "at which all models meet",
    ),
    (
        "08.1",
        """
class Tolerant(Role):
    @Task(expand=True)
    def aggregate(self, caller, update, least):
        self.call_group("trainer", "apply-update", payloads={"update": update})
        sizes = dict(self.call_group("trainer", "get-data-size"))
        tasks = self.call_task_group("trainer", "train")
        models = {member: done.result() for member, done in tasks}
        total = sum(sizes.values())
        def mean(name):
            return sum(model[name] * (sizes[one] / total) for one, model in models.items())
        return {name: mean(name) for name in update}""",
        "it goes on",
        "at the call or when the result is asked for?",
    ),
    (
        "08.1",
        """
class Tolerant(Role):
    @Task(expand=True)
    def aggregate(self, caller, update, least):
        self.call_group("trainer", "apply-update", payloads={"update": update})
        sizes = dict(self.call_group("trainer", "get-data-size"))
        models = {}
        for member, done in self.call_task_group("trainer", "train"):
            try:
                models[member] = done.result()
            except RoleMLError:
                pass
        total = sum(sizes.values())
        def mean(name):
            return sum(model[name] * (sizes[one] / total) for one, model in models.items())
        return {name: mean(name) for name in update}""",
        "the weighted mean of those that answered",
        "do the shares of the three add up to one?",
    ),
    (
        "08.2",
        """
from threading import Lock
class Diary(Role):
    def __init__(self):
        super().__init__()
        self.lock, self.lines = Lock(), []
    @Service(expand=True)
    def write(self, caller, line):
        self.lines.append(line)
    @Service(expand=True)
    def read(self, caller):
        return self.lines""",
        "it moves to another node",
        "which of its attributes cannot be sent?",
    ),
    (
        "08.2",
        """
class Diary(Role):
    def __init__(self):
        super().__init__()
        self.lines = []
    @Service(expand=True)
    def write(self, caller, line):
        self.lines.append(line)
    @Service(expand=True)
    def read(self, caller):
        return self.lines
    def __getstate__(self):
        return {}
    def __setstate__(self, state):
        self.lines = []""",
        "what was written before the move is still there",
        "does __setstate__ take it all?",
    ),
    (
        "09.1",
        """
def mine(bed, trainers):
    return lambda rounds: bed.call("some*/trainer", "train", {"num_epochs": rounds})""",
        "know more of all the data than models that were trained alone",
        "do models travel",
    ),
    (
        "09.1",
        "def mine(bed, trainers):\n    trainers.assign('partner', Partner)",
        "it returns a function of the number of rounds",
        "it returned None",
    ),
]


@pytest.mark.parametrize("number", exercises())
def test_the_solution_of_the_lesson_is_right(number):
    check(number, answer(number))


@pytest.mark.parametrize(
    "number, source, wrong, hint", MISTAKES, ids=[f"{one[0]} {one[2]}" for one in MISTAKES]
)
def test_a_mistake_is_told(number, source, wrong, hint, monkeypatch):
    if "at the same time" in wrong:
        monkeypatch.setattr(toy_roles, "MEETING_TIMEOUT_S", 0.2)  # they wait in vain
    with pytest.raises(NotYet) as caught:
        check(number, answer(number, source))
    lines = str(caught.value).splitlines()
    (told,) = [index for index, line in enumerate(lines) if line.startswith("  wrong")]
    assert wrong in lines[told] and hint in "\n".join(lines[told:])
