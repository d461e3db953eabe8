from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.commands import GivenChunk, GivenDocument, Item, Message, Retain
from memory.drafting import DocumentDraft, dense_text, draft_documents, lexical_text
from memory.errors import Unprocessable
from memory.ids import Scope
from memory.records import UnitType
from tests.support.builders import retain

SCOPE = Scope("t", "b")
NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
THEN = datetime(2024, 1, 1, tzinfo=UTC)


def draft(command: Retain, now: datetime = NOW) -> DocumentDraft:
    (only,) = draft_documents(SCOPE, command, now)
    return only


def chunk(content, **item):
    (only,) = draft(retain(content, **item)).chunks
    return only


def text_of(document: DocumentDraft) -> str:
    return "".join(c.separator + c.text for c in document.chunks) + document.tail


# -- who speaks


@pytest.mark.parametrize(
    ("message", "speaker"),
    [
        (Message("hi", role="user", name="Ann"), "Ann"),
        (Message("hi", role="user", metadata={"speaker": "Bob"}), "Bob"),
        (Message("hi", role="user", name="Ann", metadata={"speaker": "Bob"}), "Ann"),
        (Message("hi", role="user"), "user"),
        (Message("hi", name="Ann"), "Ann"),
        (Message("hi"), None),
    ],
)
def test_a_messages_speaker_is_its_name_then_its_metadata_then_its_role(message: Message, speaker: str | None):
    assert chunk((message,)).speaker == speaker
    assert chunk((message,)).role == message.role


@pytest.mark.parametrize(
    ("metadata", "speaker", "role"),
    [
        ({"speaker": "Ann", "role": "user"}, "Ann", "user"),
        ({"role": "user"}, "user", "user"),
        ({"speaker": "Ann"}, "Ann", None),
        ({}, None, None),
    ],
)
def test_a_string_items_speaker_is_in_its_metadata(metadata, speaker, role):
    made = chunk("hello there", metadata=metadata)
    assert (made.speaker, made.role) == (speaker, role)


def test_a_speaker_in_front_of_the_text_counts_where_the_documents_items_share_that_form():
    shared = draft(retain("Ann: hi", "Bob: hello", "Ann: bye"))
    assert [c.speaker for c in shared.chunks] == ["Ann", "Bob", "Ann"]
    assert [c.text for c in shared.chunks] == ["Ann: hi", "Bob: hello", "Ann: bye"]
    notes = draft(retain("Note: hi", "Buy: bread", "Call: Ann"))
    assert {c.speaker for c in notes.chunks} == {None}


def test_a_speaker_of_a_transcript_in_one_item_is_each_lines_own():
    made = draft(retain("Ann: hi\nBob: hello\nAnn: bye"))
    assert [c.speaker for c in made.chunks] == ["Ann", "Bob", "Ann"]


def test_metadata_names_the_speaker_before_the_prefix_does():
    made = draft(retain("Ann: hi", "Ann: bye", metadata={"speaker": "Zoe"}))
    assert {c.speaker for c in made.chunks} == {"Zoe"}


@pytest.mark.parametrize("role", ["assistant", "Assistant", "tool", "function", "ai", "agent", "model"])
def test_what_the_agent_says_is_experience(role: str):
    assert chunk((Message("hi", role=role),)).type is UnitType.EXPERIENCE
    assert chunk("hi", metadata={"role": role}).type is UnitType.EXPERIENCE
    assert chunk("hi", metadata={"speaker": role}).type is UnitType.EXPERIENCE
    assert chunk((Message("hi", role=role, name="Hal"),)).type is UnitType.EXPERIENCE


@pytest.mark.parametrize("role", ["user", "system", None])
def test_what_others_say_is_world(role: str | None):
    assert chunk((Message("hi", role=role),)).type is UnitType.WORLD
    assert chunk("hi").type is UnitType.WORLD


def test_a_spoken_string_is_one_message_and_not_passages():
    text = "One.\n\n" + "word " * 60 + "\n\n" + "more " * 60
    assert len(draft(retain(text)).chunks) == 2
    assert len(draft(retain(text, metadata={"role": "user"})).chunks) == 1


