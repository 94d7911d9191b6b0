"""Actors by ActorBuilder: what it refuses, and that it leaves nothing behind."""

import threading

import pytest

from roleml_nb import RoleMLError
from roleml_nb.compat.core.messaging.null import ProcedureInvokerDisabled
from roleml_nb.compat.essentials import ActorBuilder, Role, RoleInstanceID, Service
from roleml_nb.compat.extensions.messaging.comb.grpc.component import GRPCMessagingComponent
from roleml_nb.compat.shared.yml import load_yaml, save_yaml
from tests.waiting import until


class Answer(Role):
    @Service(expand=True)
    def ask(self, caller):
        return sorted(map(str, self.ctx.relationships.get_relationship("peer")))


def build(**configuration):
    builder = ActorBuilder()
    builder.load_config(configuration)
    return builder.build()


def test_a_built_actor_knows_its_relationships_and_ends_when_told():
    actor = build(
        name="own",
        roles={"answer": {"class": Answer}},
        messaging_component=GRPCMessagingComponent,
        relationships={"friend": ["/answer", "other/answer", "native"]},
        relationship_links={"peer": "friend"},
    )
    thread = threading.Thread(target=actor.run)
    thread.start()
    until(lambda: "answer" in actor.roles, "the role is there")
    assert actor.ctx.relationships.members("peer") == [
        RoleInstanceID("own", "answer"),
        RoleInstanceID("other", "answer"),
        RoleInstanceID("native", "actor"),
    ]
    with pytest.raises(RoleMLError, match="has an actor named 'own' already"):
        build(name="own")
    actor.stop_role("answer")
    actor.stop()
    actor.stop()
    thread.join(20)
    assert not thread.is_alive()
    build(name="own").stop()


class Numbered(Role):
    def __init__(self, number):
        super().__init__()
        self.number = number


def test_a_configuration_may_be_changed_for_the_next_actor():
    """Roles start with the run, but are those of the configuration that was loaded."""
    configuration = {
        "name": "first",
        "roles": {"numbered": {"class": Numbered, "options": {"number": 1}}},
    }
    actors = [build(**configuration)]
    configuration["name"], configuration["roles"]["numbered"]["options"]["number"] = "second", 2
    actors.append(build(**configuration))
    threads = [threading.Thread(target=actor.run) for actor in actors]
    for thread in threads:
        thread.start()
    until(lambda: all("numbered" in actor.roles for actor in actors), "the roles are there")
    assert [actor.roles["numbered"].number for actor in actors] == [1, 2]
    for actor in actors:
        actor.stop()
    for thread in threads:
        thread.join(20)


def test_a_configuration_that_fails_ends_the_run():
    actor = build(name="wrong", roles={"answer": {"class": Answer, "options": {"speed": 1}}})
    with pytest.raises(RoleMLError, match="Answer takes no option 'speed'"):
        actor.run()
    build(name="wrong").stop()


def test_a_builder_builds_one_actor_from_one_configuration():
    builder = ActorBuilder()
    with pytest.raises(RoleMLError, match="call load_config first"):
        builder.build()
    builder.load_config({"address": "127.0.0.1:1"})
    with pytest.raises(RoleMLError, match="one builder for each actor"):
        builder.load_config({"name": "a"})
    with pytest.raises(RoleMLError, match="needs a 'name'"):
        builder.build()
    with pytest.raises(AttributeError):
        builder.roles = {}


@pytest.mark.parametrize("component", [GRPCMessagingComponent, ProcedureInvokerDisabled])
def test_messaging_components_are_names_only(component):
    with pytest.raises(RoleMLError, match=f"a {component.__name__} cannot be made"):
        component("a", "127.0.0.1:1", None)


def test_yaml_files_there_and_back(tmp_path):
    save_yaml(tmp_path / "inner.yaml", {"lr": 0.1, "names": ["a", "b"]})
    (tmp_path / "outer.yaml").write_text(
        "model: !include inner.yaml\nrate: !include inner.yaml lr\n"
    )
    assert load_yaml(str(tmp_path / "outer.yaml")) == {
        "model": {"lr": 0.1, "names": ["a", "b"]},
        "rate": 0.1,
    }
