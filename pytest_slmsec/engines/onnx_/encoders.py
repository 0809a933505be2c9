"""The engine for encoders exported to ONNX: the scorers of `engines.encoders` on an exported graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from pytest_slmsec.engines.common.base import EngineInfo
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.encoders.engine import EncoderEngine
from pytest_slmsec.engines.encoders.kinds import Kind
from pytest_slmsec.engines.encoders.network import Encoder, Row
from pytest_slmsec.engines.encoders.texts import Texts
from pytest_slmsec.engines.encoders.weights import make_scorer, readable_tokens
from pytest_slmsec.engines.onnx_.graph import Graph
from pytest_slmsec.engines.prompting.without_embedding import WithoutEmbedding

OUTPUTS = {Kind.MASKED: "logits", Kind.DISCRIMINATOR: "logits", Kind.EMBEDDING: "last_hidden_state"}


class OnnxEncoder(Encoder):
    """Feeds a graph, one row at a time, and returns its outputs in the form of a model of transformers."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._output = OUTPUTS[Kind(graph.facts.kind)]
        self.device = torch.device("cpu")

    def feed(self, rows: Sequence[Row], read: Callable[[Any, Tensor, Sequence[int]], Sequence[Any]]) -> list[Any]:
        """See `Encoder.feed`."""
        return [read(*self._forward([row]), [number])[0] for number, row in enumerate(rows)]

    def logits_at(self, rows: Sequence[Row], positions: Sequence[int], read: Callable[[Tensor, int], Any]) -> list[Any]:
        """See `Encoder.logits_at`."""
        found = []
        for number, (row, position) in enumerate(zip(rows, positions, strict=True)):
            logits = self._graph.run(input_ids=[row], attention_mask=[[1] * len(row)], places=[position])
            found.append(read(logits[0, 0], number))
        return found

    def _forward(self, rows: Sequence[Row]) -> tuple[Any, Tensor]:
        (row,) = rows
        mask = [[1] * len(row)]
        output = self._graph.run(input_ids=[row], attention_mask=mask)
        return SimpleNamespace(**{self._output: output}), torch.tensor(mask)


def encoder_engine(
    directory: Path, graph: Graph, config: Any, tokenizer: Any, info: EngineInfo, settings: EngineSettings
) -> EncoderEngine:
    """The engine for an exported encoder.

    Raises:
        ModelError: the tokenizer has no mask token, or the files on pooling cannot be used.
    """
    encoder, kind = OnnxEncoder(graph), Kind(graph.facts.kind)
    scorer, max_tokens = make_scorer(kind, directory, encoder, Texts(tokenizer))
    info = replace(
        info,
        engine=f"{info.engine}, {scorer.name}",
        context_tokens=readable_tokens(config, info.context_tokens, max_tokens),
        extra={**info.extra, "kind": kind.value, "choice_scores": scorer.name},
    )
    embedded = getattr(config, "vocab_size", None)
    return EncoderEngine(encoder, scorer, info, settings, WithoutEmbedding(tokenizer, embedded))
