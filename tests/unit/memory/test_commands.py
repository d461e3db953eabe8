from dataclasses import replace

import pytest

from memory.commands import Item, Retain

COMMAND = Retain("op", (Item("a", "d", tags=("x",)), Item("b")), document_tags=("t",))


def test_the_operation_id_is_not_part_of_the_fingerprint():
    assert replace(COMMAND, operation_id="other").fingerprint() == COMMAND.fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"items": COMMAND.items[:1]},
        {"items": COMMAND.items[::-1]},
        {"document_tags": ()},
        {"items": (replace(COMMAND.items[0], tags=()), COMMAND.items[1])},
        {"items": (replace(COMMAND.items[0], update_mode="append"), COMMAND.items[1])},
        {"items": (replace(COMMAND.items[0], metadata={"k": "v"}), COMMAND.items[1])},
    ],
)
def test_everything_else_is(change):
    assert replace(COMMAND, **change).fingerprint() != COMMAND.fingerprint()
