"""Small runs of a comparison, and the files they would be stored in."""

from __future__ import annotations

from pytest_slmsec.core.identity import sha256_text
from pytest_slmsec.gates.records.benchmark_run import run_from_plain
from pytest_slmsec.tasks.registry import find_task

SCORER = f"cti-mcq/strict/{find_task('cti-mcq').version}"
"""Today's scorer, by whose name stored answers are scored again."""
MACHINE = {"cpu": "a cpu", "cpus_usable": 2, "gpu": None, "packages": {}}


def plain(right, *, model="phi3", benchmark="cti-mcq", parsed=None, quant=None, **facts):
    """Facts and columns of an accuracy benchmark from a string of bits, one an item: 1 is right.

    `parsed` is a string of bits as well (all parsed by default). Right answers say A, wrong ones B. The constant answer
    that the base is compared with is wrong on every item.
    """
    n = len(right)
    parsed = parsed or "1" * n
    said = ["A" if bit == "1" else "B" if ok == "1" else None for bit, ok in zip(right, parsed, strict=True)]
    columns = {
        "item": [f"{benchmark}-{row:05d}" for row in range(1, n + 1)],
        "sha256": [sha256_text(f"question {row}")[:16] for row in range(n)],
        "gold": ["A"] * n,
        "text": [letter or "I cannot say." for letter in said],
        "logprobs": [None] * n,
        "value": [float(bit) for bit in right],
        "parsed": [bit == "1" for bit in parsed],
        "correct": [bit == "1" for bit in right],
        "extracted": said,
        "parts": [{} for _ in range(n)],
        "prompt_tokens": [100] * n,
        "new_tokens": [5] * n,
        "hit_limit": [False] * n,
        "constant": [0.0] * n,
    }
    base = {
        "task": "cti-mcq",
        "metric": "accuracy",
        "higher_is_better": True,
        "scale": 1.0,
        "base": "phi3",
        "quant": quant,
        "mode": "strict",
        "scorer": SCORER,
        "source": "files",
        "decoding": {"max_new_tokens": 256, "stop": []},
        "by_choice": False,
        "n_expected": n,
        "score": right.count("1") / n if n else None,
        "correct_bits": right,
        "parsed_bits": parsed,
        "largest_batch": 8,
        "new_tokens": 5 * n,
        "decode_tokens_per_s": 40.0,
        "peak_rss_bytes": 2**30,
        "engine": {
            "engine": "transformers 5.23.0",
            "device": "cpu",
            "model_bytes": 7_000_000,
            "template_sha256": "c",
            "tokenizer_sha256": "t",
            "extra": {"torch": "2.13.0", "transformers": "5.23.0"},
        },
        **facts,
    }
    return base, {"benchmark": benchmark, "model": model, "items": columns}


def run(right, *, machine=MACHINE, where="run.json", **options):
    facts, group = plain(right, **options)
    return run_from_plain(facts, group, machine, where)


def content(*runs, machine=MACHINE):
    """A file of pytest-benchmark, reduced to what a comparison reads; `runs` are results of `plain`."""
    entries = [
        {"params": {"benchmark": group["benchmark"], "model": group["model"], "metric": "latency"}, "extra_info": facts}
        for facts, group in runs
    ]
    groups = [group for _, group in runs]
    return {
        "machine_info": {"slmsec": machine},
        "benchmarks": entries,
        "slmsec": {"format": 1, "version": "0", "groups": groups},
    }
