"""Token vectors and the switch of late interaction in a bank, without Ray."""

from memory.commands import Item, Message, UpdateBank
from memory.encoding import decode_recall_profile
from memory.ingest import RECALL_PROFILE_KEY
from memory.records import RecallProfile, RecordKind
from memory.store_calls import GetRecords
from memory.upkeep_calls import GetEmbeddings
from tests.support.bank_owner import user
from tests.support.builders import embedding
from tests.support.loops import in_loop


@in_loop
async def test_a_bank_can_be_ranked_without_late_interaction(owner):
    """The switch stands in the recall profile, and who speaks does not overwrite it."""

    def profile() -> RecallProfile:
        (record,) = owner.read(GetRecords(RecordKind.RECALL_PROFILE, (RECALL_PROFILE_KEY,))).values()
        return decode_recall_profile(record.body)

    await owner.retain(Item("one", document_id="d", metadata={"speaker": "Ada"}), op="op-1")
    for number, wanted in enumerate((False, None, False)):
        await owner.bank.perform(UpdateBank(f"switch-{number}", {"enable_reranking": wanted}))
        assert (dict(profile().speakers), profile().reranking) == ({"Ada": 1}, wanted is None)
    await owner.retain(Item("two", document_id="e", metadata={"speaker": "Ben"}), op="op-2")
    assert (dict(profile().speakers), profile().reranking) == ({"Ada": 1, "Ben": 1}, False)
    owner.check()


@in_loop
async def test_token_vectors_are_stored_kept_and_recovered(owner):
    """With new tags they are those of the old unit; after a lost insertion they are made again with the vectors."""
    await owner.retain(user("red apple"))
    (old,) = owner.units().values()
    kept = owner.read(GetEmbeddings((old.id,)))[old.id]
    assert kept.tokens == embedding("red apple").tokens != b""
    owner.embedded.clear()
    await owner.retain(Item((Message("red apple", "user"),), document_id="d", tags=("x",)), op="op-2")
    (new,) = owner.units().values()
    assert (new.id != old.id, owner.embedded) == (True, [])
    assert owner.read(GetEmbeddings((new.id,)))[new.id].tokens == kept.tokens
    owner.check()
