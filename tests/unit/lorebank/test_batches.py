"""Cutting items into requests: order, sizes, and documents that stay whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorebank._batches import cut_batches
from lorebank.wire import MAX_ITEMS, RetainItem

DOCUMENT_IDS = st.none() | st.sampled_from("abcde")


@given(st.lists(DOCUMENT_IDS, max_size=30), st.integers(1, 5))
def test_documents_stay_whole_and_nothing_is_lost(document_ids: list[str | None], batch_items: int) -> None:
    """Every item is in one batch; a document's items are together and in order."""
    items = [RetainItem(content=f"text {n}", document_id=one) for n, one in enumerate(document_ids)]
    batches = list(cut_batches(items, batch_items=batch_items))
    sent = [item for batch in batches for item in batch]
    assert sorted(item.content for item in sent) == sorted(item.content for item in items)
    for document_id in filter(None, set(document_ids)):
        parts = [item for item in sent if item.document_id == document_id]
        assert parts == [item for item in items if item.document_id == document_id]
        assert sum(any(item.document_id == document_id for item in batch) for batch in batches) == 1
    for batch in batches:
        assert len(batch) <= batch_items or len({item.document_id for item in batch}) == 1


def test_batches_are_cut_by_bytes() -> None:
    """Large items travel in smaller batches, one too large for any alone."""
    items = [RetainItem(content="x" * size) for size in (400, 400, 2000, 10)]
    assert [len(batch) for batch in cut_batches(items, batch_bytes=1000)] == [2, 1, 1]


def test_document_too_large_for_one_request_is_refused() -> None:
    """Cutting it would make its second half replace the first."""
    with pytest.raises(ValueError, match="give it as messages"):
        list(cut_batches([{"content": "x", "document_id": "d"}] * (MAX_ITEMS + 1)))


def test_no_items_no_batches() -> None:
    """Nothing to do is not an error."""
    assert list(cut_batches([])) == []
