"""Cuts many items into requests without parting the items of one document, which would replace each other."""

from collections.abc import Iterable, Iterator

import orjson

from lorebank._options import ItemInput
from lorebank.wire import MAX_ITEMS, RetainItem

BATCH_ITEMS = 100
BATCH_BYTES = 2 * 1024 * 1024


def as_item(item: ItemInput) -> RetainItem:
    """The item itself, or the mapping as one.

    Raises:
        ValueError: the mapping is not a valid item.
    """
    return item if isinstance(item, RetainItem) else RetainItem.model_validate(dict(item))


def cut_batches(
    items: Iterable[ItemInput], batch_items: int = BATCH_ITEMS, batch_bytes: int = BATCH_BYTES
) -> Iterator[list[RetainItem]]:
    """Batches in the order in which documents first appear; only a single document may exceed the given sizes.

    Raises:
        ValueError: an invalid item, or one document in more than MAX_ITEMS items.
    """
    batch: list[RetainItem] = []
    size_bytes = 0
    for group in _by_document(items):
        group_bytes = sum(len(orjson.dumps(item.to_wire())) for item in group)
        if batch and (len(batch) + len(group) > batch_items or size_bytes + group_bytes > batch_bytes):
            yield batch
            batch, size_bytes = [], 0
        batch.extend(group)
        size_bytes += group_bytes
    if batch:
        yield batch


def _by_document(items: Iterable[ItemInput]) -> list[list[RetainItem]]:
    groups: dict[str | int, list[RetainItem]] = {}
    for position, raw in enumerate(items):
        item = as_item(raw)
        key = position if item.document_id is None else item.document_id
        groups.setdefault(key, []).append(item)
    for key, group in groups.items():
        if len(group) > MAX_ITEMS:
            raise ValueError(
                f"document {key} has {len(group)} items, one request takes {MAX_ITEMS}; give it as messages"
            )
    return list(groups.values())
