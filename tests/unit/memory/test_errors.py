import inspect
import pickle
import re

import pytest

from memory import errors

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_survives_pickling(kind):
    made = kind("what happened")
    copy = pickle.loads(pickle.dumps(made))
    assert type(copy) is kind
    assert str(copy) == "what happened"
    assert copy.args == made.args
    assert vars(copy) == vars(made)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if issubclass(kind, errors.RetryLater)])
def test_how_long_to_wait_survives_pickling(kind):
    copy = pickle.loads(pickle.dumps(kind("busy", 7.5)))
    assert (copy.retry_after_s, str(copy)) == (7.5, "busy")
    assert kind("busy").retry_after_s == 1.0


def test_the_ring_a_host_decided_by_survives_pickling():
    copy = pickle.loads(pickle.dumps(errors.NotOwner("not mine", 12)))
    assert (copy.ring_version, str(copy)) == (12, "not mine")


def test_every_class_is_on_the_branch_the_tree_shows():
    path: list[tuple[int, type]] = []
    shown = set()
    for line in errors.__doc__.split("\n\n")[1].splitlines():
        names = re.match(r" *(\w+(?:, \w+)*)", line)[1].split(", ")
        indent = len(line) - len(line.lstrip())
        path = [step for step in path if step[0] < indent]
        for name in names:
            shown.add(getattr(errors, name))
            assert getattr(errors, name).__base__ is (path[-1][1] if path else Exception), name
        path.append((indent, getattr(errors, names[0])))
    assert shown == set(CLASSES)


def test_an_invalid_request_is_never_worth_a_retry():
    for kind in CLASSES:
        assert not (issubclass(kind, errors.InvalidRequest) and issubclass(kind, errors.RetryLater))
