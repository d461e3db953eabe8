"""How a job tells what came of it: in words, as JSON, and in a file that is never half written."""

import json

import pytest

from jobs.report import tell
from jobs.whole_files import written_whole

REPORT = {"job": "copy", "banks": 2}


def test_words_are_for_people_and_json_for_programs(capsys):
    tell(REPORT, "copied 2 banks", as_json=False)
    tell(REPORT, lambda: print("a table of 2 banks"), as_json=False)
    assert capsys.readouterr().out.splitlines() == ["copied 2 banks", "a table of 2 banks"]
    tell(REPORT, "copied 2 banks", as_json=True)
    assert json.loads(capsys.readouterr().out) == REPORT


def test_it_is_filed_whatever_is_printed(tmp_path, capsys):
    tell(REPORT, "copied 2 banks", as_json=False, file=tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_bytes()) == REPORT
    assert capsys.readouterr().out == "copied 2 banks\n"


def test_a_file_that_was_there_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "answers"
    path.write_text("former")

    def stopped() -> None:
        with written_whole(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert path.read_text() == "former"
