"""Which vector spaces a collection of units has on the embedded engine; each is a named vector of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from qdrant_edge import Distance, EdgeShard, UpdateOperation

from memory.errors import Unprocessable
from storage import schema

CONFIG_FILE = "edge_config.json"


def named_vectors(path: Path) -> dict[str, int]:
    """Names and dimensions of the dense vectors of a collection that is, or was, open."""
    stored: dict[str, Any] = orjson.loads((path / CONFIG_FILE).read_bytes())
    return {name: int(params["size"]) for name, params in stored.get("vectors", {}).items()}


def add_vector(shard: EdgeShard, name: str, dim: int) -> None:
    """Have points take vectors of that name; they may have them already."""
    shard.update(UpdateOperation.create_dense_vector(name, dim, Distance.Cosine))


def drop_vector(shard: EdgeShard, name: str) -> None:
    """Have points take no vectors of that name; those that are there go, at once and with the room they took."""
    shard.update(UpdateOperation.delete_vector_name(name))


def match_vectors(shard: EdgeShard, path: Path, dims: Mapping[str, int]) -> None:
    """Have a new collection's points take the dense vectors of these names, and no others."""
    for name in named_vectors(path).keys() - dims:
        drop_vector(shard, name)
    for name, dim in dims.items():
        add_vector(shard, name, dim)


class EdgeSpaces:
    """What is there is known without asking the engine: one process writes."""

    def __init__(self, shard: EdgeShard, path: Path) -> None:
        self._shard = shard
        self._dims = named_vectors(path)

    def has(self, space: str) -> bool:
        """Whether any unit may have a vector of the space."""
        return schema.dense_name(space) in self._dims

    def dim(self, space: str) -> int | None:
        """Length of the vectors of a space; None: there are none."""
        return self._dims.get(schema.dense_name(space))

    @property
    def all(self) -> frozenset[str]:
        """Spaces that units may have vectors of."""
        return schema.spaces_of(self._dims)

    @property
    def indexed(self) -> str:
        """The space that indexes of big banks are of: that of the store's first model, as long as it is there."""
        return min(self.all, default="")

    def drop(self, space: str) -> None:
        """Let go of the vectors of a space, with the room they take."""
        if self.has(space):
            drop_vector(self._shard, schema.dense_name(space))
            del self._dims[schema.dense_name(space)]

    def ensure(self, space: str, dim: int) -> None:
        """Have units take vectors of a space.

        Raises:
            Unprocessable: they take those of the same space with another dimension.
        """
        name = schema.dense_name(space)
        if name not in self._dims:
            add_vector(self._shard, name, dim)
            self._dims[name] = dim
        if self._dims[name] != dim:
            raise Unprocessable(f"expected {self._dims[name]} finite numbers for {name}, got {dim}")
