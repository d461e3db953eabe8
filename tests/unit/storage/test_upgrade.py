"""A directory of each earlier schema version, from the payloads it held, becomes one of today's."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from qdrant_edge import Point, UpdateOperation

from memory.drafting import lexical_text
from memory.ids import Scope
from memory.plans import SETTLED, WHOLE
from memory.records import RecordKind
from memory.store_calls import GetRecords, ListRecords, ReadHead
from storage import schema, upgrade
from storage.bm25 import document_weights
from storage.directory import Card, read_card, shard_path, write_card
from storage.edge_shard import open_records, open_units
from storage.edge_store import EdgeStore
from tests.support.bank_process import activate
from tests.support.bank_state import check_bank, read_bank
from tests.support.builders import DIM, dense

GOLDEN = Path(__file__).parent / "golden"
BANKS = {name: Scope("tenant", name) for name in ("settled", "committed", "prepared", "deleted")}


def put(shard: Any, points: list[Point]) -> None:
    shard.update(UpdateOperation.upsert_points(points))
    shard.flush()
    shard.close()


@pytest.fixture
def old(tmp_path: Path) -> tuple[Path, Card]:
    """A directory of schema version 1, as its program left it when it was killed."""
    held = orjson.loads((GOLDEN / "schema-1.json").read_bytes())
    path = shard_path(tmp_path, 0)
    units = open_units(path / schema.UNITS, DIM, 1.0)
    put(
        units,
        [
            Point(
                point,
                {
                    schema.DENSE: dense(payload["text"]).tolist(),
                    schema.LEXICAL: document_weights(lexical_text(payload["text"], payload.get("speaker"))),
                },
                payload,
            )
            for point, payload in held["units"].items()
        ],
    )
    records = open_records(path / schema.RECORDS, 1.0)
    put(records, [Point(point, {}, payload) for point, payload in held["records"].items()])
    card = Card("id", 1, 1, "hash/32", DIM)
    write_card(tmp_path, card)
    return tmp_path, card


def check(data: Path) -> None:
    assert read_card(data).schema_version == schema.SCHEMA_VERSION
    store = EdgeStore(shard_path(data, 0), DIM)
    assert store.report is None
    records = [record for bank in BANKS.values() for record in commits(store, bank)]
    assert {record.status for record in records} == {WHOLE, SETTLED}
    assert [record.body["previous"] for record in records if record.status == WHOLE] != []
    assert "six" not in repr(records), "a plan that never became a commit is left"
    for bank in BANKS.values():
        activate(store, bank)
        check_bank(store, bank)
    states = {name: read_bank(store, bank) for name, bank in BANKS.items()}
    assert states["settled"].texts == {"d": "one\nfour"}
    assert states["committed"].texts == {"d": "two\nfive", "e": "three"}
    assert states["prepared"].texts == {"d": "one\ntwo", "e": "three"}
    assert (states["deleted"].exists, states["deleted"].texts) == (False, {})
    store.close()
    again = EdgeStore(shard_path(data, 0), DIM)
    assert all(record.status == SETTLED for bank in BANKS.values() for record in commits(again, bank))
    again.close()


def commits(store: EdgeStore, bank: Scope):
    return store.call(bank, ListRecords(RecordKind.COMMIT, 100)).records


def test_a_directory_of_version_1_is_brought_to_todays(old):
    data, card = old
    upgraded = upgrade.upgrade(data, card, 1.0)
    assert upgraded == read_card(data)
    check(data)


class Killed(BaseException):
    pass


def test_an_upgrade_that_is_killed_anywhere_is_done_again(old, monkeypatch):
    data, card = old
    for updates in range(3):
        killed_after(data, card, updates, monkeypatch)
        assert read_card(data).schema_version == 1
    upgrade.upgrade(data, read_card(data), 1.0)
    check(data)


def killed_after(data: Path, card: Card, updates: int, monkeypatch) -> None:
    """Run it in a shard that dies before its next update."""

    class Mortal:
        def __init__(self, shard):
            self.shard, self.left = shard, updates

        def update(self, operation):
            if not self.left:
                raise Killed
            self.left -= 1
            self.shard.update(operation)

        def __getattr__(self, name):
            return getattr(self.shard, name)

    opened = []

    def mortal(*args):
        opened.append(Mortal(open_records(*args)))
        return opened[-1]

    units = []

    def watched(*args):
        units.append(open_units(*args))
        return units[-1]

    with monkeypatch.context() as patch:
        patch.setattr(upgrade, "open_records", mortal)
        patch.setattr(upgrade, "open_units", watched)
        if updates < 2:
            with pytest.raises(Killed):
                upgrade.upgrade(data, card, 1.0)
        else:
            patch.setattr(upgrade, "write_card", lambda *_: (_ for _ in ()).throw(Killed))
            with pytest.raises(Killed):
                upgrade.upgrade(data, card, 1.0)
    for shard in (*units, *(one.shard for one in opened)):
        shard.close()


def test_a_directory_of_today_is_left_alone(tmp_path):
    card = Card("id", schema.SCHEMA_VERSION, 1, "hash/32", DIM)
    assert upgrade.upgrade(tmp_path, card, 1.0) is card
    assert not list(tmp_path.iterdir())


def test_every_version_before_todays_has_a_step_and_a_golden_file():
    assert sorted(upgrade.STEPS) == list(range(1, schema.SCHEMA_VERSION))
    assert all((GOLDEN / f"schema-{version}.json").exists() for version in upgrade.STEPS)


def test_the_committed_bank_of_version_1_names_its_commit(old):
    data, card = old
    upgrade.upgrade(data, card, 1.0)
    store = EdgeStore(shard_path(data, 0), DIM)
    bank = BANKS["committed"]
    head = store.call(bank, ReadHead())
    assert head is not None
    assert (head.commit, head.settled) == (3, 2)
    key = head.commits[3]
    assert store.call(bank, GetRecords(RecordKind.COMMIT, (key,)))[key].status == WHOLE
    store.close()
