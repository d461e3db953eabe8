"""Rows of files -> parts of documents: every form and format, and each bad row with its reason."""

import csv
import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import polars as pl
import pytest

from jobs import rows
from jobs.columns import columns_of, read_mapping
from jobs.formats import Format
from jobs.parts import Part, Reject, as_instant, as_metadata, as_tags, gather
from jobs.reading import Reading
from jobs.rows import BadRow, Row, find_files, read_rows
from memory.errors import Unprocessable

TURNS = [
    {"conversation": "c1", "author": "Ana", "body": "Hello.", "sent_at": "2024-05-01T10:00:00Z"},
    {"conversation": "c1", "author": "Bo", "body": "Well, hello.", "sent_at": "2024-05-01T10:00:05Z"},
    {"conversation": "c2", "author": "Ana", "body": "Nobody there?", "sent_at": None},
]
MAP = columns_of({}, ["text=body", "speaker=author"])
MAY = datetime(2024, 5, 1, 10, tzinfo=UTC)


def read(*sources: Path | str, bank: str | None = "b", **how) -> tuple[list[Part], list[Reject]]:
    found = list(Reading(tuple(map(str, sources)), bank, **how).parts())
    return [part for part in found if isinstance(part, Part)], [part for part in found if isinstance(part, Reject)]


def write(path: Path, *values) -> Path:
    path.write_bytes(b"\n".join(value if isinstance(value, bytes) else orjson.dumps(value) for value in values))
    return path


def as_table(path: Path) -> Path:
    """The turns in the form that the suffix says."""
    if path.suffix == ".parquet":
        frame = pl.DataFrame(TURNS).with_columns(pl.col("sent_at").str.to_datetime(time_zone="UTC"))
        frame.write_parquet(path, row_group_size=2)
    elif path.suffix == ".json":
        path.write_bytes(orjson.dumps(TURNS, option=orjson.OPT_INDENT_2))
    elif path.suffix in {".csv", ".tsv"}:
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, TURNS[0], delimiter="\t" if path.suffix == ".tsv" else ",")
            table.writeheader()
            table.writerows(TURNS)
    else:
        write(path, *TURNS)
    return path


@pytest.mark.parametrize("name", ["t.parquet", "t.ndjson", "t.jsonl", "t.json", "t.csv", "t.tsv"])
def test_every_form_of_a_table_gives_the_same_turns(tmp_path, name):
    parts, rejects = read(as_table(tmp_path / name), columns=MAP)
    assert rejects == []
    assert [part.document_id for part in parts] == ["c1", "c1", "c2"]
    said = [message for part in parts for message in part.item.content]
    assert [(message.name, message.content) for message in said] == [(t["author"], t["body"]) for t in TURNS]
    assert [message.timestamp for message in said] == [MAY, MAY + timedelta(seconds=5), None]


def test_packed_files_directories_and_globs_are_read_once_and_in_order(tmp_path):
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    (folder / "b.ndjson.gz").write_bytes(gzip.compress(orjson.dumps(TURNS[1])))
    write(tmp_path / "in" / "a.ndjson", TURNS[0])
    write(tmp_path / "in" / "notes.md", b"not of a known form")
    parts, _ = read(tmp_path / "in", str(tmp_path / "in" / "*.ndjson"), columns=MAP)
    assert [Path(part.origin.file).name for part in parts] == ["a.ndjson", "b.ndjson.gz"]
    with pytest.raises(Unprocessable, match="no such file"):
        find_files((str(tmp_path / "*.nothing"),))


