import stat

import orjson
import pytest

from memory.errors import BadSettings, SchemaMismatch, StoreDamaged
from storage import schema
from storage.directory import CARD_FILE, Space, allow_space, prepare_directory, read_card, shard_path

SPACE = Space("hash/32", 32)


def rewrite(data, **changed):
    path = data / CARD_FILE
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | changed))


def test_a_directory_without_a_card_is_made_with_its_parents(tmp_path):
    card = prepare_directory(tmp_path / "a" / "b", 3, SPACE)
    assert (card.storage_shards, card.embedder, card.dim) == (3, "hash/32", 32)
    assert card.schema_version == schema.SCHEMA_VERSION
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [CARD_FILE]


def test_the_card_is_the_same_at_every_start(tmp_path):
    assert prepare_directory(tmp_path, 1, SPACE) == prepare_directory(tmp_path, 1, SPACE)


def test_two_directories_have_ids_of_their_own(tmp_path):
    assert prepare_directory(tmp_path / "a", 1, SPACE).id != prepare_directory(tmp_path / "b", 1, SPACE).id


@pytest.mark.parametrize("space", [Space("minilm/int8", 32), Space("hash/32", 64)])
def test_another_embedder_is_refused_and_both_are_named(tmp_path, space):
    prepare_directory(tmp_path, 1, SPACE)
    with pytest.raises(BadSettings) as caught:
        prepare_directory(tmp_path, 1, space)
    for part in (str(tmp_path), "hash/32 (32 dimensions)", f"{space.embedder} ({space.dim})"):
        assert part in str(caught.value)


def test_settings_may_name_an_embedder_that_was_allowed_and_the_directory_stays_what_it_was_made_with(tmp_path):
    made, other = prepare_directory(tmp_path, 1, SPACE), Space("hash/64", 64)
    shard_path(tmp_path, 0).mkdir()
    for _ in range(2):
        allow_space(tmp_path, other)
    for space in (SPACE, other):
        card = prepare_directory(tmp_path, 1, space)
        assert (card.embedder, card.dim, card.also) == (made.embedder, made.dim, (("hash/64", 64),))
    with pytest.raises(BadSettings):
        prepare_directory(tmp_path, 1, Space("hash/65", 65))


def test_another_number_of_shards_is_refused_and_both_are_named(tmp_path):
    prepare_directory(tmp_path, 2, SPACE)
    with pytest.raises(BadSettings, match=r"storage_shards = 2, the settings say 4.*fixed"):
        prepare_directory(tmp_path, 4, SPACE)


@pytest.mark.parametrize("more", [{}, {"encryption": "aes"}], ids=["as known", "with a field unknown today"])
def test_a_newer_schema_is_refused_and_says_to_upgrade(tmp_path, more):
    prepare_directory(tmp_path, 1, SPACE)
    rewrite(tmp_path, schema_version=schema.SCHEMA_VERSION + 1, **more)
    with pytest.raises(SchemaMismatch, match=f"schema version {schema.SCHEMA_VERSION + 1}.*upgrade"):
        prepare_directory(tmp_path, 1, SPACE)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"{}", b'{"id": "x"}', b"\xff\xfe", b'{"schema_version": "one"}'],
    ids=repr,
)
def test_a_damaged_card_is_named_and_not_replaced(tmp_path, content):
    prepare_directory(tmp_path, 1, SPACE)
    (tmp_path / CARD_FILE).write_bytes(content)
    with pytest.raises(StoreDamaged, match=CARD_FILE):
        prepare_directory(tmp_path, 1, SPACE)
    assert (tmp_path / CARD_FILE).read_bytes() == content


def test_a_card_whose_version_is_no_number_is_damaged(tmp_path):
    prepare_directory(tmp_path, 1, SPACE)
    rewrite(tmp_path, schema_version="one")
    with pytest.raises(StoreDamaged, match=CARD_FILE):
        prepare_directory(tmp_path, 1, SPACE)


def test_a_card_half_written_by_a_killed_process_does_not_count(tmp_path):
    (tmp_path / CARD_FILE).with_suffix(".part").write_bytes(b'{"id": ')
    prepare_directory(tmp_path, 1, SPACE)
    assert not (tmp_path / CARD_FILE).with_suffix(".part").exists()


def test_a_path_that_is_a_file_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSettings, match="cannot be used"):
        prepare_directory(tmp_path / "file", 1, SPACE)


def test_everyone_who_may_read_the_directory_may_read_the_card(tmp_path):
    prepare_directory(tmp_path, 1, SPACE)
    assert (tmp_path / CARD_FILE).stat().st_mode & stat.S_IRUSR


def test_shards_have_directories_of_their_own(tmp_path):
    assert [shard_path(tmp_path, n).name for n in (0, 7, 63)] == ["shard-00", "shard-07", "shard-63"]


def test_a_card_is_read_only_where_everything_is_there(tmp_path):
    """Nothing is made of what is missing."""
    data = tmp_path / "data"
    with pytest.raises(BadSettings, match=r"no data directory of lorebank"):
        read_card(data)
    assert not data.exists()
    made = prepare_directory(data, 2, Space("hash/32", 32))
    with pytest.raises(StoreDamaged, match="shard-00 is missing"):
        read_card(data)
    for index in range(2):
        shard_path(data, index).mkdir()
    assert read_card(data) == made
