"""The official hindsight-client, unmodified, over every operation the server has."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from hindsight_client import Hindsight
from hindsight_client_api.exceptions import ApiException, NotFoundException
from hindsight_client_api.models import BankConfigUpdate, ConsolidationRequest

Scenario = Callable[[Hindsight, str], Awaitable[None]]


def run(url: str, scenario: Scenario) -> None:
    """One scenario in one event loop with a bank of its own, deleted at the end."""
    bank = f"hindsight {uuid.uuid4()}"

    async def whole() -> None:
        client = Hindsight(base_url=url)
        try:
            await scenario(client, bank)
            await client.adelete_bank(bank)
        finally:
            await client.aclose()

    asyncio.run(whole())


def test_banks_are_made_changed_listed_and_deleted(server_url: str) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        made = await client.acreate_bank(bank, name="Ada", mission="Remember what Ada likes.", disposition_empathy=5)
        assert (made.bank_id, made.name, made.mission) == (bank, "Ada", "Remember what Ada likes.")
        assert made.disposition.empathy == 5
        assert made.disposition.skepticism == 3
        profile = await client.banks.get_bank_profile(bank)
        assert profile.name == "Ada"
        listed = await client.banks.list_banks()
        assert bank in [item.bank_id for item in listed.banks]
        await client.aset_mission(bank, "Remember what Ada dislikes.")
        assert (await client.banks.get_bank_profile(bank)).mission == "Remember what Ada dislikes."
        stats = await client.banks.get_agent_stats(bank)
        assert (stats.bank_id, stats.total_nodes, stats.total_documents) == (bank, 0, 0)
        deleted = await client.banks.delete_bank(bank)
        assert deleted.success
        assert bank not in [item.bank_id for item in (await client.banks.list_banks()).banks]
        assert (await client.alist_memories(bank)).total == 0

    run(server_url, scenario)


def test_what_is_retained_is_recalled_listed_and_counted(server_url: str) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        await client.acreate_bank(bank, retain_extraction_mode="chunks")  # facts would be counted when they are found
        kept = await client.aretain(
            bank,
            "Grace moved to Lisbon in March and teaches sailing there.",
            timestamp=datetime(2026, 3, 14, 9, 30, tzinfo=UTC),
            context="a letter",
            document_id="letters/1",
            metadata={"source": "post"},
            tags=["friends"],
        )
        assert (kept.success, kept.bank_id, kept.items_count, kept.var_async) == (True, bank, 1, False)
        batch = await client.aretain_batch(
            bank,
            [{"content": "Tom breeds alpacas.", "tags": ["farm"]}, {"content": "Tom sold two alpacas to Grace."}],
            document_id="notes",
        )
        assert batch.items_count == 2
        found = await client.arecall(bank, "Where does Grace live now?", include_chunks=True, trace=True)
        best = found.results[0]
        assert best.text == "Grace moved to Lisbon in March and teaches sailing there."
        assert (best.document_id, best.context, best.metadata, best.tags) == (
            "letters/1",
            "a letter",
            {"source": "post"},
            ["friends"],
        )
        assert best.mentioned_at is not None
        assert best.mentioned_at.startswith("2026-03-14T09:30:00")
        assert best.scores is not None
        assert 0 < best.scores.final < 1
        assert found.chunks is not None
        assert found.chunks[best.chunk_id].text == best.text
        assert found.trace is not None
        memories = await client.alist_memories(bank, limit=2)
        assert (memories.total, len(memories.items)) == (3, 2)
        one = await client.memory.get_memory(bank, best.id)
        assert one is not None
        stats = await client.banks.get_agent_stats(bank)
        assert (stats.total_nodes, stats.total_documents) == (3, 2)
        tags = await client.memory.list_tags(bank)
        assert {item.tag: item.count for item in tags.items} == {"friends": 1, "farm": 1}
        entities = await client.entities.list_entities(bank)
        assert (entities.limit, entities.offset) == (100, 0)

    run(server_url, scenario)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("any", {"red", "red blue", "plain"}),
        ("all", {"red blue", "plain"}),
        ("any_strict", {"red", "red blue"}),
        ("all_strict", {"red blue"}),
        ("exact", {"red blue"}),
    ],
)
def test_tags_narrow_recall(server_url: str, match: str, expected: set[str]) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        items = [
            {"content": "red", "tags": ["red"]},
            {"content": "red blue", "tags": ["red", "blue"]},
            {"content": "green", "tags": ["green"]},
            {"content": "plain"},
        ]
        await client.aretain_batch(bank, items)
        wanted = ["red", "blue"]
        found = await client.arecall(bank, "Which colours are there?", tags=wanted, tags_match=match)
        assert {result.text for result in found.results} == expected
        groups = [{"not": {"tags": ["green"], "match": "any_strict"}}]
        found = await client.arecall(bank, "Which colours are there?", tag_groups=groups)
        assert {result.text for result in found.results} == {"red", "red blue", "plain"}

    run(server_url, scenario)


def test_types_and_budgets_narrow_recall(server_url: str) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        await client.aretain(bank, "I booked the ferry for you.", metadata={"role": "assistant"})
        await client.aretain(bank, "The ferry leaves at nine.", metadata={"role": "user"})
        worlds = await client.arecall(bank, "ferry", types=["world"])
        assert [result.text for result in worlds.results] == ["The ferry leaves at nine."]
        experiences = await client.arecall(bank, "ferry", types=["experience"])
        assert [result.text for result in experiences.results] == ["I booked the ferry for you."]
        short = await client.arecall(bank, "ferry", max_tokens=8, budget="high")
        assert len(short.results) == 1
        nothing = await client.arecall(bank, "ferry", min_scores={"semantic": 0.999})
        assert nothing.results == []

    run(server_url, scenario)


def test_documents_are_read_replaced_and_deleted(server_url: str) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        name = "trips/2026 summer/ö.md"
        await client.aretain(bank, "We rent a boat.\n\nIt is blue.", document_id=name, tags=["trip"])
        document = await client.documents.get_document(bank, name)
        assert (document.id, document.original_text, document.tags) == (
            name,
            "We rent a boat.\n\nIt is blue.",
            ["trip"],
        )
        chunks = await client.documents.list_document_chunks(bank, name)
        assert chunks.items
        chunk = await client.documents.get_chunk(chunks.items[0].chunk_id)
        assert chunk.chunk_text in document.original_text
        await client.aretain(bank, "We rent a van.", document_id=name)
        assert (await client.documents.get_document(bank, name)).original_text == "We rent a van."
        listed = await client.documents.list_documents(bank)
        assert listed.total == 1
        gone = await client.documents.delete_document(bank, name)
        assert (gone.success, gone.document_id, gone.memory_units_deleted) == (True, name, 1)
        with pytest.raises(NotFoundException):
            await client.documents.get_document(bank, name)
        with pytest.raises(NotFoundException):
            await client.documents.delete_document(bank, name)
        assert (await client.alist_memories(bank)).total == 0

    run(server_url, scenario)


def test_an_asynchronous_retain_is_an_operation_that_can_be_repeated_but_not_reused(server_url: str) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        operation_id = str(uuid.uuid4())
        for _ in range(2):
            answer = await client.aretain(bank, "Once only.", retain_async=True, operation_id=operation_id)
            assert answer.var_async
            assert answer.operation_id == operation_id
        assert (await client.alist_memories(bank)).total == 1
        listed = await client.operations.list_operations(bank)
        assert operation_id in [operation.id for operation in listed.operations]
        status = await client.operations.get_operation_status(bank, operation_id)
        assert status.status == "completed"
        with pytest.raises(ApiException) as reused:
            await client.aretain(bank, "Something else.", retain_async=True, operation_id=operation_id)
        assert reused.value.status == 409

    run(server_url, scenario)


def test_reflect_answers_from_memory_and_fills_a_schema(server_url: str) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        await client.aretain(bank, "Nora is allergic to walnuts.")
        answer = await client.areflect(bank, "What must Nora not eat?", include_facts=True)
        assert "walnuts" in answer.text
        assert answer.based_on is not None
        assert answer.based_on.memories
        schema = {
            "type": "object",
            "properties": {
                "recommendation": {"type": "string"},
                "reasons": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["recommendation", "reasons"],
        }
        answer = await client.areflect(bank, "What must Nora not eat?", response_schema=schema)
        assert answer.structured_output is not None
        assert answer.structured_output["recommendation"]
        assert all(isinstance(reason, str) for reason in answer.structured_output["reasons"])

    run(server_url, scenario)


def test_directives_are_made_changed_listed_and_deleted(server_url: str) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        made = await client.acreate_directive(bank, "polite", "Always be polite.", priority=3, tags=["work"])
        assert (made.bank_id, made.name, made.priority, made.is_active, made.tags) == (
            bank,
            "polite",
            3,
            True,
            ["work"],
        )
        await client.acreate_directive(bank, "first", "Answer in French.", priority=9)
        listed = await client.alist_directives(bank)
        assert [rule.name for rule in listed.items] == ["first", "polite"]
        changed = await client.aupdate_directive(bank, made.id, is_active=False)
        assert (changed.is_active, changed.content) == (False, "Always be polite.")
        assert (await client.aget_directive(bank, made.id)).priority == 3
        answer = await client.areflect(bank, "Anything?", include_facts=True)
        assert answer.based_on is not None
        assert [rule.name for rule in answer.based_on.directives] == ["first"]
        await client.adelete_directive(bank, made.id)
        with pytest.raises(NotFoundException):
            await client.aget_directive(bank, made.id)

    run(server_url, scenario)


def test_mental_models_are_made_refreshed_edited_and_deleted(server_url: str) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        await client.acreate_bank(bank, retain_extraction_mode="chunks")
        await client.aretain(bank, "Nora drinks green tea.", document_id="tea")
        trigger = {"refresh_cron": "0 3 * * *", "mode": "delta"}
        made = await client.acreate_mental_model(bank, "Drinks", "What does Nora drink?", trigger=trigger, id="drinks")
        assert made.mental_model_id == "drinks"
        await _completed(client, bank, made.operation_id)
        model = await client.aget_mental_model(bank, "drinks")
        assert "green tea" in (model.content or "")
        assert model.is_stale is False
        assert model.trigger is not None
        assert model.trigger.refresh_cron == "0 3 * * *"
        answer = await client.areflect(bank, "What does Nora drink?", include_facts=True, include_tool_calls=True)
        assert answer.based_on is not None
        assert [one.id for one in answer.based_on.mental_models] == ["drinks"]
        assert answer.trace is not None
        assert answer.trace.tool_calls[0].tool == "search_mental_models"
        await client.aretain(bank, "Nora drinks cocoa now.", document_id="cocoa")
        listed = await client.alist_mental_models(bank)
        assert [(one.id, one.is_stale, one.content) for one in listed.items] == [("drinks", True, None)]
        preview = await client.adry_run_refresh_mental_model(bank, "drinks")
        assert preview.would_persist
        assert "cocoa" in preview.preview_content
        assert "cocoa" in preview.diff
        assert "cocoa" not in ((await client.aget_mental_model(bank, "drinks")).content or "")
        queued = await client.arefresh_mental_model(bank, "drinks", mode="full")
        await _completed(client, bank, queued.operation_id)
        assert "cocoa" in ((await client.aget_mental_model(bank, "drinks", detail="content")).content or "")
        history = await client.aget_mental_model_history(bank, "drinks")
        assert [entry["previous_content"] for entry in history] == [model.content]
        renamed = await client.aupdate_mental_model(bank, "drinks", name="Beverages", tags=["home"])
        assert (renamed.name, renamed.tags) == ("Beverages", ["home"])
        assert (await client.aclear_mental_model(bank, "drinks")).content == ""
        await client.adelete_mental_model(bank, "drinks")
        with pytest.raises(NotFoundException):
            await client.aget_mental_model(bank, "drinks")

    run(server_url, scenario)


def test_observations_are_consolidated_recalled_with_their_facts_and_cleared(server_url: str) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        for number, home in enumerate(("I live in Oslo.", "I live in Oslo, Norway.")):
            item = {"content": home, "document_id": f"d{number}", "metadata": {"speaker": "Nora"}, "tags": ["home"]}
            await client.aretain_batch(bank, [item])
        await _extracted(client, bank)
        asked = await client.banks.trigger_consolidation(bank)
        await _completed(client, bank, asked.operation_id)
        found = await client.arecall(
            bank, "Where does Nora live?", types=["observation"], include_source_facts=True, prefer_observations=True
        )
        (observation,) = found.results
        assert observation.type == "observation"
        assert set(observation.source_fact_ids or ()) == set(found.source_facts or {})
        assert len(found.source_facts or {}) == 2
        scopes = await client.memory.list_observation_scopes(bank)
        assert [(scope.tags, scope.count) for scope in scopes.scopes] == [(["home"], 1)]
        assert await client.memory.get_observation_history(bank, observation.id)
        listed = await client.memory.list_memories(bank, type="observation")
        assert listed.total == 1
        assert (await client.banks.recover_consolidation(bank)).retried_count == 0
        fact = (observation.source_fact_ids or [""])[0]
        assert (await client.memory.clear_memory_observations(bank, fact)).deleted_count == 1
        asked = await client.banks.trigger_consolidation(bank)
        await _completed(client, bank, asked.operation_id)
        assert (await client.banks.clear_observations(bank)).deleted_count == 1
        for tag, scopes in (("work", 0), ("home", 1)):
            targets = ConsolidationRequest(observation_scopes=[[tag]])
            await _completed(client, bank, (await client.banks.trigger_consolidation(bank, None, targets)).operation_id)
            assert (await client.memory.list_observation_scopes(bank)).total == scopes

    run(server_url, scenario)


def test_knowledge_pages_are_made_read_found_moved_exported_and_deleted(server_url: str) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        await client.acreate_bank(bank, retain_extraction_mode="chunks")
        await client.aretain(bank, "Nora drinks green tea.", document_id="tea")
        folder = await client.acreate_knowledge_folder(bank, "People")
        made = await client.acreate_knowledge_page(bank, "Nora", "What does Nora drink?", parent_id=folder.id)
        await _completed(client, bank, str(made.operation_id))
        page = await client.aget_knowledge_page(bank, made.page_id)
        assert "green tea" in (page.body or "")
        assert page.markdown.startswith('---\nname: "Nora"')
        tree = await client.aget_knowledge_base_tree(bank)
        assert [(node.name, [child.name for child in node.children or []]) for node in tree.roots] == [
            ("People", ["Nora"])
        ]
        assert (tree.roots[0].children or [])[0].is_stale is False
        found = await client.asearch_knowledge_base(bank, "tea", limit=5)
        assert [(one.id, one.score) for one in found.results] == [(made.page_id, 1.0)]
        files = (await client.knowledge_base.export_knowledge_base(bank)).files
        assert [file.path for file in files] == ["index.md", "people/nora.md"]
        (memory,) = [unit for unit in (await client.alist_memories(bank)).items if unit.fact_type != "reflection"]
        assert f"/memories/{memory.id})" in files[1].content, "a page links to what it rests on"
        moved = await client.aupdate_knowledge_node(bank, made.page_id, name="Nora's drinks", parent_id=None)
        assert (moved.name, moved.parent_id) == ("Nora's drinks", None)
        models = await client.alist_mental_models(bank)
        assert [(model.id, model.is_knowledge_page) for model in models.items] == [(made.page_id, True)]
        assert (await client.alist_mental_models(bank, exclude_knowledge_pages=True)).items == []
        await client.adelete_knowledge_node(bank, folder.id)
        await client.adelete_knowledge_node(bank, made.page_id)
        with pytest.raises(NotFoundException):
            await client.aget_knowledge_page(bank, made.page_id)

    run(server_url, scenario)


def test_settings_of_a_bank_are_set_resolved_and_reset(server_url: str) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        await client.acreate_bank(bank, name="Ada", reflect_mission="Serve the tea club.")
        fresh = await client.banks.get_bank_config(bank)
        assert fresh.overrides == {"reflect_mission": "Serve the tea club."}
        assert fresh.config["disposition_empathy"] == 3, "what the server says where the bank does not"
        update = BankConfigUpdate(updates={"disposition_empathy": 5, "reflect_mission": None})
        changed = await client.banks.update_bank_config(bank, update)
        assert changed.overrides == {"disposition_empathy": 5}
        assert (changed.config["disposition_empathy"], changed.config["reflect_mission"]) == (5, None)
        assert (await client.banks.get_bank_profile(bank)).disposition.empathy == 5
        with pytest.raises(ApiException) as wrong:
            await client.banks.update_bank_config(bank, BankConfigUpdate(updates={"disposition_empathy": 6}))
        assert wrong.value.status == 422
        reset = await client.banks.reset_bank_config(bank)
        assert (reset.overrides, reset.config["disposition_empathy"]) == ({}, 3)
        assert (await client.banks.get_bank_profile(bank)).name == "Ada"

    run(server_url, scenario)


async def _extracted(client: Hindsight, bank: str) -> None:
    """Wait until nothing is under way in a bank."""
    for _ in range(600):
        if not (await client.banks.get_agent_stats(bank)).pending_operations:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("facts are still being found after 30 s")


async def _completed(client: Hindsight, bank: str, operation_id: str) -> None:
    """Wait for what is done in the background."""
    for _ in range(600):
        found = await client.operations.get_operation_status(bank, operation_id)
        if found.status == "completed":
            return
        assert found.status in {"pending", "processing"}, found
        await asyncio.sleep(0.05)
    raise AssertionError("it is not done after 30 s")


def test_the_server_says_how_it_is(server_url: str) -> None:
    async def scenario(client: Hindsight, bank: str) -> None:
        del bank
        assert (await client.aget_version()).api_version
        assert await client.monitoring.health_endpoint_health_get() is not None

    run(server_url, scenario)