# -- when


def test_a_given_time_is_kept_none_means_now_and_timeless_has_none():
    assert chunk("a", timestamp=THEN).mentioned_at == THEN
    assert chunk("a").mentioned_at == NOW
    assert chunk("a", timestamp=THEN, timeless=True).mentioned_at is None
    assert chunk((Message("a"),), timeless=True).mentioned_at is None


def test_a_messages_own_time_precedes_its_items():
    later = THEN + timedelta(days=1)
    made = draft(retain((Message("a", timestamp=later), Message("b")), timestamp=THEN))
    assert [c.mentioned_at for c in made.chunks] == [later, THEN]


@given(st.datetimes(timezones=st.just(UTC)), st.booleans(), st.none() | st.just(THEN))
def test_digests_do_not_depend_on_now(now: datetime, timeless: bool, given_at: datetime | None):
    command = retain("some text", (Message("hi", role="user"),), timeless=timeless, timestamp=given_at)
    assert [c.digest for c in draft(command, now).chunks] == [c.digest for c in draft(command, NOW).chunks]


def test_one_instant_in_two_time_zones_is_one_digest():
    other = datetime.fromisoformat("2024-01-01T02:00:00+02:00")
    assert chunk("a", timestamp=other).digest == chunk("a", timestamp=THEN).digest


# -- digests


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": THEN},
        {"timeless": True},
        {"context": "c"},
        {"tags": ("x",)},
        {"metadata": {"k": "v"}},
        {"metadata": {"speaker": "Ann"}},
        {"metadata": {"role": "user"}},
        {"entities": (("Ann", None),)},
        {"entities": (("Ann", "person"),)},
    ],
)
def test_every_attribute_given_is_part_of_the_digest_and_none_changes_what_is_embedded(change):
    plain, changed = chunk("hello world"), chunk("hello world", **change)
    assert plain.digest != changed.digest
    assert plain.content_hash == changed.content_hash


def test_the_order_of_tags_and_metadata_is_not_part_of_the_digest():
    one = chunk("a", tags=("x", "y"), metadata={"k": "1", "l": "2"})
    assert one.digest == chunk("a", tags=("y", "x"), metadata={"l": "2", "k": "1"}).digest


def test_tags_of_the_item_and_of_the_request_are_joined_without_repeats():
    command = Retain("op", (Item("a", "d", tags=("x", "y", "x")),), document_tags=("y", "z"))
    made = draft(command)
    assert made.chunks[0].tags == ("x", "y", "z")
    assert made.tags == ("x", "y", "z")


def test_what_is_embedded_has_no_speaker_in_front_and_what_is_indexed_has():
    assert dense_text("Ann: I like tea", "Ann") == "I like tea"
    assert dense_text("Ann: I like tea", "Bob") == "Ann: I like tea"
    assert dense_text("I like tea", "Ann") == "I like tea"
    assert dense_text("Ann: I like tea", None) == "Ann: I like tea"
    assert lexical_text("I like tea", "Ann") == "Ann: I like tea"
    assert lexical_text("Ann: I like tea", "Ann") == "Ann: I like tea"
    assert lexical_text("I like tea", None) == "I like tea"


# -- documents


def test_items_that_share_a_document_id_are_its_parts_in_order():
    command = Retain("op", (Item("one", "a"), Item("two", "b"), Item("three", "a"), Item("four"), Item("five", "a")))
    first, second, third = draft_documents(SCOPE, command, NOW)
    assert (first.id, second.id) == ("a", "b")
    assert [(c.text, c.item) for c in first.chunks] == [("one", 0), ("three", 2), ("five", 4)]
    assert text_of(first) == "one\nthree\nfive"
    assert [c.text for c in third.chunks] == ["four"]


