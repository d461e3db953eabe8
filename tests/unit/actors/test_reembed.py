"""Another model while a deployment lives: nothing fails or is lost or doubled, killed anywhere it goes on."""

import asyncio
import itertools
from collections.abc import Iterator

import pytest

from actors import spaces as watched
from actors.spaces import change_spaces, read_record
from jobs import reembed
from memory.audit_calls import ScanUnits
from memory.commands import Item, Retain
from memory.errors import BadSettings, Conflict, Unavailable
from memory.ids import Scope
from memory.recall import RecallQuery
from memory.spaces import MADE_WITH, Model, Spaces, space_key, spaces_of
from memory.store_calls import ListUnits
from memory.upkeep_calls import FindUnembedded, GetEmbeddings
from storage.edge_store import EdgeStore
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM, fresh_scope
from tests.support.local_store import LocalStore
from tests.support.loops import in_loop
from tests.support.reembedding import Deployment, Killed

NEW_DIM = 2 * DIM
NEW = ("--embedder", "hash", "--dim", str(NEW_DIM))
KEY = space_key(f"hash/{NEW_DIM}", NEW_DIM)
TEXTS = tuple(
    f"{who} {did} the {what}"
    for who, did, what in itertools.product(
        ("Ana", "Bo", "Cy", "Di"), ("painted", "sold", "lost"), ("boat", "piano", "map", "lamp")
    )
)


@pytest.fixture(autouse=True)
def _looks_at_once(monkeypatch):
    monkeypatch.setattr(watched, "LOOK_S", 0.0)


@pytest.fixture(params=["reference", "local"])
def deployment(request, tmp_path) -> Deployment:
    """Over an engine of its own: the job goes through all banks of a store."""
    return Deployment(request.getfixturevalue(request.param), tmp_path / "data")


@pytest.fixture
def on_disk(tmp_path) -> Iterator[Deployment]:
    """Over an embedded directory of its own."""
    store = EdgeStore(tmp_path / "edge", DIM)
    yield Deployment(store, tmp_path / "data")
    store.close()


async def write(deployment: Deployment, scope: Scope, *texts: str) -> None:
    items = tuple(Item(text, document_id=text) for text in texts)
    await deployment.command(scope, Retain(f"op {texts}", items))


async def found(deployment: Deployment, scope: Scope, text: str) -> str:
    answered = await deployment.reader.recall(scope, RecallQuery(text, limit=1, recipe="hybrid"))
    return answered.results[0].payload["text"]


def spaces_asked(deployment: Deployment) -> set[str]:
    """Spaces of the queries since the requests were last cleared."""
    return {request.embedded.space for request in deployment.store.requests if hasattr(request, "embedded")}


async def asked_in(deployment: Deployment, scope: Scope, space: str) -> None:
    """Ask until queries are embedded in the space: a model is loaded beside queries, which stay with the former one."""
    async with asyncio.timeout(30):
        while spaces_asked(deployment) != {space}:
            deployment.store.requests.clear()
            await found(deployment, scope, TEXTS[0])
    deployment.store.requests.clear()


def stored(deployment: Deployment, scope: Scope) -> dict[str, list[str]]:
    """Spaces that each unit has vectors of, by text; a text that stands twice fails."""
    engine = deployment.store.engine
    units = engine.call(scope, ListUnits(1000)).units
    assert len({unit.text for unit in units}) == len(units)
    made = engine.call(scope, GetEmbeddings(tuple(unit.id for unit in units)))
    return {unit.text: [one.space for one in made[unit.id].all] for unit in units}


@in_loop
async def test_units_written_meanwhile_get_both_vectors_and_no_call_fails(deployment):
    await live_through_a_switch(deployment)


@in_loop
async def test_the_embedded_store_too_is_switched_while_it_is_used(on_disk):
    await live_through_a_switch(on_disk)


async def live_through_a_switch(deployment: Deployment) -> None:
    scopes = [fresh_scope(), fresh_scope()]
    for scope in scopes:
        await write(deployment, scope, *TEXTS[:20])
    written = [*TEXTS[:20]]
    stop = asyncio.Event()

    async def live() -> None:
        """Retains and recalls until it is told to end; each is found at once."""
        for text in TEXTS[20:]:
            await write(deployment, scopes[0], text)
            written.append(text)
            assert await found(deployment, scopes[0], text) == text
            if stop.is_set():
                return

    caller = asyncio.create_task(live())
    report = await deployment.job(*NEW, "--switch", "--verify-sample", "20")
    stop.set()
    await caller
    assert (report["switched"], report["active"], report["agreement"]["sampled"]) == (True, f"hash/{NEW_DIM}", 20)
    assert 0 < report["agreement"]["share"] <= 1
    assert set(stored(deployment, scopes[0])) == set(written)
    assert all(spaces == ["", KEY] for scope in scopes for spaces in stored(deployment, scope).values())
    await asked_in(deployment, scopes[1], KEY)
    for text in TEXTS[:5]:
        assert await found(deployment, scopes[1], text) == text
    assert spaces_asked(deployment) == {KEY}


