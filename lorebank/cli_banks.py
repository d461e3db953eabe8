"""Commands `bank` and `document`: list, show, create, delete."""

from typing import Annotated

import typer

from lorebank._options import BankOptions
from lorebank.cli_output import (
    DEFAULT,
    EXIT_USAGE,
    BankArgument,
    JsonOption,
    KeyOption,
    LimitOption,
    OffsetOption,
    UrlOption,
    YesOption,
    confirm,
    console,
    fail,
    one_line,
    print_json,
    session,
    short_time,
    table_of,
)
from lorebank.wire import BankProfileResponse, BankScope

bank_app = typer.Typer(no_args_is_help=True, help="List, show, create and delete banks.")
document_app = typer.Typer(no_args_is_help=True, help="List, show and delete the documents of a bank.")

DocumentArgument = Annotated[str, typer.Argument(help="Id of the document.", show_default=False)]
TraitOption = Annotated[int | None, typer.Option(min=1, max=5, help="Trait of the disposition; 3 is neutral.")]


@bank_app.command("list")
def list_banks(
    limit: LimitOption = 100,
    offset: OffsetOption = 0,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List the banks."""
    with session(url, api_key) as client:
        page = client.list_banks(limit=limit, offset=offset)
    if json:
        print_json(page)
        return
    rows = [
        (bank.bank_id, str(bank.fact_count), short_time(bank.last_write_at), one_line(bank.mission or ""))
        for bank in page.banks
    ]
    console().print(table_of(("bank", "units", "last write", "mission"), rows))
    console().print(f"{len(rows)} of {page.total}")


@bank_app.command("show")
def show_bank(
    bank: BankArgument, url: UrlOption = DEFAULT, api_key: KeyOption = None, json: JsonOption = False
) -> None:
    """Show a bank's name, mission and disposition."""
    with session(url, api_key) as client:
        _print_profile(client.get_profile(bank), as_json=json)


@bank_app.command("create")
def create_bank(
    bank: BankArgument,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    mission: Annotated[str | None, typer.Option(help="What the bank's owner is for.")] = None,
    skepticism: TraitOption = None,
    literalism: TraitOption = None,
    empathy: TraitOption = None,
    host: Annotated[str | None, typer.Option(help="Scope of the bank: a host ...")] = None,
    agent: Annotated[str | None, typer.Option(help="... an agent of it ...")] = None,
    user: Annotated[str | None, typer.Option(help="... a user.")] = None,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Create a bank, or change the given settings of one."""
    options = BankOptions()
    if host is not None:
        options["scope"] = BankScope(host=host, agent=agent, user=user)
    elif agent is not None or user is not None:
        raise fail("--agent and --user need --host", EXIT_USAGE)
    if name is not None:
        options["name"] = name
    if mission is not None:
        options["mission"] = mission
    if skepticism is not None:
        options["disposition_skepticism"] = skepticism
    if literalism is not None:
        options["disposition_literalism"] = literalism
    if empathy is not None:
        options["disposition_empathy"] = empathy
    with session(url, api_key) as client:
        _print_profile(client.put_bank(bank, **options), as_json=json)


def _print_profile(profile: BankProfileResponse, *, as_json: bool) -> None:
    if as_json:
        print_json(profile)
        return
    traits = profile.disposition
    rows = [
        ("bank", profile.bank_id),
        ("name", profile.name),
        ("mission", profile.mission),
        ("disposition", f"skepticism {traits.skepticism}, literalism {traits.literalism}, empathy {traits.empathy}"),
    ]
    console().print(table_of(("", "value"), rows))


@bank_app.command("delete")
def delete_bank(
    bank: BankArgument,
    yes: YesOption = False,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a bank and everything in it."""
    confirm(yes, f"Delete bank {bank} and everything in it?")
    with session(url, api_key) as client:
        answer = client.delete_bank(bank)
    if json:
        print_json(answer)
    else:
        console().print(f"bank {bank} is deleted", markup=False)


@bank_app.command("stats")
def bank_stats(
    bank: BankArgument, url: UrlOption = DEFAULT, api_key: KeyOption = None, json: JsonOption = False
) -> None:
    """Count what a bank holds and how far it is processed."""
    with session(url, api_key) as client:
        stats = client.stats(bank)
    if json:
        print_json(stats)
        return
    counts = {
        "documents": stats.total_documents,
        "units": stats.total_nodes,
        **{f"units: {kind}": number for kind, number in stats.nodes_by_fact_type.items()},
        "links": stats.total_links,
        "operations pending": stats.pending_operations,
        "operations failed": stats.failed_operations,
    }
    if stats.watermarks is not None:
        counts |= {f"watermark: {stage}": number for stage, number in stats.watermarks.to_wire().items()}
    console().print(table_of((f"bank {stats.bank_id}", "count"), [(name, str(n)) for name, n in counts.items()]))


@document_app.command("list")
def list_documents(
    bank: BankArgument,
    limit: LimitOption = 100,
    offset: OffsetOption = 0,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List the documents of a bank."""
    with session(url, api_key) as client:
        page = client.list_documents(bank, limit=limit, offset=offset)
    if json:
        print_json(page)
        return
    rows = [
        (row.id, str(row.memory_unit_count), str(row.text_length), short_time(row.updated_at), ", ".join(row.tags))
        for row in page.items
    ]
    console().print(table_of(("document", "units", "characters", "updated", "tags"), rows))
    console().print(f"{len(rows)} of {page.total}")


@document_app.command("get")
def get_document(
    bank: BankArgument,
    document: DocumentArgument,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Print a document's text as it was retained."""
    with session(url, api_key) as client:
        found = client.get_document(bank, document)
    if json:
        print_json(found)
    else:
        typer.echo(found.original_text or "")


@document_app.command("delete")
def delete_document(
    bank: BankArgument,
    document: DocumentArgument,
    yes: YesOption = False,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a document with all that was derived from it."""
    confirm(yes, f"Delete document {document} of bank {bank}?")
    with session(url, api_key) as client:
        answer = client.delete_document(bank, document)
    if json:
        print_json(answer)
    else:
        console().print(f"document {document} is deleted with {answer.memory_units_deleted} units", markup=False)
