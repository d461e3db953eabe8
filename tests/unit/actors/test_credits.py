import pytest

from actors.credits import PIECE_BYTES, PIECE_CHARS, Credits, HostCredits, Limits, size_of
from memory.commands import AppendTurns, DeleteBank, Item, Message, Retain
from memory.errors import Overloaded


def test_commands_and_bytes_are_both_bounded():
    room = Credits("here", Limits(2, 100))
    room.take(60)
    with pytest.raises(Overloaded, match="0 MiB of commands here"):
        room.take(41)
    room.take(40)
    with pytest.raises(Overloaded, match="2 commands here"):
        room.take(0)
    room.give_back(60)
    room.take(60)
    assert (room.commands, room.size_bytes) == (2, 100)


def test_a_command_larger_than_all_room_is_let_in_alone():
    room = Credits("here", Limits(10, 100))
    room.take(1000)
    with pytest.raises(Overloaded):
        room.take(1)
    room.give_back(1000)
    room.take(1)
    with pytest.raises(Overloaded):
        room.take(1000)


def test_a_tenant_cannot_take_all_of_a_host_and_what_is_refused_takes_nothing():
    room = HostCredits("host", Limits(3, 1000), Limits(2, 500))
    with room.held("a", 10), room.held("a", 10):
        with pytest.raises(Overloaded, match="tenant 'a'"), room.held("a", 10):
            raise AssertionError("it was let in")
        with room.held("b", 10):
            assert (room.host.commands, room.host.size_bytes) == (3, 30)
            with pytest.raises(Overloaded, match="at host"), room.held("c", 10):
                raise AssertionError("it was let in")
    assert (room.host.commands, room.host.size_bytes) == (0, 0)
    assert not room._tenants


def test_credits_come_back_when_a_command_fails():
    room = HostCredits("host", Limits(1, 10), Limits(1, 10))
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"), room.held("a", 5):
            raise ValueError("broken")


def test_a_command_counts_its_text_and_what_is_made_of_its_pieces():
    assert size_of(DeleteBank("d")) == PIECE_BYTES
    one = size_of(Retain("r", (Item("x"),)))
    assert PIECE_BYTES < one < PIECE_BYTES + 100
    messages = tuple(Message("x") for _ in range(10))
    assert size_of(Retain("r", (Item(messages), Item("x")))) == 11 * one
    long = size_of(Retain("r", (Item("x" * 1_000_000),)))
    assert long > 1_000_000 + 1_000_000 // PIECE_CHARS * PIECE_BYTES
    assert size_of(Retain("r", (Item("\N{SNOWMAN}" * 1_000_000),))) > long + 900_000


def test_an_append_takes_what_its_turns_take():
    turns = (Message("x" * 10 * PIECE_CHARS), Message("y"))
    assert size_of(AppendTurns("op", "s", turns)) == size_of(Retain("op", (Item(turns, document_id="s"),)))
