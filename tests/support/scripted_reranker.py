"""Answers of a rerank service: a text scores by the words it shares with the query."""

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.scripted_embeddings import send


def score(query: str, text: str) -> float:
    words = set(query.lower().split())
    return len(words & set(text.lower().split())) / (len(words) + 1)


def tei(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
    """Best first, as the service answers: the index counts, not the order."""
    rows = [{"index": n, "score": score(request["query"], text)} for n, text in enumerate(request["texts"])]
    send(handler, 200, json.dumps(sorted(rows, key=lambda row: -row["score"])).encode())


def cohere(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
    texts = request["documents"]
    rows = [{"index": n, "relevance_score": score(request["query"], text)} for n, text in enumerate(texts)]
    body = {"id": "x", "results": sorted(rows, key=lambda row: -row["relevance_score"])[: request["top_n"]]}
    send(handler, 200, json.dumps(body).encode())


def preferring(word: str) -> Any:
    """A service that likes texts with a word, and nothing else."""

    def answer(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        rows = [{"index": n, "score": float(word in text)} for n, text in enumerate(request["texts"])]
        send(handler, 200, json.dumps(rows).encode())

    return answer
