"""Recall in languages whose questions no rule of ours understands: no worse than plain hybrid search, and useful."""

from pathlib import Path

import pytest

from loadtests.real_banks import fill_turns
from memory.ids import Scope
from memory.query import understand
from memory.recall import RecallQuery, answer, plan_candidates
from memory.recipes import DEFAULT, HYBRID
from providers.factory import ProviderSettings, build_embedder, default_cache_dir
from storage.edge_store import EdgeStore
from storage.run import run
from tests.support.engine_shard import EngineShard

GERMAN = (
    ("Anna", "Ich habe gestern endlich den Mietvertrag für die Wohnung in Leipzig unterschrieben."),
    ("Jonas", "Glückwunsch! Wann ziehst du um?"),
    ("Anna", "Am ersten März. Der Umzugswagen ist schon bestellt, er kostet 180 Euro."),
    ("Jonas", "Mein Fahrrad ist kaputt, die Kette ist gerissen."),
    ("Anna", "Bring es doch zu Herrn Kowalski in der Gartenstraße, der repariert alles."),
    ("Jonas", "Meine Schwester hat eine Katze aus dem Tierheim geholt, sie heißt Minka."),
    ("Anna", "Ich lerne seit zwei Monaten Klavier und übe jeden Abend eine halbe Stunde."),
    ("Jonas", "Der Arzt sagt, ich vertrage keine Haselnüsse mehr."),
    ("Anna", "Dann backe ich dir einen Kuchen mit Mandeln."),
    ("Jonas", "Nächste Woche fliege ich nach Lissabon zu einer Konferenz über Windkraft."),
    ("Anna", "Mein Vater hat im Keller alte Schallplatten gefunden, vor allem Jazz."),
    ("Jonas", "Im Schrebergarten wachsen dieses Jahr nur die Zucchini."),
)
GERMAN_QUESTIONS = (
    ("In welcher Stadt liegt die neue Wohnung?", 0),
    ("Wie viel kostet der Umzugswagen?", 2),
    ("Was ist mit dem Fahrrad passiert?", 3),
    ("Wer repariert Fahrräder in der Gartenstraße?", 4),
    ("Wie heißt die Katze?", 5),
    ("Welches Instrument lernt Anna?", 6),
    ("Welche Nüsse verträgt Jonas nicht?", 7),
    ("Wohin fliegt Jonas zur Konferenz?", 9),
    ("Wo waren die alten Schallplatten?", 10),
    ("Was wächst im Schrebergarten?", 11),
)
JAPANESE = (
    ("由美", "昨日、京都で友達と寿司を食べました。"),
    ("健太", "いいですね。何という店でしたか。"),
    ("由美", "錦市場の近くの松風という店です。"),
    ("健太", "来月から大阪の会社で働くことになりました。"),
    ("由美", "私は毎朝公園で五キロ走っています。"),
    ("健太", "妹が白い犬を飼い始めて、名前はモモです。"),
    ("由美", "母の誕生日に赤い傘を買いました。"),
    ("健太", "週末に古いカメラを修理に出しました。"),
    ("由美", "牛乳を飲むとお腹が痛くなります。"),
    ("健太", "夏休みに北海道で星を見る予定です。"),
    ("由美", "図書館で借りた歴史の本を返し忘れました。"),
    ("健太", "新しい電車の定期券は一万二千円でした。"),
)
JAPANESE_QUESTIONS = (
    ("京都で何を食べましたか", 0),
    ("錦市場の近くの店の名前は", 2),
    ("大阪の会社でいつから働きますか", 3),
    ("毎朝公園で何キロ走りますか", 4),
    ("犬の名前は何ですか", 5),
    ("母の誕生日に何を買いましたか", 6),
    ("修理に出したのは何ですか", 7),
    ("牛乳を飲むとどうなりますか", 8),
    ("北海道で何を見る予定ですか", 9),
    ("図書館で借りた本は", 10),
    ("定期券はいくらでしたか", 11),
)
FIRST = 3


@pytest.fixture(scope="module")
def embedder():
    return build_embedder(ProviderSettings(cache_dir=default_cache_dir(Path.home(), None), token_vectors=True))


@pytest.mark.parametrize(
    ("turns", "questions", "least"),
    [(GERMAN, GERMAN_QUESTIONS, 8), (JAPANESE, JAPANESE_QUESTIONS, 9)],
    ids=["German", "Japanese"],
)
def test_other_languages_find_no_less_than_hybrid_search(tmp_path, embedder, turns, questions, least):
    store = EdgeStore(tmp_path, embedder.dim)
    try:
        scope = Scope("t", "b")
        made = embedder.embed_with_tokens([text for _, text in turns])
        fill_turns(EngineShard(store), scope, [(who, text, one) for (who, text), one in zip(turns, made, strict=True)])
        found = dict.fromkeys((HYBRID.name, DEFAULT.name), 0)
        for question, place in questions:
            understood = understand(question, {who for who, _ in turns})
            (embedded,) = embedder.embed_with_tokens([understood.bare])
            query = RecallQuery(question, limit=FIRST)
            for recipe in (HYBRID, DEFAULT):
                candidates = run(store, scope, plan_candidates(query, understood, embedded, recipe))
                results = answer(query, understood, candidates, recipe).results
                found[recipe.name] += turns[place][1] in [result.payload["text"] for result in results]
        assert found[DEFAULT.name] >= max(found[HYBRID.name], least), found
    finally:
        store.close()