BAD = {
    "t.ndjson": (b'{"text": "a"}\n{no\n\n{"text": ""}\n{"text": 7}\n[1]\n{"text": "b"}', [2, 4, 5, 6]),
    "t.csv": (b'text,time\na,\nb,soon\nc,1,2\n"d"x,\n\xff,\ne,\n', [3, 4, 5, 6]),
    "t.json": (b'[{"text": "a"}, 3, {"text": "b"}, {"text": "c",}]', [2, 0]),
    "t.parquet": (b"PAR1 this is none", [0]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_rejected_with_its_number_and_the_rest_is_read(tmp_path, name):
    content, numbers = BAD[name]
    (tmp_path / name).write_bytes(content)
    write(tmp_path / "z.ndjson", {"text": "after"})
    parts, rejects = read(tmp_path)
    assert [reject.origin.row for reject in rejects] == numbers
    assert all(reject.reason and reject.origin.file.endswith(name) for reject in rejects)
    assert [part.item.content for part in parts][-1] == "after"
    assert len(parts) == {"t.ndjson": 3, "t.csv": 3, "t.json": 3, "t.parquet": 1}[name]


def test_a_line_that_is_too_long_is_rejected_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MAX_ROW_BYTES", 64)
    file = write(tmp_path / "t.ndjson", {"text": "a"}, {"text": "x" * 500}, {"text": "b"})
    found = list(read_rows(file))
    assert [(type(row), row.number) for row in found] == [(Row, 1), (BadRow, 2), (Row, 3)]


@pytest.mark.parametrize("chars", [1, 7, 64])
def test_a_json_array_is_read_across_the_borders_of_its_pieces(tmp_path, monkeypatch, chars):
    monkeypatch.setattr(rows, "READ_CHARS", chars)
    values = [{"text": "ä" * number, "n": [number, {"k": '"],{'}]} for number in range(40)]
    file = tmp_path / "t.json"
    file.write_text(json.dumps(values, ensure_ascii=False, indent=1))
    assert [row.value for row in read_rows(file)] == values


# -- columns


def test_columns_have_usual_names_and_flags_win_over_the_file(tmp_path):
    toml = tmp_path / "map.toml"
    toml.write_text('bank = "b"\n[columns]\ntext = "said"\nmetadata = ["place", "mood"]\n')
    columns = columns_of(read_mapping(toml)["columns"], ["text=body"])
    assert columns.given == {"text": ("body",), "metadata": ("place", "mood")}
    found = columns.found_in(["body", "said", "place", "mood", "session_id", "created_at", "role"])
    assert found.given == {**columns.given, "document": ("session_id",), "role": ("role",), "time": ("created_at",)}


@pytest.mark.parametrize(
    ("flags", "complaint"), [(["text"], "WHAT=COLUMN"), (["txt=body"], "cannot be 'txt'"), (["text="], "WHAT=COLUMN")]
)
def test_a_flag_that_is_none_is_named(flags, complaint):
    with pytest.raises(Unprocessable, match=complaint):
        columns_of({}, flags)


@pytest.mark.parametrize("text", ["column = 1", "no toml", "[columns]\ntext = ['a', 'b']"])
def test_a_mapping_that_is_none_is_named(tmp_path, text):
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(Unprocessable):
        columns_of(read_mapping(tmp_path / "map.toml").get("columns", {}), [])


def test_a_table_without_the_named_column_is_rejected_once_with_the_columns_it_has(tmp_path):
    file = as_table(tmp_path / "t.parquet")
    for columns in (columns_of({}, ["speaker=writer"]), columns_of({}, ["text=bodies"])):
        parts, rejects = read(file, columns=columns)
        assert parts == []
        assert [reject.origin.row for reject in rejects] == [0]
        assert "there are: conversation, author, body, sent_at" in rejects[0].reason


def test_rows_keep_bank_tags_metadata_and_context(tmp_path):
    row = {"bank_id": "mine", "text": "x", "tags": ["a", "b"], "context": "why", "place": "Oslo", "n": 3, "date": 1e12}
    (part,), _ = read(write(tmp_path / "t.ndjson", row), columns=columns_of({}, ["metadata=place,n"]), tags=("all",))
    item = part.item
    assert (part.bank, item.tags, item.context, item.content) == ("mine", ("a", "b", "all"), "why", "x")
    assert item.metadata == {"place": "Oslo", "n": "3"}
    assert item.timestamp == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
    assert part.document_id == "t.ndjson#1"


def test_rows_without_a_bank_are_rejected_unless_one_is_given(tmp_path):
    _, rejects = read(write(tmp_path / "t.ndjson", {"text": "x"}), bank=None)
    assert "--bank" in rejects[0].reason


def test_cells_of_many_forms():
    assert as_tags("a, b,a") == as_tags(["a", "b"]) == as_tags('["a", "b"]') == ("a", "b")
    assert as_metadata('{"a": 1, "b": null}') == as_metadata({"a": "1"}) == {"a": "1"}
    assert as_instant("1714557600") == as_instant(1714557600000) == as_instant("2024-05-01 12:00+02:00") == MAY
    for bad in ("soon", "2024-13-01", [], 1e300):
        with pytest.raises(ValueError, match="time"):
            as_instant(bad)


# -- formats


def test_openai_chats_keep_roles_and_join_text_parts(tmp_path):
    chat = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "One."}, {"type": "image_url", "image_url": {}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "content": "42"},
        ],
        "created": 1714557600,
    }
    (part,), rejects = read(write(tmp_path / "t.jsonl", chat, {"messages": []}))
    assert [(m.role, m.content) for m in part.item.content] == [
        ("system", "Be brief."),
        ("user", "One."),
        ("tool", "42"),
    ]
    assert (part.document_id, part.item.timestamp) == ("t.jsonl#1", MAY)
    assert [reject.origin.row for reject in rejects] == [2]


def test_sharegpt_conversations(tmp_path):
    row = {"id": "s", "conversations": [{"from": "human", "value": "Hi."}, {"from": "gpt", "value": "Hello."}]}
    (part,), _ = read(write(tmp_path / "t.json", [row]))
    assert part.document_id == "s"
    assert [(m.role, m.content) for m in part.item.content] == [("user", "Hi."), ("assistant", "Hello.")]


