"""What several load tests are told on the command line: which server, which conversations."""

from pathlib import Path
from typing import Annotated

import typer

UrlOption = Annotated[str, typer.Option("--url", help="a running server")]
OwnServerOption = Annotated[bool, typer.Option("--own-server", help="start one for the run instead")]
ConversationsArgument = Annotated[Path, typer.Argument(help="conversations, one a line", exists=True, dir_okay=False)]
LimitConversationsOption = Annotated[
    int | None, typer.Option("--limit-conversations", min=1, help="only the first ones")
]
