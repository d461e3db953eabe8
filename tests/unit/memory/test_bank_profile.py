"""What holds for a bank: what it stores, else the defaults."""

from memory.bank_profile import DEFAULTS, overrides_of, read_profile, resolve_settings


def test_nothing_stored_gives_the_defaults() -> None:
    profile = read_profile("alice", {})
    assert (profile.name, profile.mission) == ("alice", "")
    assert profile.disposition == {"skepticism": 3, "literalism": 3, "empathy": 3}
    assert resolve_settings({}) == DEFAULTS


def test_stored_values_win_and_nulls_are_absent() -> None:
    stored = {"name": "Alice", "reflect_mission": "help", "disposition_empathy": 5, "retain_mission": None, "own": 1}
    assert read_profile("alice", stored).name == "Alice"
    assert read_profile("alice", stored).disposition["empathy"] == 5
    assert overrides_of(stored) == {"reflect_mission": "help", "disposition_empathy": 5, "own": 1}
    assert resolve_settings(stored) == {**DEFAULTS, "reflect_mission": "help", "disposition_empathy": 5, "own": 1}
