"""Transcript files: good lines become items, bad ones are named."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorebank import wire
from lorebank.transcripts import BadLine, Transcript, read_transcripts


def read(*lines: str | bytes) -> list[Transcript | BadLine]:
    return list(read_transcripts(line if isinstance(line, bytes) else line.encode() for line in lines))


def test_text_and_messages_become_items() -> None:
    """Both forms carry their attributes over."""
    text, dialogue = read(
        '{"document_id":"a","timestamp":"2024-01-15","context":"c","tags":["t"],"metadata":{"k":"v"},"content":"hi"}',
        '{"document_id":"b","messages":[{"name":"Ada","content":"x","timestamp":"2024-01-15T10:00:00Z"}],"tags":null}',
    )
    assert isinstance(text, Transcript)
    assert isinstance(dialogue, Transcript)
    assert text.to_item() == wire.RetainItem(
        document_id="a", timestamp=datetime(2024, 1, 15, tzinfo=UTC), context="c", tags=["t"], metadata={"k": "v"},
        content="hi",
    )  # fmt: skip
    assert dialogue.to_item().to_wire() == {
        "document_id": "b",
        "content": [{"name": "Ada", "content": "x", "timestamp": "2024-01-15T10:00:00Z"}],
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "body: Input should be a valid dictionary"),
        ('{"content":"x"}', "document_id: Field required"),
        ('{"document_id":"a"}', "needs either content or messages"),
        ('{"document_id":"a","content":"x","messages":[{"content":"y"}]}', "needs either content or messages"),
        ('{"document_id":"a","content":" "}', "content must not be blank"),
        ('{"document_id":"a","messages":[]}', "at least 1 item"),
        ('{"document_id":"a","messages":[{"role":"user"}]}', "messages.0.content: Field required"),
        ('{"document_id":"a","content":"x","timestamp":"soon"}', "ISO 8601"),
        ('{"document_id":"a","content":"x","tag":["t"]}', "tag: Extra inputs are not permitted"),
        (b'{"document_id":"\xff","content":"x"}', "not JSON"),
        ('{"document_id":"a","content":"\\ud800"}', "not JSON"),
    ],
)
def test_bad_lines_are_named(line: str | bytes, reason: str) -> None:
    """With their number, counted over blank lines, and the lines around them are still read."""
    good, bad, last = read('{"document_id":"0","content":"x"}', "", line, '{"document_id":"9","content":"x"}')
    assert isinstance(good, Transcript)
    assert isinstance(last, Transcript)
    assert isinstance(bad, BadLine)
    assert bad.number == 3
    assert reason in str(bad)


def test_document_id_used_twice_is_a_bad_line() -> None:
    """The later would silently replace the earlier."""
    _, again = read('{"document_id":"a","content":"x"}', '{"document_id":"a","content":"y"}')
    assert str(again) == "line 2: document_id 'a' is already used on line 1"


def test_byte_order_mark_is_skipped() -> None:
    """Files from Windows start with one."""
    (only,) = read(b'\xef\xbb\xbf{"document_id":"a","content":"x"}\r\n')
    assert isinstance(only, Transcript)


@given(
    st.lists(
        st.binary(max_size=30)
        | st.builds(
            lambda one: json.dumps(one).encode(),
            st.dictionaries(
                st.sampled_from(["document_id", "content", "messages", "tags"]), st.text(max_size=5) | st.integers()
            ),
        )
    )
)
def test_any_bytes_give_one_result_a_line(lines: list[bytes]) -> None:
    """Nothing is swallowed and nothing raised."""
    assert len(list(read_transcripts(lines))) == sum(bool(_without_mark(n, one).strip()) for n, one in enumerate(lines))


def _without_mark(number: int, line: bytes) -> bytes:
    return line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
