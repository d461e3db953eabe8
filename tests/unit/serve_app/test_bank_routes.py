"""Banks: profile, settings, listing, statistics, deletion."""

from hindsight_client_api import models

from actors.settings import Settings
from serve_app.api import build_api
from tests.support.fake_bank_client import FakeBankClient
from tests.support.http_calls import Http

BANK = "/v1/default/banks/alice"


def test_put_creates_and_answers_with_the_profile(http: Http) -> None:
    body = {"name": "Alice", "mission": "help", "disposition_empathy": 5, "retain_mission": None}
    parsed = models.BankProfileResponse.from_dict(http.call("PUT", BANK, json=body).json())
    assert (parsed.bank_id, parsed.name, parsed.mission, parsed.background) == ("alice", "Alice", "help", "help")
    assert (parsed.disposition.skepticism, parsed.disposition.empathy) == (3, 5)


def test_put_changes_only_what_is_set(http: Http) -> None:
    http.call("PUT", BANK, json={"name": "Alice", "mission": "help"})
    answer = http.call("PUT", BANK, json={"disposition": {"skepticism": 1, "literalism": 2, "empathy": 4}}).json()
    assert answer["name"] == "Alice"
    assert answer["mission"] == "help"
    assert answer["disposition"] == {"skepticism": 1, "literalism": 2, "empathy": 4}


def test_reflect_mission_wins(http: Http) -> None:
    body = {"background": "c", "mission": "b", "reflect_mission": "a"}
    assert http.call("PUT", BANK, json=body).json()["mission"] == "a"
    assert http.call("PUT", BANK, json={"background": "c"}).json()["mission"] == "c"


def test_patch_needs_a_bank(http: Http) -> None:
    assert http.call("PATCH", BANK, json={"name": "A"}).status_code == 404
    http.call("PUT", BANK, json={})
    assert http.call("PATCH", BANK, json={"name": "A"}).json()["name"] == "A"
    assert http.get(BANK).json() == http.get(f"{BANK}/profile").json()


def test_wrong_settings_are_422(http: Http) -> None:
    for body in ({"disposition_empathy": 6}, {"disposition_empathy": "3"}, {"retain_extraction_mode": "x"}, []):
        assert http.call("PUT", BANK, json=body).status_code == 422


def test_an_unknown_bank_has_defaults_and_zeros(http: Http) -> None:
    profile = models.BankProfileResponse.from_dict(http.get(f"{BANK}/profile").json())
    assert (profile.name, profile.mission, profile.disposition.literalism) == ("alice", "", 3)
    stats = models.BankStatsResponse.from_dict(http.get(f"{BANK}/stats").json())
    assert (stats.total_nodes, stats.total_documents, stats.nodes_by_fact_type) == (0, 0, {})
    assert http.get("/v1/default/banks").json()["total"] == 0


def test_stats_count(retained: Http) -> None:
    stats = models.BankStatsResponse.from_dict(retained.get(f"{BANK}/stats", params={"refresh": True}).json())
    assert (stats.total_nodes, stats.total_documents) == (3, 2)
    assert stats.nodes_by_fact_type == {"world": 2, "experience": 1}
    assert stats.last_memory_write_at is not None


def test_list(retained: Http) -> None:
    retained.call("PUT", "/v1/default/banks/b%2F2", json={"name": "Second"})
    answer = models.BankListResponse.from_dict(retained.get("/v1/default/banks").json())
    assert [bank.bank_id for bank in answer.banks] == ["alice", "b/2"]
    assert answer.banks[0].fact_count == 3
    assert [bank["name"] for bank in retained.get("/v1/default/banks?q=SECO").json()["banks"]] == ["Second"]
    assert retained.get("/v1/default/banks?limit=1&offset=1").json()["banks"][0]["bank_id"] == "b/2"


def test_delete_removes_everything_and_may_be_repeated(retained: Http) -> None:
    first = models.DeleteResponse.from_dict(retained.call("DELETE", BANK).json())
    assert (first.success, first.deleted_count) == (True, 3)
    again = models.DeleteResponse.from_dict(retained.call("DELETE", BANK).json())
    assert (again.success, again.deleted_count) == (True, 0)
    assert retained.get(f"{BANK}/memories/list").json()["total"] == 0
    assert retained.get(f"{BANK}/documents").json()["total"] == 0


