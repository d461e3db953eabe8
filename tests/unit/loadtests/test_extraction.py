from collections import Counter

from loadtests.extraction import MEASURES, PAIRS, half_of, measure, read_labelled, report

LINES = read_labelled()


def test_the_set_has_enough_of_every_class():
    classes = Counter(line["class"] for line in LINES)
    thirty = (
        "dates",
        "attribution",
        "updates",
        "negation",
        "hypotheticals",
        "sarcasm",
        "quotations",
        "chit-chat",
        PAIRS,
    )
    assert all(classes[name] >= 30 for name in thirty)
    assert all(classes[name] >= 15 for name in ("questions", "non-English"))
    assert sum(classes.values()) - classes[PAIRS] >= 320


def test_the_halves_are_apart_and_of_like_size():
    halves = Counter(half_of(line) for line in LINES)
    assert set(halves) == {"dev", "test"}
    assert min(halves.values()) > 0.4 * len(LINES)


def test_the_test_half_keeps_the_promised_shares():
    tallies = measure(line for line in LINES if half_of(line) == "test")
    assert tallies["dates"].share >= 0.95
    assert tallies["attribution"].share >= 0.95
    assert tallies["fact precision"].share >= 0.90
    assert tallies["fact recall"].share >= 0.90
    assert tallies["kept out"].share >= 0.95
    assert tallies["closures found"].share >= 0.85
    assert tallies["no wrong closure"].share == 1.0


def test_a_wrong_answer_is_counted_and_shown():
    line = dict(next(line for line in LINES if line["class"] == "chit-chat"))
    line |= {"text": "I live in Rome.", "speaker": "Ana"}
    tallies = measure([line])
    assert tallies["kept out"].share == 0.0
    assert tallies["fact precision"].share == 0.0
    assert any("Ana lives in Rome" in shown for shown in report(tallies, wrong=True))
    assert set(tallies) == set(MEASURES)
