"""What each signal of recall brings, over any conversations, in one process: `python -m loadtests.ablation FILE...`.

The storage shard and the ranking run here, as they do behind the server, so that twenty recipes over hundreds of
questions take a minute. `python -m loadtests.locomo` measures over HTTP.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from actors.settings import load_settings
from actors.storage_shard import StorageShard
from loadtests.dialogue import Conversation, Question, dia_ids_in, read_conversations
from loadtests.entry import start
from loadtests.floors import product_embedder
from loadtests.locomo_traffic import line_of
from loadtests.scoring import ALL, Hit, Scores, mean_scores, price_tokens, score
from memory.commands import Item, Retain
from memory.drafting import dense_text, draft_documents
from memory.ids import Scope
from memory.ingest import BankView, Embedded, plan_retain
from memory.merging import merge_document
from memory.ports import Embedder, Tokenizer
from memory.protocol import Execute, Recover, TakeEpoch
from memory.query import understand
from memory.recall import Candidates, RecallAnswer, RecallQuery, answer, plan_candidates
from memory.recipes import ABLATIONS, CONTEXTUAL, DEFAULT, HYBRID, RECIPES, WITH_NEIGHBOURS, Recipe
from memory.records import RecallProfile
from providers.minilm import load_minilm_tokenizer
from storage.directory import Space

SHOWN = ("R@5", "R@10", "R@20", "nDCG@10", "T@512")
COMPARED = (DEFAULT, WITH_NEIGHBOURS, CONTEXTUAL, HYBRID)
LAST_CATEGORY = 4
"""Questions of later categories have no answer in the text."""


@dataclass(frozen=True, slots=True)
class Models:
    """What texts are embedded and counted by."""

    embedder: Embedder
    tokenizer: Tokenizer


def fill(shard: StorageShard, scope: Scope, conversation: Conversation, models: Models) -> None:
    """One document a session, one item a turn, as the benchmark over HTTP retains them."""
    now = datetime.now(UTC)
    head = shard.perform(scope, TakeEpoch("taken"))
    head = shard.perform(scope, Recover(head, "recovered", now)).head
    items = tuple(
        Item(turn.text, f"session-{session.number}", turn.started_at, metadata=_metadata(turn))
        for session in conversation.sessions
        for turn in session.turns
        if turn.text.strip()
    )
    command = Retain("filled", items)
    merges = [merge_document(scope, None, draft) for draft in draft_documents(scope, command, now)]
    chunks = [chunk for merge in merges for _, chunk in merge.new]
    texts = [dense_text(chunk.text, chunk.speaker) for chunk in chunks]
    made, counts = models.embedder.embed_with_tokens(texts), models.tokenizer.count([chunk.text for chunk in chunks])
    embedded = {
        chunk.content_hash: Embedded(one.dense, count, one.tokens)
        for chunk, one, count in zip(chunks, made, counts, strict=True)
    }
    plan, _ = plan_retain(BankView(scope, head, RecallProfile()), command, merges, embedded, now)
    shard.perform(scope, Execute(head, plan, "executed"))


def _metadata(turn: Any) -> dict[str, str]:
    given = {"speaker": turn.speaker, "role": turn.role, "dia_id": turn.dia_id}
    return {key: value for key, value in given.items() if value}


def ask(
    shard: StorageShard,
    scope: Scope,
    speakers: Sequence[str],
    question: Question,
    models: Models,
    recipes: Sequence[Recipe],
) -> Iterator[tuple[str, Scores]]:
    """Scores of one question by each recipe; those that look for the same candidates share them."""
    query = RecallQuery(question.text)
    understood = understand(question.text, speakers, question.asked_at or datetime.now(UTC))
    (embedded,) = models.embedder.embed_with_tokens([understood.bare])
    found: dict[Any, Candidates] = {}
    for recipe in recipes:
        looks = (recipe.seeds, recipe.reach, bool(recipe.late), recipe.late_units)
        key = (*looks, recipe.semantic_weight, recipe.keyword_weight)
        if key not in found:
            found[key] = shard.perform(scope, plan_candidates(query, understood, embedded, recipe))
        yield recipe.name, score(_ranking(answer(query, understood, found[key], recipe)), question.evidence)


def _ranking(answered: RecallAnswer) -> list[Hit]:
    hits = []
    for result in answered.results:
        get = result.payload.get
        line = line_of((get("mentioned_at") or "")[:10] or None, get("speaker"), result.payload["text"])
        hits.append(Hit(dia_ids_in(get("metadata", {}).get("dia_id", "")), price_tokens(line)))
    return hits


def measure(path: Path, models: Models, recipes: Sequence[Recipe]) -> dict[str, dict[str, dict[str, float]]]:
    """Means by recipe, category and metric, over the conversations of a file."""
    scored: dict[str, list[tuple[int, Scores]]] = {recipe.name: [] for recipe in recipes}
    with tempfile.TemporaryDirectory(prefix="lorebank.ablation.") as folder:
        space = Space(models.embedder.name, models.embedder.dim)
        shard = StorageShard(load_settings(data=Path(folder) / "data"), 0, space)
        try:
            for number, conversation in enumerate(read_conversations(path)):
                scope = Scope("default", f"bank-{number}")
                fill(shard, scope, conversation, models)
                speakers = sorted({turn.who for turn in conversation.turns if turn.who})
                for question in conversation.questions:
                    if question.category <= LAST_CATEGORY:
                        for name, scores in ask(shard, scope, speakers, question, models, recipes):
                            scored[name].append((question.category, scores))
        finally:
            shard.close()
    return {name: mean_scores(rows) for name, rows in scored.items()}


def print_means(path: Path, means: dict[str, dict[str, dict[str, float]]], console: Console) -> None:
    """A row for each recipe: all questions, then R@10 of each category."""
    categories = sorted(next(iter(means.values())).keys() - {ALL})
    table = Table(title=f"{path.name}, in %")
    table.add_column("recipe")
    for heading in (*SHOWN, *(f"R@10 of {category}" for category in categories)):
        table.add_column(heading, justify="right")
    for name, groups in means.items():
        figures = [groups[ALL][metric] for metric in SHOWN] + [groups[category]["R@10"] for category in categories]
        table.add_row(name, *(f"{100 * figure:.1f}" for figure in figures))
    console.print(table)


def main(
    files: Annotated[list[Path], typer.Argument(help="conversations, one a line")],
    ablate: Annotated[bool, typer.Option("--ablate", help="leave out each signal of the default recipe, too")] = False,
    recipe: Annotated[list[str] | None, typer.Option("--recipe", help="a recipe more, by name")] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="write all means here")] = None,
) -> None:
    """Rank the questions of each file by several recipes."""
    tokenizer = load_minilm_tokenizer()
    models = Models(product_embedder(token_vectors=True), tokenizer)
    recipes = [*COMPARED, *(ABLATIONS if ablate else ()), *(RECIPES[name] for name in recipe or ())]
    found = {}
    console = Console(width=160)
    for path in files:
        found[str(path)] = measure(path, models, recipes)
        print_means(path, found[str(path)], console)
    if json_out is not None:
        json_out.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    start(main)
