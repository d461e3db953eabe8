"""`python -m jobs.verify` on a directory: what it prints, what it mends, and its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors import offline
from actors.data_lock import DataLock
from jobs import verify
from tests.support.planting import NOT_A_NUMBER, own
from tests.unit.jobs.conftest import SCOPES

ANA, DASHED, ACME = SCOPES


def run(place, capsys, *arguments: str) -> tuple[int, dict]:
    """Exit code and the JSON report."""
    code = verify.main(["--data", str(place.data), "--json", *arguments])
    out, _ = capsys.readouterr()
    return code, json.loads(out) if out else {}


def kinds(breaches: list[dict]) -> list[tuple[str, str]]:
    return [(breach["bank"], breach["kind"]) for breach in breaches]


def test_a_sound_directory_is_clean(place, capsys):
    code, report = run(place, capsys, "--vectors", "all")
    assert (code, report["clean"], report["banks"], report["units"], report["vectors"]) == (0, True, 3, 18, 18)
    assert report["found"] == report["left"] == report["not_checked"] == []


def test_breaches_are_listed_and_nothing_is_changed(place, capsys):
    place.change(ANA, lambda v: v.add_unit("orphan", **own("orphan")))
    place.change(ACME, lambda v: v.drop_unit("two"))
    for _ in range(2):
        code, report = run(place, capsys)
        assert code == 1
        assert kinds(report["found"]) == [("ana", "chunk missing"), ("ana", "orphan")]
        assert [breach["tenant"] for breach in report["found"]] == ["acme", "default"]
        assert [breach["repairable"] for breach in report["found"]] == [False, True]
        assert report["repaired"] == []


def test_what_can_be_mended_is_and_then_all_is_clean(place, capsys):
    place.change(ANA, lambda v: v.add_unit("orphan", **own("orphan")))
    place.change(DASHED, lambda v: v.vector("two", NOT_A_NUMBER))
    code, report = run(place, capsys, "--repair", "--vectors", "all")
    assert (code, report["clean"], len(report["found"]), report["left"]) == (0, True, 2, [])
    assert {(row["bank"], row["retired"], row["remade"]) for row in report["repaired"]} == {
        ("ana", 1, 0),
        ("-b/ü", 0, 1),
    }
    assert run(place, capsys, "--vectors", "all")[0] == 0


def test_what_cannot_be_mended_is_left_and_the_code_stays(place, capsys):
    place.change(ANA, lambda v: v.drop_unit("two"))
    place.change(ANA, lambda v: v.head(counters={"units": 99}))
    code, report = run(place, capsys, "--repair")
    assert code == 1
    assert kinds(report["found"]) == [("ana", "chunk missing"), ("ana", "counters")]
    assert kinds(report["left"]) == [("ana", "chunk missing")]


def test_a_bank_nobody_can_own_does_not_keep_others_from_their_repair(place, capsys):
    place.change(ANA, lambda v: v.lose_a_commit())
    place.change(ACME, lambda v: v.add_unit("orphan", **own("orphan")))
    code, report = run(place, capsys, "--repair")
    assert code == 1
    assert [row["tenant"] for row in report["repaired"]] == ["acme"]
    assert [row["bank"] for row in report["repair_failed"]] == ["ana"]
    assert {breach["kind"] for breach in report["left"]} == {"commit missing", "unsettled commit"}


def test_a_lost_head_is_made_again(place, capsys):
    from memory.records import RecordKind

    place.change(ANA, lambda v: v.drop_record(RecordKind.HEAD, "head"))
    code, report = run(place, capsys)
    assert (code, kinds(report["found"])) == (1, [("ana", "stray points")])
    assert run(place, capsys, "--repair")[0] == 0
    code, report = run(place, capsys)
    assert (code, report["banks"], report["units"]) == (0, 3, 18)


@pytest.mark.parametrize(
    ("arguments", "banks"),
    [
        (["--bank", "ana"], 1),
        (["--bank=-b/ü"], 1),
        (["--tenant", "default"], 2),
        (["--tenant", "acme"], 1),
        (["--tenant", "nobody"], 0),
        (["--tenant", "acme", "--bank", "ana"], 1),
    ],
)
def test_one_bank_or_one_tenant_can_be_asked_for(place, capsys, arguments, banks):
    place.change(DASHED, lambda v: v.add_unit("orphan", **own("orphan")))
    code, report = run(place, capsys, *arguments)
    asked_for = arguments in (["--bank=-b/ü"], ["--tenant", "default"])
    assert (code, report["banks"]) == (1 if asked_for else 0, banks)


def test_the_table_names_kinds_and_breaches(place, capsys):
    place.change(ANA, lambda v: v.add_unit("orphan", **own("orphan")))
    place.change(ANA, lambda v: v.drop_unit("two"))
    assert verify.main(["--data", str(place.data)]) == 1
    out = capsys.readouterr().out
    assert "3 banks, 18 units" in out
    assert "default/ana: chunk missing: document 'd', unit" in out
    assert "(cannot be repaired)" in out
    assert out.rstrip().endswith("2 breaches")
    assert verify.main(["--data", str(place.data), "--repair"]) == 1
    out = capsys.readouterr().out
    assert "repaired default/ana: units: 1 retired" in out
    assert out.rstrip().endswith("1 breaches")


# -- nothing can be checked


def test_a_directory_in_use_is_refused_and_names_the_holder(place, capsys, monkeypatch):
    monkeypatch.setattr(offline, "PATIENCE_S", 0.0)
    with DataLock(place.data):
        assert run(place, capsys)[0] == 2
        assert verify.main(["--data", str(place.data)]) == 2
    error = capsys.readouterr().err
    assert f"process {os.getpid()}" in error
    assert "leave --data out" in error


@pytest.mark.parametrize("what", ["nothing", "no card", "a bank that is not there", "another embedder"])
def test_what_an_operator_must_change_is_said(place, capsys, tmp_path, monkeypatch, what):
    data, arguments = place.data, []
    if what == "nothing":
        data = tmp_path / "absent"
    elif what == "no card":
        (data / "lorebank.json").unlink()
    elif what == "a bank that is not there":
        arguments = ["--bank", "nobody"]
    else:
        place.change(ANA, lambda v: v.vector("two", NOT_A_NUMBER))
        monkeypatch.setenv("LOREBANK_EMBEDDING_DIM", "48")
        arguments = ["--repair"]
    code = verify.main(["--data", str(data), *arguments])
    out, error = capsys.readouterr()
    if what == "another embedder":  # the audit itself needs none
        assert code == 1
        assert f"was made with the embedder hash/{32}" in out
    else:
        assert code == 2
        assert error.startswith("verify: ")
    assert not (tmp_path / "absent").exists()


def test_a_directory_of_an_older_schema_version_is_not_touched_and_what_to_do_is_said(place, capsys):
    card = place.data / "lorebank.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"schema_version": 1}))
    assert verify.main(["--data", str(place.data)]) == 2
    said = capsys.readouterr().err
    assert "has schema version 1" in said
    assert f"lorebank up --data {place.data}" in said


def test_without_a_server_a_directory_must_be_named(capsys, monkeypatch, tmp_path):
    from actors import sessions

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(sessions, "_parent", lambda: tmp_path)
    assert verify.main([]) == 2
    assert "no server of yours runs on this machine" in capsys.readouterr().err


@pytest.mark.parametrize("bad", [["--vectors", "some"], ["--no-such-flag"]])
def test_bad_usage_is_code_2(bad):
    with pytest.raises(SystemExit) as end:
        verify.main(bad)
    assert end.value.code == 2


# -- through the command line


@pytest.mark.parametrize(("damaged", "code"), [(False, 0), (True, 1)])
def test_the_command_passes_its_flags_and_the_exit_code_through(place, damaged, code):
    if damaged:
        place.change(DASHED, lambda v: v.drop_unit("two"))
    command = [sys.executable, "-m", "lorebank.cli", "verify", "--data", str(place.data), "--bank=-b/ü", "--json"]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    assert json.loads(done.stdout)["banks"] == 1


def test_the_command_passes_code_2_through(tmp_path):
    command = [sys.executable, "-m", "lorebank.cli", "verify", "--data", str(tmp_path / "absent")]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no data directory" in done.stderr


def test_a_directory_is_checked_without_ray(place):
    """It takes seconds to import, and has no part in it."""
    script = (
        "import sys; from jobs import verify; code = verify.main(sys.argv[1:]); sys.exit(code or 'ray' in sys.modules)"
    )
    command = [sys.executable, "-c", script, "--data", str(place.data), "--repair"]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def test_banks_not_written_to_since_they_were_right_are_left_out(place, capsys, tmp_path):
    marks, report_file = ["--marks", str(tmp_path / "marks.json")], tmp_path / "report.json"
    code, report = run(place, capsys, *marks)
    assert (code, report["banks"], report["unchanged"]) == (0, 3, 0)
    code, report = run(place, capsys, *marks, "--report", str(report_file))
    assert (code, report["banks"], report["unchanged"], report["units"]) == (0, 0, 3, 0)
    assert json.loads(report_file.read_bytes()) == report
    place.change(ACME, lambda v: v.add_unit("orphan", **own("orphan")))
    assert run(place, capsys, *marks)[1]["unchanged"] == 3, "what came without a write of its owner is not looked for"
    code, report = run(place, capsys, *marks, "--all")
    assert (code, report["banks"], kinds(report["found"])) == (1, 3, [("ana", "orphan")])
    code, report = run(place, capsys, *marks, "--repair")
    assert (code, report["banks"], report["unchanged"], len(report["repaired"])) == (0, 1, 2, 1)
    code, report = run(place, capsys, *marks)
    assert (code, report["banks"], report["unchanged"]) == (0, 0, 3)


def test_marks_of_a_shallower_look_count_for_nothing_and_others_are_refused(place, capsys, tmp_path):
    file = tmp_path / "marks.json"
    marks = ["--marks", str(file)]
    run(place, capsys, *marks)
    assert run(place, capsys, *marks, "--vectors", "all")[1]["banks"] == 3
    assert run(place, capsys, *marks)[1]["unchanged"] == 3
    body = json.loads(file.read_bytes())
    file.write_text(json.dumps({**body, "deployment": "elsewhere"}))
    assert verify.main(["--data", str(place.data), *marks]) == 2
    assert "of another deployment" in capsys.readouterr().err
    file.write_text("{}")
    assert verify.main(["--data", str(place.data), *marks]) == 2
    assert "no file of a verification" in capsys.readouterr().err
