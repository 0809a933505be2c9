"""Six general tasks of lm-evaluation-harness, scored as it scores them: they say whether a quantisation has hurt what a
model knew beside security. Definitions, few-shot examples, filters and metrics come from the package `lm_eval`.

arc_challenge: Clark et al. 2018 (arXiv 1803.05457). hellaswag: Zellers et al. 2019 (arXiv 1905.07830). winogrande:
Sakaguchi et al. 2020 (arXiv 1907.10641). gsm8k: Cobbe et al. 2021 (arXiv 2110.14168), 5 examples.
mmlu_elementary_mathematics: Hendrycks et al. 2021 (arXiv 2009.03300). truthfulqa_mc2: Lin et al. 2022 (arXiv
2109.07958).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_slmsec.scoring.metrics import ACC, ACC_NORM, EXACT_MATCH, MC2
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import modal_gold
from pytest_slmsec.tasks.harness.definition import Definition
from pytest_slmsec.tasks.harness.task import harness_task


def true_answers(document: Mapping[str, Any]) -> Sequence[int]:
    """Which answers of a TruthfulQA question are true."""
    return [place for place, label in enumerate(document["mc2_targets"]["labels"]) if label == 1]


TASKS: tuple[Task, ...] = (
    harness_task(
        Definition(
            "arc_challenge", "arc/arc_challenge.yaml", "test", "acc_norm", config="ARC-Challenge",
            fields={"question": str, "choices": dict, "answerKey": str},
        ),
        ACC_NORM, 1172, "allenai/ai2_arc", "210d026faf9955653af8916fad021475a3f00453", modal_gold,
    ),
    harness_task(
        Definition(
            "hellaswag", "hellaswag/hellaswag.yaml", "validation", "acc_norm",
            fields={"activity_label": str, "ctx_a": str, "ctx_b": str, "endings": list, "label": str},
        ),
        ACC_NORM, 10042, "Rowan/hellaswag", "218ec52e09a7e7462a5400043bb9a69a41d06b76", modal_gold,
    ),
    harness_task(
        Definition(
            "winogrande", "winogrande/default.yaml", "validation", "acc", config="winogrande_xl",
            fields={"sentence": str, "option1": str, "option2": str, "answer": str},
        ),
        ACC, 1267, "allenai/winogrande", "01e74176c63542e6b0bcb004dcdea22d94fb67b5", modal_gold,
    ),
    harness_task(
        Definition(
            "gsm8k", "gsm8k/gsm8k.yaml", "test", "exact_match,strict-match", shots_split="train", config="main",
            fields={"question": str, "answer": str},
        ),
        EXACT_MATCH, 1319, "openai/gsm8k", "740312add88f781978c0658806c59bc2815b9866", generates=True,
    ),
    harness_task(
        Definition(
            "mmlu_elementary_mathematics", "mmlu/default/mmlu_elementary_mathematics.yaml", "test", "acc",
            config="elementary_mathematics", fields={"question": str, "choices": list, "answer": int},
        ),
        ACC, 378, "cais/mmlu", "c30699e8356da336a370243923dbaf21066bb9fe", modal_gold,
    ),
    harness_task(
        Definition(
            "truthfulqa_mc2", "truthfulqa/truthfulqa_mc2.yaml", "validation", "acc", config="multiple_choice",
            fields={"question": str, "mc1_targets": dict, "mc2_targets": dict}, golds=true_answers,
        ),
        MC2, 817, "truthfulqa/truthful_qa", "741b8276f2d1982aa3d5b832d3ee81ed3b896490",
    ),
)  # fmt: skip
