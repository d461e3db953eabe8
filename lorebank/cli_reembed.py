"""Command `reembed`: another embedding model beside the one that is used, as a job."""

from enum import StrEnum
from typing import Annotated

import typer

from lorebank.cli_jobs import ConcurrencyOption, DryRunOption, PatienceOption, RateOption, ReportOption, become, flags
from lorebank.cli_output import JsonOption


class NewEmbedder(StrEnum):
    """What makes the new vectors."""

    MINILM = "minilm"
    HTTP = "http"
    HASH = "hash"


def reembed(
    embedder: Annotated[NewEmbedder | None, typer.Option(help="What makes the new vectors.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model at an endpoint.")] = None,
    base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible endpoint.")] = None,
    dim: Annotated[int | None, typer.Option(min=1, help="Length of the new vectors.")] = None,
    precision: Annotated[str | None, typer.Option(help="Of MiniLM: int8 or fp32.")] = None,
    verify_sample: Annotated[int | None, typer.Option(min=1, help="Units to compare by.  [default: 100]")] = None,
    min_agreement: Annotated[float | None, typer.Option(help="Least share of equal answers to switch at.")] = None,
    switch: Annotated[bool, typer.Option("--switch", help="Ask the new model once all is written.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Ask the former model again.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Write the new model's vectors no more.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Let go of other models' vectors: no way back.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Drop without being asked again.")] = False,
    concurrency: ConcurrencyOption = None,
    max_items_per_s: RateOption = None,
    patience_s: PatienceOption = None,
    report: ReportOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Write another model's vectors beside those there are, compare, switch or go back; retain and recall go on."""
    options = flags(
        [
            ("--embedder", embedder.value if embedder else None), ("--model", model), ("--base-url", base_url),
            ("--dim", dim), ("--precision", precision), ("--verify-sample", verify_sample),
            ("--min-agreement", min_agreement), ("--switch", switch), ("--rollback", rollback), ("--abandon", abandon),
            ("--drop", drop), ("--yes", yes),
            ("--concurrency", concurrency), ("--max-items-per-s", max_items_per_s), ("--patience-s", patience_s),
            ("--report", report), ("--dry-run", dry_run), ("--json", json),
        ]
    )  # fmt: skip
    become("reembed", options)
