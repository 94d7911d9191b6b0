"""The first program of a RoleML course: actors that this process builds and runs."""

from threading import Thread

import roleml_nb.compat
from tests.waiting import until

roleml_nb.compat.install()

import roleml.essentials as rml  # noqa: E402
from roleml.extensions.messaging.invokers.requests import RequestsProcedureInvoker  # noqa: E402
from roleml.extensions.messaging.providers.flask import FlaskProcedureProvider  # noqa: E402
from roleml.kits.interfaces import Runnable  # noqa: E402


class Greeter(rml.Role):
    @rml.Service()
    def greet(self, caller, args, payloads):
        return f"hello {caller}"


class Player(rml.Role, Runnable):
    played = False

    def run(self):
        print(self.call("greeter", "greet"))
        self.played = True


def wait(actor):
    until(lambda: "player" in actor.roles and actor.roles["player"].played, "the player has played")


conf: rml.ActorBootstrapSpec = {
    "name": "alone",
    "address": "127.0.0.1:5000",
    "roles": {"greeter": {"class": "__main__.Greeter"}, "player": {"class": "__main__.Player"}},
}
builder = rml.ActorBuilder()
builder.load_config(conf)
actor = builder.build()
thread = Thread(target=actor.run)
thread.start()
wait(actor)
actor.stop()
thread.join(20)
print(thread.is_alive(), actor.profile.name)

configurations = [
    {
        "name": "a1",
        "address": "127.0.0.1:5001",
        "procedure_provider": FlaskProcedureProvider,
        "contacts": {"a2": "127.0.0.1:5002"},
        "roles": {"greeter": {"class": Greeter}},
    },
    {
        "name": "a2",
        "address": "127.0.0.1:5002",
        "procedure_invoker": RequestsProcedureInvoker,
        "contacts": {"a1": "127.0.0.1:5001"},
        "relationships": {"greeter": ["a1/greeter"]},
        "roles": {"player": {"class": "__main__.Player"}},
    },
]
actors, threads = [], []
for configuration in configurations:
    builder = rml.ActorBuilder()
    builder.load_config(configuration)
    actors.append(builder.build())
    threads.append(Thread(target=actors[-1].run))
    threads[-1].start()
    until(lambda: actors[-1].roles.keys() & {"greeter", "player"}, "the roles are there")
wait(actors[1])
for actor in actors:
    actor.stop()
for thread in threads:
    thread.join(20)
print(any(thread.is_alive() for thread in threads))
