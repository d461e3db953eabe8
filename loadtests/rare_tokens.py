"""Whether what was said once is found first, by the size of the bank: `python -m loadtests.rare_tokens`.

Order numbers, names, UUIDs, digests, addresses and the like, of 3 to 60 characters, each in one unit of a bank of
generated ones with vectors beside those of real texts, asked for alone and in longer questions, by the default recipe.
The storage shard runs in this process; a bank that is big enough for an index is asked again by it.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.table import Table

from actors.settings import load_settings
from actors.storage_shard import StorageShard
from loadtests.entry import start
from loadtests.floors import product_embedder
from loadtests.real_banks import RareText, RealMaterial, fill_bank, plant
from memory.ids import Scope
from memory.ports import Embedder
from memory.query import understand
from memory.recall import RecallQuery, answer, plan_candidates
from memory.recipes import DEFAULT
from storage.directory import Space, shard_path

SPEAKERS = ("Ada", "Ben", "Cem")
_SYLLABLES = ("bra", "cor", "dun", "fel", "gri", "hov", "jas", "kel", "lom", "mur", "nev", "pox", "quil", "ros")
_POLL_S = 0.2
_BUILD_S = 300.0


def _digits(number: int, name: str) -> str:
    return sha256(f"{name}/{number}".encode()).hexdigest()


def _letters(number: int, count: int, name: str = "letters") -> str:
    picks = bytes.fromhex(_digits(number, name) * 2)
    return "".join(_SYLLABLES[pick % len(_SYLLABLES)] for pick in picks)[:count]


def _decimal(number: int, name: str, count: int) -> str:
    return str(int(_digits(number, name), 16))[-count:]


KINDS: dict[str, Callable[[int], str]] = {
    "order": lambda n: f"AX-{_decimal(n, 'order', 5)}-{chr(65 + n % 26)}",
    "name": lambda n: _letters(n, 9).capitalize(),
    "UUID": lambda n: str(UUID(_digits(n, "uuid")[:32])),
    "digest": lambda n: _digits(n, "digest")[: 40 + n % 21],
    "e-mail": lambda n: f"{_letters(n, 6, 'first')}.{_letters(n, 7, 'last')}{n}@example.org",
    "URL": lambda n: f"https://example.org/tickets/{_decimal(n, 'url', 6)}?view={_letters(n, 5, 'view')}",
    "version": lambda n: f"v{n % 9}.{n % 31}.{_decimal(n, 'version', 3)}-rc{n % 7}",
    "phone": lambda n: f"+49 170 {_decimal(n, 'phone', 7)}",
    "path": lambda n: f"/srv/data/{_letters(n, 7, 'path')}_{_decimal(n, 'file', 4)}.tar.gz",
    "long word": lambda n: _letters(n, 40 + n % 21, "long"),
}
"""What each token of a kind looks like, by its number."""

SAID = (
    "The order is {}, it should arrive by Friday.",
    "I wrote {} on the note that is on the fridge, do not throw it away.",
    "Somebody mentioned {} at the station.",
    "{} it was, as far as I remember.",
)
ASKED = (
    "{}",
    "What about {}?",
    "what was the status of order {}?",
    "Do you remember what we said about {} last week when we talked about the delivery?",
)


def rare_tokens(count: int) -> list[RareText]:
    """Units that hold a rare token each, kinds in turns, and questions for them; the same for the same count."""
    kinds = itertools.cycle(KINDS.values())
    tokens = [make(number) for number, make in zip(range(count), kinds, strict=False)]
    return [
        RareText(SAID[number % len(SAID)].format(token), ASKED[number // len(KINDS) % len(ASKED)].format(token))
        for number, token in enumerate(tokens)
    ]


@dataclass(slots=True)
class Found:
    """How many were asked for in banks of a size, by what kind of search, and which were not found first."""

    units: int
    search: str
    asked: int = 0
    missed: list[str] = field(default_factory=list)


def ask(shard: StorageShard, scope: Scope, embedder: Embedder, rare: Sequence[RareText], found: Found) -> None:
    """Ask a bank for each."""
    for one in rare:
        query = RecallQuery(one.query)
        understood = understand(one.query, SPEAKERS)
        (embedded,) = embedder.embed_with_tokens([understood.bare])
        candidates = shard.perform(scope, plan_candidates(query, understood, embedded, DEFAULT))
        results = answer(query, understood, candidates, DEFAULT).results
        found.asked += 1
        if not results or results[0].payload["text"] != one.text:
            found.missed.append(one.query)


def fill(shard: StorageShard, units: int, embedder: Embedder, rare: Sequence[RareText]) -> Iterator[tuple[Scope, int]]:
    """Banks of a size and how many of the tokens each holds, at most half of its units."""
    material = RealMaterial(embedder, seed=1)
    most = max(1, units // 2)
    for number, begin in enumerate(range(0, len(rare), most)):
        part = rare[begin : begin + most]
        scope = Scope("default", f"rare-{units}-{number}")
        for _ in fill_bank(shard, scope, units, material, plant(part, embedder)):
            pass
        yield scope, len(part)


def has_index(directory: Path) -> bool:
    """Wait until an index is built; False if none is in time."""
    until_s = time.monotonic() + _BUILD_S
    while time.monotonic() < until_s:
        if any(path.suffix != ".making" for path in (directory / "indexes").glob("*")):
            return True
        time.sleep(_POLL_S)
    return False


def measure(data: Path, units: int, embedder: Embedder, rare: Sequence[RareText]) -> list[Found]:
    """Ask banks of one size, in a directory of their own."""
    settings = load_settings(data=data)
    shard = StorageShard(settings, 0, Space(embedder.name, embedder.dim))
    try:
        exact, indexed = Found(units, "exact"), Found(units, "index")
        left = list(rare)
        for scope, count in fill(shard, units, embedder, rare):
            part, left = left[:count], left[count:]
            ask(shard, scope, embedder, part, exact)
            if settings.index_units and units >= settings.index_units and has_index(shard_path(data, 0)):
                ask(shard, scope, embedder, part, indexed)
        return [found for found in (exact, indexed) if found.asked]
    finally:
        shard.close()


def main(
    sizes: Annotated[str, typer.Option(help="units of the banks")] = "100,1000,10000,100000",
    tokens: Annotated[int, typer.Option(help="asked for in banks of each size", min=10)] = 200,
    json_out: Annotated[Path | None, typer.Option("--json", help="write what was missed here")] = None,
) -> None:
    """Fill banks of several sizes and ask for what was said once in them."""
    embedder = product_embedder(token_vectors=True)
    rare = rare_tokens(tokens)
    console = Console()
    table = Table(title=f"Found first of what was said once (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
    for heading in ("units", "search", "first"):
        table.add_column(heading, justify="right")
    everything: list[Found] = []
    for units in (int(part) for part in sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="lorebank.rare.") as folder:
            everything += measure(Path(folder) / "data", units, embedder, rare)
    for found in everything:
        table.add_row(f"{found.units:,}", found.search, f"{found.asked - len(found.missed)} of {found.asked}")
        for query in found.missed:
            console.print(f"missed among {found.units:,} ({found.search}): {query}", markup=False)
    console.print(table)
    if json_out is not None:
        rows = [{"units": f.units, "search": f.search, "asked": f.asked, "missed": f.missed} for f in everything]
        json_out.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    start(main)
