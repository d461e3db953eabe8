"""Response models against the official client's models: field by field, and as parsed values."""

import types
import typing
from typing import Any

import hindsight_client_api.models as official
import pytest
from pydantic import BaseModel

from lorebank import wire
from lorebank.wire.fields import ResponseModel

SCORES = wire.RecallScores(final=0.5, semantic=0.25)
RESULT = wire.RecallResult(
    id="u", text="t", type="world", entities=["Ada"], context="c", occurred_start="2024-01-01T00:00:00Z",
    mentioned_at="2024-01-01T00:00:00Z", document_id="d", metadata={"k": "v"}, chunk_id="c", tags=["x"],
    source_fact_ids=["f"], scores=SCORES, kind="chunk", speaker="Ada", seq=3,
)  # fmt: skip
TRAITS = wire.Disposition(skepticism=3, literalism=3, empathy=3)
PAGE: dict[str, int] = {"total": 1, "limit": 100, "offset": 0}
FEATURES = wire.FeaturesInfo(**dict.fromkeys(wire.FeaturesInfo.model_fields, True))
OPERATION = wire.OperationResponse(
    id="o", task_type="retain", items_count=1, created_at="now", status="pending", error_message=None,
    progress=wire.OperationProgress(stage="accept", at="now", detail={"n": 1}),
)  # fmt: skip
DOCUMENT = wire.DocumentResponse(
    id="d", bank_id="b", original_text="t", content_hash=None, created_at="now", updated_at="now", memory_unit_count=1,
    nodes_by_fact_type={"world": 1}, tags=["x"], document_metadata={"a": 1},
)  # fmt: skip
CHUNK = wire.ChunkResponse(chunk_id="c", document_id="d", bank_id="b", chunk_index=0, chunk_text="t", created_at="now")
STATS = wire.BankStatsResponse(
    bank_id="b", total_nodes=1, total_links=0, total_documents=1, nodes_by_fact_type={"world": 1},
    links_by_link_type={}, links_by_fact_type={}, links_breakdown={"world": {"entity": 1}}, pending_operations=0,
    failed_operations=0, operations_by_status={"completed": 1},
    watermarks=wire.Watermarks(accepted=1, extracted=1, consolidated=0),
)  # fmt: skip
REFLECTION = wire.ReflectResponse(
    text="answer",
    based_on=wire.ReflectBasedOn(
        memories=[wire.ReflectFact(id="u", text="t", type="world", metadata={"k": "v"})],
        mental_models=[wire.ReflectMentalModel(id="m", text="t")],
        directives=[wire.ReflectDirective(id="d", name="n", content="c")],
    ),
    structured_output={"a": [1]},
    usage=wire.TokenUsage(input_tokens=1),
    trace=wire.ReflectTrace(
        tool_calls=[wire.ReflectToolCall(tool="recall", input={}, duration_ms=1)],
        llm_calls=[wire.ReflectLlmCall(scope="final", duration_ms=2)],
    ),
)
RECALL = wire.RecallResponse(
    results=[RESULT],
    trace={"lanes": []},
    entities={
        "Ada": wire.EntityState(entity_id="e", canonical_name="Ada", observations=[wire.EntityObservation(text="o")])
    },
    chunks={"c": wire.ChunkData(id="c", text="t", chunk_index=0)},
    source_facts={"f": RESULT},
    source_facts_truncated=False,
)
OFFICIAL: dict[str, ResponseModel] = {
    "RetainResponse": wire.RetainResponse(success=True, bank_id="b", items_count=1, async_=False, operation_id="o"),
    "RecallResponse": RECALL,
    "ReflectResponse": REFLECTION,
    "BankProfileResponse": wire.BankProfileResponse(bank_id="b", name="n", disposition=TRAITS, mission="m"),
    "BackgroundResponse": wire.BackgroundResponse(mission="m", disposition=TRAITS),
    "BankListResponse": wire.BankListResponse(banks=[wire.BankListItem(bank_id="b", disposition=TRAITS)], **PAGE),
    "BankStatsResponse": STATS,
    "ListMemoryUnitsResponse": wire.ListMemoryUnitsResponse(
        items=[wire.MemoryUnitListItem(id="u", text="t", tags=["x"], metadata={"a": "b"}, kind="chunk")], **PAGE
    ),
    "ListDocumentsResponse": wire.ListDocumentsResponse(items=[wire.DocumentListItem(id="d", tags=["x"])], **PAGE),
    "DocumentResponse": DOCUMENT,
    "UpdateDocumentResponse": wire.UpdateDocumentResponse(),
    "DeleteDocumentResponse": wire.DeleteDocumentResponse(
        success=True, message="gone", document_id="d", memory_units_deleted=2
    ),
    "ChunkResponse": CHUNK,
    "ListChunksResponse": wire.ListChunksResponse(items=[CHUNK], **PAGE),
    "OperationsListResponse": wire.OperationsListResponse(bank_id="b", operations=[OPERATION], **PAGE),
    "OperationStatusResponse": wire.OperationStatusResponse(
        operation_id="o", status="completed", result_metadata={"n": 1},
        child_operations=[wire.ChildOperationStatus(operation_id="p", status="completed")],
    ),
    "CancelOperationResponse": wire.CancelOperationResponse(success=True, message="m", operation_id="o"),
    "EntityListResponse": wire.EntityListResponse(
        items=[wire.EntityListItem(id="e", canonical_name="Ada", mention_count=2)], **PAGE
    ),
    "EntityDetailResponse": wire.EntityDetailResponse(
        id="e", canonical_name="Ada", mention_count=2, observations=[wire.EntityObservation(text="o")]
    ),
    "ListTagsResponse": wire.ListTagsResponse(items=[wire.TagItem(tag="x", count=1)], **PAGE),
    "DeleteResponse": wire.DeleteResponse(success=True, deleted_count=3),
    "VersionResponse": wire.VersionResponse(api_version="1.1.0", features=FEATURES),
    "LivenessResponse": wire.LivenessResponse(status="alive", version="0", uptime_seconds=1.5),
}  # fmt: skip
NOT_SENT = {
    "attachments": "files are not stored yet",
    "details": "mental model refreshes are answered by their own routes",
    "mental_model_id": "mental model refreshes are answered by their own routes",
    "filename": "files are not stored yet",
    "task_payload": "only sent on request upstream, and internal",
    "display_alias": "bank aliases are not offered",
    "matched_aliases": "bank aliases are not offered",
}


