"""Everything the product filters by has an index, and every index is of something it filters, orders or counts by."""

import ast
from pathlib import Path

from storage import schema

ROOT = Path(__file__).parents[2]
ASKING = ("memory", "storage", "actors", "serve_app", "jobs")
CONDITIONS = {"AnyOf", "Between", "Empty", "Size"}
BY_VARIABLE = {
    "memory/cascade.py": {"source_ids", "link_ids", "superseded_by"},
    "storage/edge_reads.py": {schema.TENANT, schema.KIND, schema.STATUS},
    "storage/edge_scroll.py": {schema.SEQ, schema.ORDER},
    "storage/server_scroll.py": {schema.SEQ, schema.ORDER},
}
"""Module -> the fields it is given: what it cascades along, what it orders by."""
COUNTED = {"tags"}
UNINDEXED = {"metadata", "mentioned_at", "recorded_at", "category", "expires_at"}
"""Filtered by at the price of reading payloads: its keys are the callers'; an earlier time is rarely asked for; few
banks have rules of retention, and few facts a time of their own."""


def fields_of(tree: ast.AST) -> tuple[set[str], bool]:
    """Fields that conditions name outright, and whether some are named by a variable."""
    named, variable = set(), False
    for node in ast.walk(tree):
        called = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if called not in CONDITIONS or not node.args:
            continue
        match node.args[0]:
            case ast.Constant(value=str(field)):
                named.add(field)
            case ast.Attribute(value=ast.Name(id="schema"), attr=attribute):
                named.add(getattr(schema, attribute))
            case _:
                variable = True
    return named, variable


def test_what_is_filtered_by_and_what_is_indexed_are_the_same():
    asked, variable = set(COUNTED), set()
    for path in (path for room in ASKING for path in (ROOT / room).rglob("*.py")):
        named, by_variable = fields_of(ast.parse(path.read_text()))
        asked |= named
        if by_variable:
            variable.add(str(path.relative_to(ROOT)))
    assert variable == set(BY_VARIABLE), "say which fields these are given"
    asked |= {field for fields in BY_VARIABLE.values() for field in fields}
    indexed = set(schema.UNIT_INDEXES) | set(schema.RECORD_INDEXES)
    assert asked - UNINDEXED == indexed