@in_loop
async def test_rolled_back_the_first_model_answers_and_has_all_that_came_since(deployment):
    scope = fresh_scope()
    await write(deployment, scope, *TEXTS[:5])
    await deployment.job(*NEW, "--switch")
    await write(deployment, scope, TEXTS[6])
    report = await deployment.job("--rollback")
    assert (report["active"], report["embedded"]) == (f"hash/{DIM}", 0)
    await asked_in(deployment, scope, MADE_WITH)
    assert await found(deployment, scope, TEXTS[6]) == TEXTS[6]
    assert spaces_asked(deployment) == {MADE_WITH}
    await deployment.job("--abandon")
    await write(deployment, scope, TEXTS[7])
    assert stored(deployment, scope)[TEXTS[7]] == [""]
    again = await deployment.job(*NEW, "--switch")
    assert (again["embedded"], again["switched"]) == (1, True), "only what lacks it"


@in_loop
async def test_a_changed_tag_keeps_vectors_of_both_models(deployment):
    scope = fresh_scope()
    await write(deployment, scope, TEXTS[0])
    await deployment.job(*NEW)
    deployment.embedded.clear()
    tagged = Retain("op tagged", (Item(TEXTS[0], document_id=TEXTS[0], tags=("x",)),))
    await deployment.command(scope, tagged)
    assert (stored(deployment, scope), deployment.embedded) == ({TEXTS[0]: ["", KEY]}, [])


@in_loop
async def test_a_new_model_that_does_not_answer_holds_no_write_up_and_is_caught_up_with(deployment):
    scope = fresh_scope()
    await write(deployment, scope, TEXTS[0])
    await deployment.job(*NEW)
    deployment.broken_dim = NEW_DIM
    await write(deployment, scope, TEXTS[1])
    assert stored(deployment, scope) == {TEXTS[0]: ["", KEY], TEXTS[1]: [""]}
    with pytest.raises(Unavailable):
        await deployment.job("--switch", "--patience-s", "0.1")
    deployment.broken_dim = 0
    report = await deployment.job("--switch")
    assert (report["embedded"], report["switched"]) == (1, True)
    assert stored(deployment, scope) == {TEXTS[0]: ["", KEY], TEXTS[1]: ["", KEY]}


@pytest.mark.parametrize("kill_at", [1, -1, 2, -2, 4, 6])
def test_killed_at_any_page_it_goes_on_and_embeds_nothing_twice(tmp_path, kill_at):
    deployment = Deployment(ReferenceStore(DIM), tmp_path / "data")
    scope = Scope("default", "ana")

    async def twice() -> dict:
        await write(deployment, scope, *TEXTS)
        deployment.kill_at = kill_at
        with pytest.raises(BaseExceptionGroup) as caught:
            await deployment.job(*NEW, "--switch")
        assert caught.group_contains(Killed)
        deployment.kill_at = 0
        return await deployment.job(*NEW, "--switch")

    report = asyncio.run(twice())
    assert report["switched"]
    assert stored(deployment, scope) == {text: ["", KEY] for text in TEXTS}
    new = [text for text in deployment.embedded if text.startswith(f"{NEW_DIM}: ")]
    assert len(new) == len(set(new)) == len(TEXTS)


@in_loop
async def test_a_dry_run_changes_nothing_and_too_little_agreement_switches_nothing(deployment):
    scope = fresh_scope()
    await write(deployment, scope, *TEXTS[:20])
    report = await deployment.job(*NEW, "--dry-run")
    assert (report["embedded"], report["dim"], report["switched"]) == (0, NEW_DIM, False)
    assert await read_record(deployment.store) is None
    report = await deployment.job(*NEW, "--switch", "--min-agreement", "1")
    assert 0 < report["agreement"]["share"] < 1
    assert (report["switched"], report["rejects"], report["active"]) == (False, 1, f"hash/{DIM}")


