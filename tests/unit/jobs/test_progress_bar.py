"""What a job tells of its progress where nobody looks at a terminal: a line now and then, with what stands beside."""

import io

import pytest
from rich.text import Text

from jobs import progress_bar
from jobs.progress_bar import LOG_EVERY_S, bar


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now_s = [100.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: now_s[0])
    return now_s


def test_a_log_gets_a_line_now_and_then(clock, capsys):
    with bar("copy", 50, "turns", "{documents} documents, {rejects} rejects", documents=0, rejects=0) as shown:
        shown.move(10, documents=1)
        clock[0] += LOG_EVERY_S
        shown.move(5, documents=2)
        shown.move(5, documents=3)
        clock[0] += LOG_EVERY_S
        shown.move(rejects=4)
    out, err = capsys.readouterr()
    assert err.splitlines() == ["15 of 50 turns, 2 documents, 0 rejects", "21 of 50 turns, 3 documents, 4 rejects"]
    assert not out, "what a job prints is its report"


def test_a_total_may_be_known_later_or_never(clock, capsys):
    with bar("look", None, "banks") as shown:
        clock[0] += LOG_EVERY_S
        shown.at(3)
        clock[0] += LOG_EVERY_S
        shown.at(4, 9)
        clock[0] += LOG_EVERY_S
        shown.more()
    assert capsys.readouterr().err.splitlines() == ["3 banks", "4 of 9 banks", "4 of 10 banks"]


def test_on_a_terminal_it_is_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown_on = Terminal()
    monkeypatch.setattr("sys.stderr", shown_on)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with bar("copy", 50, "turns", "{documents} documents", documents=0) as shown:
        shown.move(10, documents=7)
    said = Text.from_ansi(shown_on.getvalue()).plain
    assert "10/50 turns, 7 documents" in said
