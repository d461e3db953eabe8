"""When a part that does not answer is ended: every rule of the decision, under a clock of the test's."""

from hypothesis import given
from hypothesis import strategies as st

from actors.supervision import Patience, Sign, Standing, Watch, judge

PATIENCE = Patience(misses=4, busy_s=300.0)
WELL = Watch(0.0, Standing.WELL)


def judged(signs: str, watch: Watch = WELL) -> list[Standing]:
    """Standings after each look, one a second: a(nswered), g(one), b(usy), s(ilent)."""
    named = {sign.value[0]: sign for sign in Sign}
    standings = []
    for number, letter in enumerate(signs, 1):
        watch = judge(watch, named[letter], float(number), PATIENCE)
        standings.append(watch.standing)
    return standings


def test_a_part_is_suspected_at_the_first_miss_and_condemned_at_the_fourth():
    assert judged("assss") == [
        Standing.WELL, Standing.SUSPECT, Standing.SUSPECT, Standing.SUSPECT, Standing.CONDEMNED,
    ]  # fmt: skip


def test_an_answer_forgives_all_misses():
    assert Standing.CONDEMNED not in judged("sssasssasss")


def test_a_part_that_works_is_given_longer_and_not_for_ever():
    standings = judged("b" * 301)
    assert standings.index(Standing.CONDEMNED) == 299
    assert set(standings[:299]) == {Standing.SUSPECT}


def test_work_seen_between_two_misses_begins_the_count_anew():
    assert Standing.CONDEMNED not in judged("sssbsssb")
    assert judged("sssbssss")[-1] is Standing.CONDEMNED


def test_a_process_that_ended_is_rays_business():
    assert judged("sggsss") == [Standing.SUSPECT] + [Standing.STARTING] * 5


def test_what_was_condemned_is_not_condemned_again_while_it_starts():
    assert judged("ssss" + "s" * 20 + "a")[3:] == [Standing.CONDEMNED] + [Standing.STARTING] * 20 + [Standing.WELL]


def test_what_never_starts_is_ended_again_after_the_longer_patience():
    standings = judged("ssss" + "s" * 300)
    assert [at for at, standing in enumerate(standings) if standing is Standing.CONDEMNED] == [3, 303]


def test_a_new_part_has_the_longer_patience():
    assert judged("ssssssss", Watch(0.0)) == [Standing.STARTING] * 8


def test_a_supervisor_that_slept_itself_condemns_nobody_at_its_first_look():
    """Misses are counted, whatever time has passed: an hour's sleep is one miss of each part."""
    watch = judge(WELL, Sign.SILENT, 250.0, PATIENCE)
    assert (watch.standing, watch.misses) == (Standing.SUSPECT, 1)


@given(st.text("agbs", max_size=60), st.integers(1, 6))
def test_no_part_is_condemned_without_as_many_misses_in_a_row_or_a_long_silence(signs, misses):
    named = {sign.value[0]: sign for sign in Sign}
    watch, row, silence_s = WELL, 0, 0.0
    for number, letter in enumerate(signs, 1):
        starting = watch.standing in {Standing.STARTING, Standing.CONDEMNED}
        row = row + 1 if letter == "s" and not starting else 0
        watch = judge(watch, named[letter], float(number), Patience(misses, 30.0))
        silence_s = 0.0 if letter == "a" or (letter == "g" and not starting) else silence_s + 1.0
        if watch.standing is Standing.CONDEMNED:
            assert row == misses or silence_s >= 30.0
            silence_s = 0.0
        else:
            assert row < misses
        assert (watch.standing is Standing.WELL) == (letter == "a")
