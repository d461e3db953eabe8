"""Embeds texts with all-MiniLM-L6-v2 on onnxruntime, on the CPU."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from memory.errors import ModelUnusable
from memory.records import Embedding
from providers.minilm_tokenizer import load_wordpiece
from providers.texts import well_formed
from providers.token_vectors import TokenPacker, load_projection
from providers.vectors import unit_rows

MAX_TOKENS = 256
"""Tokens of a text that count, special ones included; the model was trained with so many."""

_NO_VECTOR = np.empty(0, dtype=np.float32)
_BATCH_TEXTS = 32
_BATCH_TOKENS = 512  # padding included; larger passes leave the processor's cache: 32 long texts took 1.7 times as long
_CALL_TOKENS = 6  # what a pass costs besides its tokens, in tokens: 0.5 ms where 28 tokens take 3.2 ms


class OnnxEmbedder:
    """Sentence vectors of a graph from `minilm_graph`. Implements memory.ports.Embedder; safe to share between threads.

    Each call runs in its caller's thread: parallelism comes from calling from several.

    Raises:
        ModelUnusable: the graph or the tokenizer cannot be loaded.
    """

    def __init__(self, graph: Path, tokenizer: Path, *, name: str, tokens: bool = False) -> None:
        """tokens: the graph has token vectors, too."""
        self._name = name
        self._wordpiece = load_wordpiece(tokenizer)
        self._wordpiece.enable_truncation(MAX_TOKENS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take the cores from everything else in the process.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors only: they are raised as well
        try:
            # By path: a session made of bytes keeps them, 58 MB more.
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # onnxruntime raises a dozen unrelated classes
            raise ModelUnusable(f"{name}: onnxruntime cannot load {graph} ({exc})") from exc
        self._dim = int(self._session.get_outputs()[0].shape[1])
        self._packer = TokenPacker(self.vocabulary, load_projection()) if tokens else None

    @property
    def name(self) -> str:
        """Model and precision, e.g. "all-MiniLM-L6-v2/int8"."""
        return self._name

    @property
    def dim(self) -> int:
        """Length of each vector: 384."""
        return self._dim

    @property
    def vocabulary(self) -> dict[str, int]:
        """Word pieces and their ids."""
        return dict(self._wordpiece.get_vocab())

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Sentence vectors, float32, (n_texts, dim), rows L2-normalised, in the order given.

        A text's vector does not depend on its neighbours beyond float32 rounding (1e-6). Tokens after the first 256
        are not seen.

        Raises:
            ModelUnusable: the model fails or answers with something that is no finite vector.
        """
        vectors = np.empty((len(texts), self._dim), dtype=np.float32)
        for batch, _, (sentences, *_) in self._passes(texts, ["sentence"]):
            vectors[batch] = sentences
        return vectors

    def embed_with_tokens(self, texts: Sequence[str]) -> list[Embedding]:
        """As embed, with the packed token vectors of the same pass, where the graph has them.

        Raises:
            ModelUnusable: as embed.
        """
        if self._packer is None:
            return [Embedding(vector) for vector in self.embed(texts)]
        made: list[Embedding] = [Embedding(_NO_VECTOR)] * len(texts)
        for batch, encoded, (sentences, tokens) in self._passes(texts, ["sentence", "token_vectors"]):
            for index, ids, sentence, vectors in zip(batch, encoded, sentences, tokens, strict=True):
                made[index] = Embedding(sentence, self._packer.pack(ids, vectors))
        return made

    def token_vectors(self, texts: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        """Of each text, in no order: its tokens' vectors, special ones included; float32, (n_tokens, dim)."""
        for _, encoded, (_, tokens) in self._passes(texts, ["sentence", "token_vectors"]):
            for ids, vectors in zip(encoded, tokens, strict=True):
                yield vectors[: len(ids)]

    def _passes(
        self, texts: Sequence[str], outputs: list[str]
    ) -> Iterator[tuple[list[int], list[list[int]], list[NDArray[np.float32]]]]:
        """Each pass: which texts, their token ids, and the outputs asked for, the sentence vectors first."""
        encoded = [self._wordpiece.encode(text).ids for text in well_formed(texts)]
        for batch in batches_by_length([len(ids) for ids in encoded]):
            ids = [encoded[index] for index in batch]
            yield batch, ids, self._forward(ids, outputs)

    def _forward(self, encoded: Sequence[Sequence[int]], outputs: list[str]) -> list[NDArray[np.float32]]:
        longest = max(len(ids) for ids in encoded)
        input_ids = np.zeros((len(encoded), longest), dtype=np.int64)
        attention_mask = np.zeros_like(input_ids)
        for row, ids in enumerate(encoded):
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
        try:
            answer, *more = self._session.run(outputs, {"input_ids": input_ids, "attention_mask": attention_mask})
        except Exception as exc:  # onnxruntime raises a dozen unrelated classes
            raise ModelUnusable(f"{self._name}: the graph failed on shape {input_ids.shape} ({exc})") from exc
        return [unit_rows(answer, len(encoded), self._dim, self._name), *more]


def batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indexes of all texts, shortest first, in the batches that cost least.

    A batch costs its padded tokens plus _CALL_TOKENS, and holds at most 32 texts and 512 padded tokens (one text
    always fits). The cheapest cut of the sorted texts is found by dynamic programming.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    cost = [0]
    start_of = [0]
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        most = max(1, min(_BATCH_TEXTS, _BATCH_TOKENS // max(1, longest)))
        best = min(
            (cost[end - count] + _CALL_TOKENS + count * longest, end - count) for count in range(1, min(most, end) + 1)
        )
        cost.append(best[0])
        start_of.append(best[1])
    cuts = [len(order)]
    while cuts[-1] > 0:
        cuts.append(start_of[cuts[-1]])
    cuts.reverse()
    for start, end in pairwise(cuts):
        yield order[start:end]