def test_a_tenant_is_deleted_by_who_names_it(retained: Http) -> None:
    banks = "/v1/default/banks"
    assert retained.call("DELETE", banks).status_code == 422
    assert retained.call("DELETE", f"{banks}?confirm=acme").status_code == 422
    retained.call("PUT", "/v1/default/banks/second", json={})
    answer = retained.call("DELETE", f"{banks}?confirm=default").json()
    assert (answer["deleted_banks"], answer["left"], answer["deleted_count"] >= 3) == (2, 0, True)
    assert retained.get(banks).json()["total"] == 0


def test_rules_of_retention_are_checked(http: Http) -> None:
    wrong = {"updates": {"retention": [{"after_s": "soon"}]}}
    assert http.call("PATCH", f"{BANK}/config", json=wrong).status_code == 422
    rules = [{"after_s": 86400, "kinds": ["fact"]}]
    answer = http.call("PATCH", f"{BANK}/config", json={"updates": {"retention": rules}}).json()
    assert answer["config"]["retention"] == rules


def test_config_resolves_and_resets(http: Http) -> None:
    http.call("PUT", BANK, json={"name": "Alice", "mission": "help"})
    updates = {"updates": {"disposition_empathy": 1, "recall_max_tokens": 99}}
    answer = models.BankConfigResponse.from_dict(http.call("PATCH", f"{BANK}/config", json=updates).json())
    assert answer.overrides == {"reflect_mission": "help", "disposition_empathy": 1, "recall_max_tokens": 99}
    assert answer.config["disposition_empathy"] == 1
    assert answer.config["disposition_literalism"] == 3
    assert http.get(f"{BANK}/config").json() == answer.to_dict()
    assert http.call("DELETE", f"{BANK}/config").json()["overrides"] == {}
    assert http.get(BANK).json()["name"] == "Alice"


def test_a_bank_has_its_own_settings_else_its_tenants_else_the_servers() -> None:
    defaults = {"disposition_empathy": 2, "disposition_literalism": 2, "reflect_mission": "of all"}
    given = {"bank_defaults": defaults, "tenant_defaults": {"default": {"disposition_empathy": 4}}}
    settings = Settings(request_timeout_s=5.0, **given)
    with Http(build_api(FakeBankClient(settings), settings)) as http:
        http.call("PUT", BANK, json={"name": "Alice"})
        config = http.get(f"{BANK}/config").json()["config"]
        assert (config["disposition_empathy"], config["disposition_literalism"]) == (4, 2)
        assert config["reflect_mission"] == "of all"
        own = {"updates": {"disposition_empathy": 1, "reflect_mission": "mine"}}
        config = http.call("PATCH", f"{BANK}/config", json=own).json()["config"]
        assert (config["disposition_empathy"], config["reflect_mission"]) == (1, "mine")
        assert http.get(BANK).json()["mission"] == "mine"
        back = http.call("PATCH", f"{BANK}/config", json={"updates": {"disposition_empathy": None}}).json()
        assert (back["config"]["disposition_empathy"], back["overrides"]) == (4, {"reflect_mission": "mine"})
        reset = http.call("DELETE", f"{BANK}/config").json()
        assert (reset["config"]["reflect_mission"], reset["overrides"]) == ("of all", {})


def test_labels_are_kept_where_they_are_labels(http: Http) -> None:
    updates = {"updates": {"entity_labels": [{"key": "mood", "values": ["good", "bad"]}]}}
    answer = http.call("PATCH", f"{BANK}/config", json=updates)
    assert answer.json()["config"]["entity_labels"] == updates["updates"]["entity_labels"]
    refused = http.call("PATCH", f"{BANK}/config", json={"updates": {"entity_labels": [{"key": "mood"}]}})
    assert refused.status_code == 422
    assert "{'key': 'mood'} is no label" in refused.json()["detail"]


def test_config_is_bounded(http: Http) -> None:
    assert http.call("PATCH", f"{BANK}/config", json={"updates": {"disposition_empathy": 9}}).status_code == 422
    many = {f"key_{n}": n for n in range(101)}
    assert http.call("PATCH", f"{BANK}/config", json={"updates": many}).status_code == 413
    assert http.call("PATCH", f"{BANK}/config", json={"updates": {"a": "x" * 70_000}}).status_code == 413