def test_an_item_without_an_id_is_a_document_of_its_own_named_by_the_operation():
    command = Retain("op", (Item("same"), Item("same")))
    ids = [d.id for d in draft_documents(SCOPE, command, NOW)]
    assert len(set(ids)) == 2
    assert [d.id for d in draft_documents(SCOPE, command, NOW + timedelta(days=1))] == ids
    assert {d.id for d in draft_documents(SCOPE, Retain("other", command.items), NOW)}.isdisjoint(ids)
    assert {d.id for d in draft_documents(Scope("t2", "b"), command, NOW)}.isdisjoint(ids)


def test_items_of_one_document_must_agree_on_update_mode():
    command = Retain("op", (Item("a", "d"), Item("b", "d", update_mode="append")))
    with pytest.raises(Unprocessable, match="'d' disagree"):
        draft_documents(SCOPE, command, NOW)
    apart = Retain("op", (Item("a", "d"), Item("b", "e", update_mode="append")))
    assert [d.mode for d in draft_documents(SCOPE, apart, NOW)] == ["replace", "append"]


@pytest.mark.parametrize("content", ["", "  \n ", (), (Message(" "), Message(""))])
def test_a_document_without_text_is_refused(content):
    with pytest.raises(Unprocessable, match="every item is blank"):
        draft_documents(SCOPE, retain(content), NOW)


CONTENT = st.text(max_size=40) | st.lists(st.builds(Message, content=st.text(max_size=30)), max_size=4).map(tuple)


@given(st.lists(CONTENT, min_size=1, max_size=5))
def test_a_drafts_text_is_its_items_joined_by_line_breaks(contents):
    turns = [turn for c in contents for turn in ([c] if isinstance(c, str) else [m.content for m in c])]
    if any(turn.strip() for turn in turns):
        made = draft(retain(*contents))
        assert text_of(made) == "\n".join(turns)
        assert all(c.text.strip() for c in made.chunks)


def test_metadata_and_context_of_a_one_item_document_are_the_documents():
    made = draft(retain("a", metadata={"k": "v"}, context="c"))
    assert (made.metadata, made.context) == ({"k": "v"}, "c")
    assert draft(retain("a", "b", metadata={"k": "v"})).metadata == {}


def test_a_messages_metadata_is_laid_over_its_items():
    made = chunk((Message("hi", metadata={"k": "mine", "m": "1"}),), metadata={"k": "item", "i": "2"})
    assert made.metadata == {"k": "mine", "m": "1", "i": "2"}


# -- a document as another bank has it


def test_a_given_document_is_taken_over_as_it_is():
    source = draft(retain("Ana: hi\nBo: hello there\nAna: bye\nBo: and bye", context="c", tags=("t",)))
    chunks = tuple(
        GivenChunk(
            text=one.text,
            separator=one.separator,
            digest=one.digest,
            item=one.item,
            type=one.type,
            speaker=one.speaker,
            mentioned_at=THEN,
            recorded_at=THEN,
            context=one.context,
            tags=one.tags,
            session="s",
        )
        for one in source.chunks
    )
    given_ = GivenDocument(chunks, source.tail, 7, THEN, THEN, tags=("t",), metadata={"k": "v"}, context="c")
    drafted = draft(Retain("r", (Item(given_, "d"),)))
    assert text_of(drafted) == text_of(source)
    assert [(c.digest, c.content_hash, c.speaker) for c in drafted.chunks] == [
        (c.digest, c.content_hash, c.speaker) for c in source.chunks
    ]
    assert {(c.mentioned_at, c.recorded_at, c.session) for c in drafted.chunks} == {(THEN, THEN, "s")}
    assert (drafted.version, drafted.created_at, drafted.updated_at) == (7, THEN, THEN)
    assert (drafted.tags, drafted.metadata, drafted.context, drafted.mode) == (("t",), {"k": "v"}, "c", "replace")


@pytest.mark.parametrize("more", [0, 1])
def test_a_given_document_has_chunks_and_is_alone(more):
    given_ = GivenDocument((GivenChunk("x", "", "0", 0, UnitType.WORLD),) * more, "", 1, THEN, THEN)
    items = (Item(given_, "d"), *(Item("x", "d"),) * more)
    with pytest.raises(Unprocessable, match="given whole" if more else "no chunks"):
        draft_documents(SCOPE, Retain("r", items), NOW)
