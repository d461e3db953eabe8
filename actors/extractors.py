"""Who finds the facts of a deployment, as its processes ask them."""

from actors.language_model import RemoteExtractor
from actors.settings import Settings
from actors.tasks import TaskExtractor
from actors.wiring import build_extractor
from memory.extraction.port import Extractor


def stage_extractor(settings: Settings) -> Extractor:
    """For the stage: the language model where there is one and rules were not asked for, else rules in Ray tasks."""
    return RemoteExtractor(settings) if asks_model(settings) else TaskExtractor()


def preview_extractor(settings: Settings) -> Extractor:
    """For one short text: the same, the rules in this process."""
    return RemoteExtractor(settings) if asks_model(settings) else build_extractor()


def asks_model(settings: Settings) -> bool:
    """Whether a language model finds the facts."""
    return settings.extraction == "auto" and bool(settings.llm_base_url)