async def live_on_without_the_former(deployment: Deployment) -> None:
    """Switched and dropped for good, then on to a third model, with retains and recalls in between."""
    scopes = [fresh_scope(), fresh_scope()]
    for scope in scopes:
        await write(deployment, scope, *TEXTS[:10])
    await deployment.job(*NEW)
    with pytest.raises(Conflict, match="--switch, or --abandon first"):
        await deployment.job("--drop", "--yes")
    await deployment.job("--switch")
    await asked_in(deployment, scopes[0], KEY)
    dry = await deployment.job("--drop", "--dry-run")
    assert (dry["unused"], dry["dropped"], stored(deployment, scopes[0])[TEXTS[0]]) == (1, 0, ["", KEY])
    report = await deployment.job("--drop", "--yes")
    assert (report["unused"], report["dropped"], report["active"]) == (1, 20, f"hash/{NEW_DIM}")
    assert "dropped, in" in reembed.sentence(report)
    assert (await deployment.job("--drop", "--yes"))["dropped"] == 0
    await write(deployment, scopes[0], TEXTS[10])
    for scope in scopes:
        assert set(map(tuple, stored(deployment, scope).values())) == {(KEY,)}
        assert not [payload for payload in units_of(deployment, scope) if "tokens" in payload]
        for text in TEXTS[:5]:
            assert await found(deployment, scope, text) == text
    assert await found(deployment, scopes[0], TEXTS[10]) == TEXTS[10]
    for gone in ("--rollback", "--abandon"):
        with pytest.raises(BadSettings, match="no other model"):
            await deployment.job(gone)
    third = space_key("hash/7", 7)
    switched = await deployment.job("--embedder", "hash", "--dim", "7", "--switch")
    assert (switched["active"], switched["embedded"]) == ("hash/7", 21)
    back = await deployment.job("--rollback")
    assert (back["active"], back["embedded"]) == (f"hash/{NEW_DIM}", 0)
    await deployment.job("--abandon")
    await write(deployment, scopes[1], TEXTS[11])
    assert stored(deployment, scopes[1]) == {**{text: sorted([KEY, third]) for text in TEXTS[:10]}, TEXTS[11]: [KEY]}
    left = await deployment.job("--drop", "--yes")
    assert (left["unused"], left["active"]) == (1, f"hash/{NEW_DIM}")
    assert set(map(tuple, stored(deployment, scopes[1]).values())) == {(KEY,)}


def units_of(deployment: Deployment, scope: Scope) -> list[dict]:
    return [payload for _, payload in deployment.store.engine.call(scope, ScanUnits(None, 1000)).points]


@in_loop
async def test_a_model_that_was_switched_from_is_dropped_for_good(deployment):
    await live_on_without_the_former(deployment)


@in_loop
async def test_the_embedded_store_gives_the_room_of_a_dropped_model_back(on_disk):
    await live_on_without_the_former(on_disk)


@pytest.mark.parametrize("kill_at", range(1, 6))
def test_a_drop_that_is_killed_anywhere_is_finished_by_the_next(tmp_path, kill_at):
    deployment = Deployment(ReferenceStore(DIM), tmp_path / "data")
    scope = Scope("default", "ana")

    async def dropped() -> None:
        await write(deployment, scope, *TEXTS[:10])
        await deployment.job(*NEW, "--switch")
        deployment.store.requests.clear()
        deployment.store.kill_at = kill_at
        with pytest.raises((Killed, BaseExceptionGroup)):
            await deployment.job("--drop", "--yes")
        deployment.store.kill_at = 0
        await write(deployment, scope, TEXTS[10])
        for text in TEXTS[:11]:
            assert await found(deployment, scope, text) == text
        await deployment.job("--drop", "--yes")

    asyncio.run(dropped())
    assert stored(deployment, scope) == {text: [KEY] for text in TEXTS[:11]}


@in_loop
async def test_what_cannot_be_done_is_said(deployment, capsys):
    with pytest.raises(BadSettings, match="--embedder"):
        await deployment.job()
    with pytest.raises(BadSettings, match="no other model"):
        await deployment.job("--rollback")
    for options in (["--drop"], ["--switch", "--dry-run"]):
        assert reembed.main(options) == 2
    assert "say --yes" in capsys.readouterr().err
    with pytest.raises(BadSettings, match="is the model that is used"):
        await deployment.job("--embedder", "hash", "--dim", str(DIM))
    await deployment.job(*NEW)
    with pytest.raises(Conflict, match="--abandon"):
        await deployment.job("--embedder", "hash", "--dim", "7")
    await deployment.job("--switch")
    with pytest.raises(Conflict, match="--rollback"):
        await deployment.job("--abandon")


@in_loop
async def test_of_two_changes_at_once_one_stands_on_any_engine(engine):
    store = LocalStore(engine)
    before = spaces_of(await read_record(store))
    first, second = (
        Spaces(models=(Model(MADE_WITH, "a", 3, {}), Model(str(number), "b", 4, {"embedding_dim": number})))
        for number in range(2)
    )
    stands = await change_spaces(store, before, first)
    assert (stands.models, stands.version) == (first.models, before.version + 1)
    with pytest.raises(Conflict):
        await change_spaces(store, before, second)
    assert spaces_of(await read_record(store)) == stands
    switched = await change_spaces(store, stands, stands.switched())
    assert (switched.active, switched.written) == ("0", ("0", MADE_WITH))
    await change_spaces(store, switched, Spaces())  # the engine is others' too


def test_units_of_a_bank_that_is_filled_are_found_by_no_pass_any_more(tmp_path):
    deployment = Deployment(ReferenceStore(DIM), tmp_path / "data")
    scope = Scope("default", "ana")
    asyncio.run(write(deployment, scope, *TEXTS[:3]))
    report = asyncio.run(deployment.job(*NEW))
    assert (report["embedded"], report["passes"], report["switched"]) == (3, 2, False)
    assert deployment.store.engine.call(scope, FindUnembedded(KEY, 64)).units == ()