def same_where_known(theirs: Any, ours: Any) -> bool:
    """Whether everything the official model kept is what we sent."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return all(same_where_known(value, ours.get(key)) for key, value in theirs.items())
    if isinstance(theirs, list) and isinstance(ours, list):
        return len(theirs) == len(ours) and all(map(same_where_known, theirs, ours))
    return bool(theirs == ours)


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_official_model_parses_our_answer(name: str) -> None:
    """from_dict is what the generated client calls; nothing we sent changes on the way."""
    sent = OFFICIAL[name].to_wire()
    parsed = getattr(official, name).from_dict(sent)
    assert same_where_known(parsed.to_dict(), sent)


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_our_client_reads_our_answer_and_one_from_the_future(name: str) -> None:
    """The same models read answers, with fields they do not know."""
    ours = OFFICIAL[name]
    sent = ours.to_wire()
    assert type(ours).model_validate(sent) == ours
    type(ours).model_validate(sent | {"field_of_tomorrow": {"a": 1}})


def pairs_of(name: str) -> list[tuple[type[BaseModel], type[BaseModel]]]:
    """(theirs, ours) for an answer and every model inside it."""
    found: list[tuple[type[BaseModel], type[BaseModel]]] = []
    waiting: list[tuple[Any, Any]] = [(getattr(official, name), type(OFFICIAL[name]))]
    while waiting:
        theirs, ours = waiting.pop()
        if (theirs, ours) in found:
            continue
        found.append((theirs, ours))
        wire_names = {field.alias or key: key for key, field in ours.model_fields.items()}
        for key, field in theirs.model_fields.items():
            ours_key = wire_names.get(field.alias or key)
            if ours_key is not None:
                left, right = models_in(field.annotation), models_in(ours.model_fields[ours_key].annotation)
                waiting.extend(zip(left, right, strict=True))
    return found


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [] if annotation.__name__ == "ObservationScopes" else [annotation]
    if typing.get_origin(annotation) in {dict, list, typing.Union, types.UnionType}:
        return [model for part in typing.get_args(annotation) for model in models_in(part)]
    return []


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_every_official_field_is_sent_or_left_out_for_a_reason(name: str) -> None:
    """Required fields of theirs can never be missing or null in ours."""
    for theirs, ours in pairs_of(name):
        sent = {field.alias or key: field for key, field in ours.model_fields.items()}
        for key, field in theirs.model_fields.items():
            wire_name = field.alias or key
            if wire_name not in sent:
                assert wire_name in NOT_SENT, f"{ours.__name__} lacks {wire_name} of {theirs.__name__}"
                assert not field.is_required()
            elif field.is_required():
                assert sent[wire_name].is_required(), f"{ours.__name__}.{wire_name} must be required"


def test_official_requests_are_accepted() -> None:
    """Bodies as the generated client builds them, nulls and all, parse into what they mean."""
    item = official.MemoryItem(
        content=official.Content("hello"), timestamp=official.Timestamp("2024-01-15T10:30:00Z"), context=None,
        metadata={"k": "v"}, document_id="d", entities=[official.EntityInput(text="Ada", type=None)], tags=None,
        observation_scopes=official.ObservationScopes([["a"], ["b"]]), update_mode=None,
    )  # fmt: skip
    body = official.RetainRequest(items=[item], var_async=True, document_tags=None).to_dict()
    ours = wire.RetainRequest.model_validate(body)
    assert ours.async_
    assert ours.items[0].observation_scopes == [["a"], ["b"]]
    tree = official.MentalModelTriggerInputTagGroupsInner.from_dict({"not": {"tags": ["a"], "match": "exact"}})
    query = official.RecallRequest(
        query="who?", types=None, include=official.IncludeOptions(entities=None), tag_groups=[tree], min_scores=None,
        budget=official.Budget.HIGH,
    )  # fmt: skip
    parsed = wire.RecallRequest.model_validate(query.to_dict())
    assert parsed.include.entities is None
    assert parsed.budget == "high"
    assert (
        wire.ReflectRequest.model_validate(
            official.ReflectRequest(query="who?", include=official.ReflectIncludeOptions(facts={})).to_dict()
        ).include.facts
        == {}
    )
    bank = official.CreateBankRequest(name="n", disposition_empathy=5).to_dict()
    assert wire.BankUpdateRequest.model_validate(bank).traits() == {"empathy": 5}


@pytest.mark.parametrize(
    ("theirs", "ours", "left_out"),
    [
        (official.RetainRequest, wire.RetainRequest, set()),
        (official.MemoryItem, wire.RetainItem, set()),
        (official.RecallRequest, wire.RecallRequest, set()),
        (
            official.ReflectRequest,
            wire.ReflectRequest,
            {"reflect_search_observations_max_tokens", "reflect_search_observations_include_entities"},
        ),
        (official.CreateBankRequest, wire.BankUpdateRequest, set()),
        (official.UpdateDocumentRequest, wire.UpdateDocumentRequest, {"observation_scopes"}),
    ],
)
def test_no_official_request_field_is_ignored_by_accident(
    theirs: type[BaseModel], ours: type[BaseModel], left_out: set[str]
) -> None:
    """What the official client can send, the server's model knows, but for the listed ones."""
    known = {field.alias or name for name, field in ours.model_fields.items()}
    sent = {field.alias or name for name, field in theirs.model_fields.items()}
    assert sent - known == left_out


def test_problem_has_the_plain_texts_that_peers_read() -> None:
    """`detail` and `error` are strings, beside the RFC 9457 fields."""
    body = wire.make_problem(429, "Overloaded", "too many requests", retry_after_s=2).to_wire()
    assert body == {
        "type": "about:blank", "title": "Overloaded", "status": 429, "detail": "too many requests",
        "error": "too many requests", "instance": None, "retry_after_s": 2, "errors": [],
    }  # fmt: skip
