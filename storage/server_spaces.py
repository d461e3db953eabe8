"""Which vector spaces the collection of units has on a Qdrant server; each is a named vector of its own."""

import asyncio

from memory.errors import Unprocessable
from storage import schema
from storage.server_client import Collection


class ServerSpaces:
    """Names and dimensions are read anew where one is asked for that was not there: others may have made it."""

    def __init__(self, units: Collection, dim: int) -> None:
        self._units = units
        self._dims = {schema.DENSE: dim}
        self._making = asyncio.Lock()

    def dim(self, space: str) -> int | None:
        """Length of the vectors of a space as far as this process knows it; None: it knows none."""
        return self._dims.get(schema.dense_name(space))

    async def has(self, space: str) -> bool:
        """Whether units may have vectors of the space."""
        if self.dim(space) is None:
            self._dims |= await self._units.vector_dims()
        return self.dim(space) is not None

    async def all(self) -> frozenset[str]:
        """Spaces that units may have vectors of, whoever made them."""
        return schema.spaces_of(await self._units.vector_dims())

    async def drop(self, space: str) -> None:
        """Let go of the vectors of a space, in all banks."""
        async with self._making:
            name = schema.dense_name(space)
            if name in await self._units.vector_dims():
                await self._units.drop_vector(name)
            self._dims.pop(name, None)

    async def ensure(self, space: str, dim: int) -> None:
        """Have units take vectors of a space. Making one that is there changes nothing.

        Raises:
            Unprocessable: they take those of the same space with another dimension.
        """
        async with self._making:
            if not await self.has(space):
                await self._units.add_vector(schema.dense_name(space), dim)
                self._dims[schema.dense_name(space)] = dim
        if self.dim(space) != dim:
            raise Unprocessable(f"expected {self.dim(space)} finite numbers, got {dim}")
