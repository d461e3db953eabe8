"""Keys and tenants, the bound on work, the deadline."""

import pytest

from actors.settings import Settings
from memory.errors import BadSettings, Unauthorized
from serve_app.admission import MAX_HANDLED, ApiKeys
from serve_app.api import build_api
from tests.support.fake_bank_client import FakeBankClient
from tests.support.http_calls import Http, assert_problem

STATS = "/v1/default/banks/alice/stats"
RETAIN = "/v1/default/banks/alice/memories"
KEYED = Settings(api_keys="k-one, k-two=acme , k-three=acme")


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_without_keys_everyone_is_the_default_tenant() -> None:
    assert ApiKeys(None).tenant_of({}) == "default"
    assert ApiKeys(None).tenant_of(bearer("anything")) == "default"


def test_keys_name_tenants() -> None:
    keys = ApiKeys("k-one, k-two=acme , k=3=b/c")
    assert keys.tenant_of(bearer("k-one")) == "default"
    assert keys.tenant_of({"authorization": "bearer  k-two "}) == "acme"
    assert keys.tenant_of(bearer("k=3")) == "b/c"


@pytest.mark.parametrize(
    "headers",
    [{}, bearer(""), bearer("k"), bearer("k-one2"), {"authorization": "k-one"}, {"authorization": "Basic k-one"}],
)
def test_other_keys_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized):
        ApiKeys("k-one").tenant_of(headers)


@pytest.mark.parametrize("listed", ["", ",", "a,,b", "a,a", "=acme", "a=", "a=.", "a=x\ny", "a=b,a=c"])
def test_lists_that_cannot_be_read(listed: str) -> None:
    with pytest.raises(BadSettings):
        ApiKeys(listed)


def test_tenants_do_not_see_each_other() -> None:
    with Http(build_api(FakeBankClient(KEYED), KEYED)) as http:
        http.post(RETAIN, json={"items": [{"content": "x y"}]}, headers=bearer("k-two"))
        listing = "/v1/default/banks/alice/memories/list"
        unit = http.get(listing, headers=bearer("k-three")).json()["items"][0]["id"]
        assert http.get(listing, headers=bearer("k-one")).json()["total"] == 0
        assert http.get("/v1/default/banks", headers=bearer("k-one")).json()["total"] == 0
        assert http.get(f"/v1/default/chunks/{unit}", headers=bearer("k-two")).status_code == 200
        assert http.get(f"/v1/default/chunks/{unit}", headers=bearer("k-one")).status_code == 404


def test_only_the_operators_paths_are_open() -> None:
    with Http(build_api(FakeBankClient(KEYED), KEYED)) as http:
        for path in ("/health", "/health/ready", "/health/live", "/version", "/metrics", "/docs", "/openapi.json"):
            assert http.get(path).status_code == 200
        for path in (STATS, "/v1/default/banks", "/nowhere", "/health/", "/health%2Fready", "/v1/_stub/recall"):
            answer = http.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_slow_answer_is_given_up_at_the_deadline() -> None:
    settings = Settings(request_timeout_s=0.05)
    banks = FakeBankClient(settings)
    banks.delay_s = 30.0
    with Http(build_api(banks, settings)) as http:
        answer = http.get(STATS)
    assert answer.status_code == 503
    assert "0.05 s" in answer.json()["detail"]


def test_a_timeout_that_is_not_the_deadline_is_an_error_of_ours(http: Http, banks: FakeBankClient) -> None:
    banks.failure = TimeoutError()
    assert http.get(STATS).status_code == 500


def test_more_than_a_replica_can_do_is_refused(http: Http, banks: FakeBankClient) -> None:
    banks.delay_s = 0.2
    asked = (("GET", f"/v1/default/banks/b{number}/stats", {}) for number in range(MAX_HANDLED + 10))
    answers = http.call_all(*asked, ("GET", "/health/live", {}))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {answer.status_code for answer in refused} == {429}
    assert len(refused) == 10
    assert_problem(refused[0])
    assert answers[-1].status_code == 200
    banks.delay_s = 0.0
    assert http.get(STATS).status_code == 200


def test_one_bank_does_not_take_the_whole_replica(http: Http, banks: FakeBankClient) -> None:
    banks.delay_s = 0.2
    flood = Settings().bank_requests + 5
    names = ("alice", "%61lice")  # the same bank, written in two ways
    asked = [("GET", f"/v1/default/banks/{names[number % 2]}/stats", {}) for number in range(flood)]
    answers = http.call_all(*asked, ("GET", "/v1/default/banks/bob/stats", {}), ("GET", "/v1/default/banks", {}))
    assert [answer.status_code for answer in answers[-2:]] == [200, 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 5
    assert "this bank" in refused[0].json()["detail"]
    assert refused[0].headers["retry-after"] == "1"
    banks.delay_s = 0.0
    assert http.get(STATS).status_code == 200
