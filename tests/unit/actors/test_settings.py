import pickle
from pathlib import Path

import pytest

from actors.settings import load_settings
from memory.errors import BadSettings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> Path:
    """A working directory without a lorebank.toml."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_keyword_precedes_the_environment_and_that_the_file(elsewhere, monkeypatch):
    (elsewhere / "lorebank.toml").write_text("port = 1\nreplicas = 7\nbank_hosts = 5\n")
    monkeypatch.setenv("LOREBANK_PORT", "2")
    monkeypatch.setenv("LOREBANK_REPLICAS", "8")
    settings = load_settings(port=3)
    assert (settings.port, settings.replicas, settings.bank_hosts) == (3, 8, 5)


def test_a_keyword_that_is_none_counts_as_absent(monkeypatch):
    monkeypatch.setenv("LOREBANK_PORT", "2")
    assert load_settings(port=None).port == 2


def test_directories_are_absolute_whatever_the_working_directory_becomes(elsewhere):
    assert load_settings(data="some/where").data == elsewhere / "some" / "where"
    assert load_settings(data="~/x").data == Path.home() / "x"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"port": 70_000}, "port"),
        ({"storage_shards": 0}, "storage_shards"),
        ({"flush_interval_s": 0}, "flush_interval_s"),
        ({"durability": "none"}, "durability"),
        ({"embedder": "http"}, "LOREBANK_EMBEDDING_BASE_URL"),
        ({"embedding_base_url": "http://127.0.0.1:1"}, "LOREBANK_EMBEDDING_MODEL"),
        ({"qdrant_url": "127.0.0.1:6333"}, "LOREBANK_QDRANT_URL"),
        ({"llm_base_url": "http://127.0.0.1:1/v1"}, "LOREBANK_LLM_MODEL"),
        ({"llm_model": "m"}, "LOREBANK_LLM_BASE_URL"),
        ({"llm_base_url": "127.0.0.1:1", "llm_model": "m"}, "LOREBANK_LLM_BASE_URL"),
        ({"llm_base_url": "http://u:p@h/v1", "llm_model": "m"}, "LOREBANK_LLM_API_KEY"),
        ({"llm_base_url": "http://h/v1", "llm_model": "m", "llm_api_key": "two words"}, "LOREBANK_LLM_API_KEY"),
        ({"llm_call_s": 100, "llm_deadline_s": 10}, "llm_deadline_s"),
        ({"qdrant_url": "http://127.0.0.1:1", "durability": "disk"}, "durability"),
        (
            {"qdrant_url": "http://127.0.0.1:1", "qdrant_replication_factor": 2, "qdrant_write_consistency_factor": 3},
            "qdrant_write_consistency_factor",
        ),
        ({"qdrant_prefix": "../other"}, "qdrant_prefix"),
        ({"qdrant_read_consistency": "some"}, "qdrant_read_consistency"),
    ],
)
def test_a_setting_that_cannot_be_is_named(given, named):
    with pytest.raises(BadSettings, match=named):
        load_settings(**given)


def test_every_setting_that_cannot_be_is_named_at_once():
    with pytest.raises(BadSettings, match=r"port: .*; replicas: "):
        load_settings(port=-1, replicas=0)


def test_an_endpoint_chooses_the_http_embedder():
    settings = load_settings(embedding_base_url="http://127.0.0.1:1", embedding_model="m")
    assert settings.embedder == "http"
    assert load_settings(embedder="hash", embedding_base_url="http://127.0.0.1:1").embedder == "hash"


def test_secrets_are_not_shown_and_survive_pickling():
    settings = pickle.loads(pickle.dumps(load_settings(api_keys="k1=t1,k2", embedding_api_key="sk-secret")))
    assert "k1" not in repr(settings)
    assert "sk-secret" not in str(settings)
    assert settings.api_keys.get_secret_value() == "k1=t1,k2"


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1
