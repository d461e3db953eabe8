"""What the rules of extraction get right, on labelled sentences: `python -m loadtests.extraction`.

The set (`loadtests/data/extraction.ndjson`) is split in two by the hash of the text: `dev` is what the rules were
tuned on,
`test` is only counted. A line is a turn with what must come out of it, or an ordered pair of turns of which the second
closes, or must not close, what the first said.
"""

import argparse
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from memory.date_phrases import find_dates
from memory.extraction.candidates import CandidateFact, Turn
from memory.extraction.rules import extract_facts
from memory.supersession import SlotFact, chain_of

DATA = Path(__file__).parent / "data" / "extraction.ndjson"
PAIRS = "supersession"

Labelled = Mapping[str, Any]


@dataclass
class Tally:
    """Right out of all, and the lines that were wrong."""

    right: int = 0
    all: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, said: str, *, right: bool) -> None:
        """Count one answer."""
        self.right += right
        self.all += 1
        if not right:
            self.wrong.append(said)

    @property
    def share(self) -> float:
        """Right answers of all, 0 to 1; 1 where nothing was asked."""
        return self.right / self.all if self.all else 1.0


def read_labelled(path: Path = DATA) -> list[Labelled]:
    """The set, in the file's order."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def half_of(line: Labelled) -> str:
    """The half a line belongs to: "dev" or "test"."""
    text = line["text"] if line["class"] != PAIRS else f"{line['first']['text']}\n{line['second']['text']}"
    return "test" if hashlib.sha256(text.encode()).digest()[0] & 1 else "dev"


def measure(lines: Iterable[Labelled]) -> dict[str, Tally]:
    """Every measure over the lines given."""
    tallies = {name: Tally() for name in MEASURES}
    for line in lines:
        if line["class"] == PAIRS:
            _measure_pair(line, tallies)
        else:
            _measure_turn(line, tallies)
    return tallies


MEASURES = (
    "dates", "no date invented", "attribution", "fact precision", "fact recall", "kept out", "category", "slots",
    "closures found", "no wrong closure",
)  # fmt: skip


def _measure_turn(line: Labelled, tallies: Mapping[str, Tally]) -> None:
    turn = turn_of(line, datetime.fromisoformat(line["at"]))
    previous = turn_of(line["previous"], turn.said_at) if line["previous"] else None
    expected: Sequence[Labelled] = line["facts"]
    if line["class"] == "dates" or expected:
        found = [_days(phrase.span.start, phrase.span.end) for phrase in find_dates(turn.text, turn.said_at)]
        measure_name = "dates" if line["occurred"] else "no date invented"
        wanted = [] if line["occurred"] is None else [tuple(line["occurred"])]
        tallies[measure_name].add(f"{turn.text} -> {found}, not {wanted}", right=found == wanted)
    facts = list(extract_facts(turn, previous))
    if not expected:
        tallies["kept out"].add(f"{turn.text} -> {[fact.statement for fact in facts]}", right=not facts)
    for label in expected:
        fact = next((fact for fact in facts if _is_stated(fact, label)), None)
        near = fact or next(iter(facts), None)
        tallies["fact recall"].add(turn.text, right=near is not None)
        if near is None:
            continue
        facts.remove(near)
        tallies["attribution"].add(f"{near.statement} for {label['text']}", right=fact is not None)
        tallies["fact precision"].add(f"{near.statement} for {label['text']}", right=fact is not None)
        tallies["category"].add(
            f"{near.statement}: {near.category}, not {label['category']}", right=near.category in label["category"]
        )
        if "slot" in label:
            _measure_slot(near, label["slot"], tallies)
    for fact in facts:
        tallies["fact precision"].add(f"{fact.statement} for nothing ({line['class']})", right=False)


def _measure_slot(fact: CandidateFact, slot: Labelled, tallies: Mapping[str, Tally]) -> None:
    wanted = (slot["subject"], slot["attribute"], (slot["value"] or "").lower(), slot["holds"])
    found = [(claim.subject, claim.attribute, (claim.value or "").lower(), claim.holds) for claim in fact.claims]
    tallies["slots"].add(f"{fact.statement}: {found}, not {wanted}", right=wanted in found)


def _measure_pair(line: Labelled, tallies: Mapping[str, Tally]) -> None:
    turns = [turn_of(line[which], datetime.fromisoformat(line[which]["at"])) for which in ("first", "second")]
    closed = is_closed(*turns)
    name = "closures found" if line["closes"] else "no wrong closure"
    tallies[name].add(f"{turns[0].text} / {turns[1].text}", right=closed == line["closes"])


def is_closed(first: Turn, second: Turn) -> bool:
    """Whether a fact of the first turn is closed by one of the second."""
    slots: dict[tuple[str, str], list[SlotFact]] = {}
    for seq, turn in enumerate((first, second)):
        for fact in extract_facts(turn):
            for claim in fact.claims:
                slots.setdefault((claim.subject, claim.attribute), []).append(
                    SlotFact(
                        f"{seq}-{fact.sentence}",
                        claim.value,
                        turn.said_at,
                        seq,
                        fact.occurred,
                        claim.holds,
                        claim.replaces,
                        claim.happened,
                    )
                )
    return any(
        identity.startswith("0") and (validity.superseded_by or "").startswith("1")
        for facts in slots.values()
        for identity, validity in chain_of(facts).items()
    )


def turn_of(line: Labelled, at: datetime) -> Turn:
    """A labelled turn as extraction takes it."""
    return Turn(line["text"], at, line["speaker"], line["role"])


def _is_stated(fact: CandidateFact, label: Labelled) -> bool:
    return any(_plain(text) == _plain(fact.statement) for text in label["text"])


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", "", text.lower()).split())


def _days(start: datetime, end: datetime) -> tuple[str, str]:
    return start.date().isoformat(), (end - timedelta(days=1)).date().isoformat()


def report(tallies: Mapping[str, Tally], *, wrong: bool) -> Iterator[str]:
    """The lines to print."""
    for name, tally in tallies.items():
        yield f"{name:18} {tally.right:4} of {tally.all:4}  {100 * tally.share:5.1f} %"
        if wrong:
            yield from (f"    {line}" for line in tally.wrong)


def main() -> None:
    """Print the measures of one half, by default of the test half; the wrong lines of the dev half only."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=("test", "dev"), default="test")
    half = parser.parse_args().half
    lines = [line for line in read_labelled() if half_of(line) == half]
    classes = Counter(line["class"] for line in lines)
    print(f"{half}: {len(lines)} lines: " + ", ".join(f"{count} {name}" for name, count in sorted(classes.items())))
    for line in report(measure(lines), wrong=half == "dev"):
        print(line)


if __name__ == "__main__":
    main()
