"""ray_cluster.yaml is what Ray's own validator accepts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

CLUSTER_FILE = Path(__file__).resolve().parents[2] / "ray_cluster.yaml"


def validate(config: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(config))


def test_ray_accepts_the_cluster_file() -> None:
    validate(yaml.safe_load(CLUSTER_FILE.read_text()))


def test_the_validator_refuses_an_unknown_key() -> None:
    import jsonschema

    with pytest.raises(jsonschema.ValidationError):
        validate({**yaml.safe_load(CLUSTER_FILE.read_text()), "no_such_key": 1})
