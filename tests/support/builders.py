"""Short ways to make what tests need: fresh banks, units with vectors, retain commands."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory.commands import Item, Retain
from memory.ids import Scope, digest, unit_id
from memory.late import TOKEN_DIM, pack_tokens
from memory.records import Embedding, Unit, UnitKind, UnitType, Vectors
from memory.store_calls import InsertUnits, NewUnit, SetLive
from providers.hash_embedder import HashEmbedder

DIM = 32
EMBEDDER = HashEmbedder(DIM)
_WORDS = HashEmbedder(TOKEN_DIM)

_numbers = itertools.count()


def fresh_scope(tenant: str | None = None) -> Scope:
    """A bank nobody else in this process uses; of a tenant nobody uses either, unless one is given."""
    number = next(_numbers)
    return Scope(f"tenant-{number}" if tenant is None else tenant, f"bank-{number}")


def dense(text: str) -> NDArray[np.float32]:
    """A sentence vector, float32, (DIM,), L2-normalised."""
    return EMBEDDER.embed([text])[0]


def tokens(text: str) -> bytes:
    """Packed token vectors: one for each word, the same wherever it stands."""
    return pack_tokens(_WORDS.embed(text.split()))


def embedding(text: str) -> Embedding:
    """What an embedder with token vectors makes of a text."""
    return Embedding(dense(text), tokens(text))


def new_unit(scope: Scope, text: str, *, document_id: str = "d", occurrence: int = 0, **fields: Any) -> NewUnit:
    """A chunk of a document with what it is found by; equal arguments give the same id."""
    unit = Unit(
        id=unit_id(scope, document_id, digest(text).hex(), occurrence),
        kind=UnitKind.CHUNK,
        type=UnitType.WORLD,
        text=text,
        document_id=document_id,
        content_hash=digest(text).hex(),
        seq=1,
        epoch=1,
        text_tokens=len(text.split()),
    )
    return NewUnit(replace(unit, **fields), Vectors(dense(text), text, tokens(text)))


def put_live(engine: Any, scope: Scope, *new: NewUnit, seq: int = 1, epoch: int = 1) -> tuple[str, ...]:
    """Insert units and make them live; their ids."""
    ids = tuple(one.unit.id for one in new)
    engine.call(scope, InsertUnits(new))
    engine.call(scope, SetLive(ids, seq, epoch))
    return ids


def put_texts(engine: Any, scope: Scope, texts: Sequence[str], **fields: Any) -> tuple[str, ...]:
    """Live units of these texts, in order; their ids."""
    return put_live(engine, scope, *(new_unit(scope, text, occurrence=n, **fields) for n, text in enumerate(texts)))


def retain(*contents: Any, op: str = "op", document_id: str | None = "d", **fields: Any) -> Retain:
    """A retain whose items are given as items or as contents of one document."""
    return Retain(
        op,
        tuple(
            content if isinstance(content, Item) else Item(content, document_id=document_id, **fields)
            for content in contents
        ),
    )
