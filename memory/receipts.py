"""Receipts <-> operations: what a command was answered with is kept, so that its retries get the same answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from memory.commands import DeleteReceipt, DocumentReceipt, RetainReceipt
from memory.records import Document


def retain_body(receipt: RetainReceipt, documents: Sequence[Document], items: int) -> dict[str, Any]:
    """What an operation keeps of a retain's receipt, and each document's hash: by it a lost record is made again."""
    rows = zip(receipt.documents, documents, strict=True)
    return {
        "items_count": items,
        "seq": receipt.seq,
        "tokens": receipt.tokens,
        "documents": [
            [d.document_id, d.version, d.seq, d.added, d.kept, d.retired, document.content_hash] for d, document in rows
        ],
    }


def delete_body(receipt: DeleteReceipt) -> dict[str, Any]:
    """What an operation keeps of a delete's receipt."""
    return {
        "items_count": receipt.documents_deleted,
        "seq": receipt.seq,
        "units_deleted": receipt.units_deleted,
        "documents_deleted": receipt.documents_deleted,
    }


def receipt_of_operation(operation_id: str, body: Mapping[str, Any]) -> RetainReceipt:
    """The receipt given for a retain that was done before."""
    return RetainReceipt(
        operation_id=operation_id,
        seq=body["seq"],
        documents=tuple(DocumentReceipt(*values[:6]) for values in body["documents"]),
        tokens=body["tokens"],
        replayed=True,
    )


def delete_receipt_of_operation(operation_id: str, body: Mapping[str, Any]) -> DeleteReceipt:
    """The receipt given for a delete that was done before."""
    return DeleteReceipt(operation_id, body["seq"], body["units_deleted"], body["documents_deleted"])
