"""Contacts, relationships, contexts: the surroundings of a role."""

import os
import random
import sys
import threading

import pytest

from roleml_nb.role import (
    ActorNotFoundError,
    ActorProfile,
    Contacts,
    Context,
    Relationships,
    RoleInstanceID,
    RoleMLError,
)

A, B, C = (RoleInstanceID("n", name) for name in "abc")


def test_relationships_keep_their_order_and_hand_out_snapshots():
    relationships = Relationships({"r": [B]}, {"alias": "r"})
    relationships.add_to_relationship("r", A, B)
    assert relationships.members("r") == [B, A] == list(relationships.get_relationship("alias"))
    view = relationships.get_relationship_view("r")
    relationships.remove_from_relationship("r", B, C)
    assert view == {A, B} and relationships.get_relationship_view("r") == {A}
    assert relationships.all_relationships() == {
        "r": {A},
        "alias": {A},
    } and relationships.all_links() == {"alias": "r"}
    assert relationships.instance_belongs_to_relationship(A, "alias")
    assert not relationships.instance_belongs_to_relationship(B, "alias")
    assert relationships.members("unknown") == []


def test_an_alias_is_the_same_relationship_for_good():
    relationships = Relationships()
    relationships.link_relationship("alias", "r")
    relationships.add_to_relationship("alias", A)
    assert relationships.members("r") == [A]
    relationships.link_relationship("alias2", "alias")
    relationships.remove_from_relationship("alias2", A)
    assert relationships.members("r") == []
    for wrong, text in (
        (("r", "alias2"), "would be a circle"),
        (("full", "r"), "has members and cannot become a link"),
    ):
        relationships.add_to_relationship("full", A)
        with pytest.raises(ValueError, match=text):
            relationships.link_relationship(*wrong)


@pytest.mark.parametrize("change", ["add_to_relationship", "remove_from_relationship"])
def test_a_change_of_nobody_is_a_mistake(change):
    with pytest.raises(ValueError, match="no role instances to .* relationship 'r'"):
        getattr(Relationships(), change)("r")


def test_listeners_hear_what_has_changed_under_every_name():
    relationships, heard = Relationships(), []
    relationships.link_relationship("alias", "r")
    relationships.listeners.append(lambda *change: heard.append(change))
    relationships.add_to_relationship("r", A, B)
    relationships.add_to_relationship("r", B)  # no change
    relationships.remove_from_relationship("alias", A)
    assert heard == [
        ("r", "add", (A, B)),
        ("alias", "add", (A, B)),
        ("r", "remove", (A,)),
        ("alias", "remove", (A,)),
    ]
    heard.clear()
    assert relationships.replace(B, C) == ["r"] and relationships.members("alias") == [C]
    assert heard == []  # the same role, at another address


def test_many_threads_change_a_relationship():
    relationships = Relationships()
    start = threading.Barrier(8)

    def work(number):
        start.wait(30)
        for step in range(200):
            relationships.add_to_relationship("r", RoleInstanceID(f"n{number}", str(step)))
            if step % 2:
                relationships.remove_from_relationship("r", RoleInstanceID(f"n{number}", str(step)))
            with relationships:  # usable as a lock: nobody changes it meanwhile
                before = relationships.members("r")
                assert relationships.members("r") == before

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(relationships.members("r")) == 8 * 100


def test_contacts():
    contacts, heard = Contacts(ActorProfile("a", "here")), []
    contacts.listeners.append(heard.append)
    assert contacts.add_contact(ActorProfile("a", "there")).address == "here"
    assert contacts.get_actor_profile("a").address == "there" and heard == [
        ActorProfile("a", "there")
    ]
    assert contacts.all_actor_names() == ["a"] and list(contacts.all_actors())[0].name == "a"
    with pytest.raises(ActorNotFoundError, match="no node named 'ab'; did you mean 'a'"):
        contacts.get_actor_profile("ab")
    assert contacts.remove_contact("a").name == "a" and contacts.remove_contact("a") is None


def test_a_context_changes_nothing_of_the_process(tmp_path):
    before = os.getcwd(), list(sys.path), random.getstate()
    context = Context.build(
        ActorProfile("n"),
        workdir=str(tmp_path),
        src=str(tmp_path / "src"),
        seed=-1,
        initial_relationships={"r": [A]},
        initial_relationship_links={"s": "r"},
        initial_contacts=[ActorProfile("m", "x")],
        initial_handwaves=["m"],
    )
    assert (os.getcwd(), list(sys.path), random.getstate()) == before
    assert (
        context.workdir == str(tmp_path)
        and context.src == str(tmp_path / "src")
        and context.seed >= 0
    )
    assert context.relationships.members("s") == [A] and context.handwaves == ["m"]
    assert context.contacts.all_actor_names() == ["m"]
    assert context.apply_general_template("$workdir/$seed/$time") == (
        f"{tmp_path}/{context.seed}/{context.start_time_formatted}"
    )
    assert 1 <= int(context.apply_general_template("$random")) < 2**31
    with pytest.raises(KeyError):
        context.apply_general_template("$unknown")


def test_the_active_context_is_each_threads_own():
    with pytest.raises(RoleMLError, match="no role runs here, so there is no active context"):
        Context.active_context()
    context, found = Context.build(ActorProfile("n")), []

    def work():
        Context.set_active_context(context)
        found.append(Context.active_context())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert found == [context]
    with pytest.raises(RoleMLError):
        Context.active_context()