def test_locomo_as_released_and_one_a_line(tmp_path):
    turns = [{"speaker": "Ana", "dia_id": "D1:1", "text": "Look!", "blip_caption": "a cat"}]
    released = {
        "sample_id": "conv-1",
        "conversation": {"speaker_a": "Ana", "session_2": turns, "session_2_date_time": "1:56 pm on 8 May, 2023"},
    }
    lined = {"conversation": "conv-1", "sessions": [{"session": 2, "started_at": "2023-05-08T13:56Z", "turns": turns}]}
    (one,), _ = read(write(tmp_path / "one.json", [released]), bank=None)
    (two,), _ = read(write(tmp_path / "two.ndjson", lined), bank=None)
    assert (one.bank, one.document_id, one.item) == (two.bank, two.document_id, two.item)
    assert (one.bank, one.document_id) == ("conv-1", "conv-1/session-2")
    (said,) = one.item.content
    assert (said.name, said.content, said.metadata) == ("Ana", "Look! [image: a cat]", {"dia_id": "D1:1"})
    assert said.timestamp == datetime(2023, 5, 8, 13, 56, tzinfo=UTC)


def test_a_slack_export(tmp_path):
    users = [{"id": "U1", "name": "ana", "profile": {"display_name": "Ana"}}, {"id": "U2", "real_name": "Bo B"}]
    write(tmp_path / "users.json", users)
    write(tmp_path / "channels.json", [])
    (tmp_path / "general").mkdir()
    messages = [
        {"type": "message", "user": "U1", "text": "<@U2> see <https://a.b|this> &amp; that", "ts": "1714557600.000100"},
        {"type": "message", "subtype": "channel_join", "user": "U2", "text": "joined", "ts": "1714557601"},
        {
            "type": "message",
            "subtype": "bot_message",
            "bot_id": "B",
            "username": "cron",
            "text": "done",
            "ts": "1714557602",
        },
        {"type": "message", "user": "U2", "text": "ok", "ts": "1714557603", "thread_ts": "1714557600.000100"},
    ]
    write(tmp_path / "general" / "2024-05-01.json", messages)
    parts, rejects = read(tmp_path)
    assert {part.document_id for part in parts} == {"general/2024-05-01"}
    said = [message for part in parts for message in part.item.content]
    assert [(m.name, m.content) for m in said] == [
        ("Ana", "@Bo B see this (https://a.b) & that"),
        ("cron", "done"),
        ("Bo B", "ok"),
    ]
    assert said[0].timestamp == datetime(2024, 5, 1, 10, 0, 0, 100, tzinfo=UTC)
    assert said[2].metadata == {"channel": "general", "thread_ts": "1714557600.000100"}
    assert [(reject.origin.row, reject.reason) for reject in rejects] == [(2, "channel_join: nobody said anything")]


def test_plain_transcripts(tmp_path):
    (tmp_path / "calls").mkdir()
    text = "Minutes\n\nAna: Hello.\nHow are you?\n[2024-05-01 10:00] Bo: Fine: all is well.\n"
    (tmp_path / "calls" / "one.txt").write_text(text)
    parts, rejects = read(tmp_path)
    said = [message for part in parts for message in part.item.content]
    assert [(m.name, m.content, m.timestamp) for m in said] == [
        (None, "Minutes", None),
        ("Ana", "Hello.\nHow are you?", None),
        ("Bo", "Fine: all is well.", MAY),
    ]
    assert {part.document_id for part in parts} == {"calls/one.txt"}
    assert rejects == []
    with pytest.raises(Unprocessable, match="--bank"):
        read(tmp_path, bank=None)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"content": "x", "messages": [{"content": "y"}], "document_id": "d"}, "exactly one"),
        ({"document_id": "d", "content": "x", "contents": "y"}, "unknown keys contents"),
        ({"document_id": "d", "content": "x", "timestamp": "soon"}, "soon"),
        ({"document_id": "", "content": "x"}, "no document_id"),
        ({"document_id": "d", "messages": [{"content": "a"}, {"role": "user"}]}, "message 2: there is no text"),
    ],
)
def test_what_is_no_document_says_why(tmp_path, row, complaint):
    parts, rejects = read(write(tmp_path / "t.ndjson", row), format=Format.LOREBANK)
    assert parts == []
    assert complaint in rejects[0].reason


def test_turns_that_share_all_else_become_one_item(tmp_path):
    rows_ = [{"document": "d", "speaker": "A", "text": str(n), "tags": ["x"] if n > 2 else []} for n in range(5)]
    parts, _ = read(write(tmp_path / "t.ndjson", *rows_, {"document": "d", "text": "a note"}))
    document = gather(parts)
    assert [len(item.content) for item in document.items[:2]] == [3, 2]
    assert document.items[2].content == "a note"
    assert (document.turns, document.size_bytes, len(document.origins)) == (6, 11, 6)
