"""What the backfill job says before it has reached a deployment."""

from jobs import backfill


def test_a_file_that_cannot_be_read_is_named_before_any_server_is_looked_for(tmp_path, capsys):
    assert backfill.main([str(tmp_path / "none.ndjson"), "--bank", "b"]) == 2
    assert "none.ndjson" in capsys.readouterr().err


def test_without_a_server_it_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("actors.sessions._parent", lambda: tmp_path)
    file = tmp_path / "transcripts.ndjson"
    file.write_text('{"document_id": "d", "content": "text"}\n')
    assert backfill.main([str(file), "--bank", "b"]) == 2
    assert "start one" in capsys.readouterr().err
