"""A small dialogue ranked by several recipes in this process, with a cheap embedder."""

from io import StringIO

from rich.console import Console

from loadtests.ablation import COMPARED, Models, measure, print_means
from loadtests.scoring import METRICS
from memory.recipes import ABLATIONS
from providers.hash_embedder import HashEmbedder
from tests.support.bank_process import WordCounter


def test_every_recipe_is_scored_over_the_questions_that_have_answers(dialogue_file):
    recipes = (*COMPARED, *ABLATIONS)
    means = measure(dialogue_file, Models(HashEmbedder(64), WordCounter()), recipes)
    assert list(means) == [recipe.name for recipe in recipes]
    for groups in means.values():
        assert groups.keys() == {"all", "1", "4"}
        assert groups["all"].keys() == METRICS.keys()
        assert groups["all"]["R@10"] == 1.0  # each dialogue has fewer turns than ten
    console = Console(width=160, file=StringIO())
    print_means(dialogue_file, means, console)
    printed = console.file.getvalue()
    assert all(name in printed for name in means)
