"""The verdicts of a comparison as text: a table that fits 80 columns, and plain sentences below it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_slmsec.core.wrap import WIDTH, counted, folded, shown, wrapped
from pytest_slmsec.gates.decision.decide import COMPARISON
from pytest_slmsec.gates.decision.explanations import Lack, lack, printed, sentence
from pytest_slmsec.gates.decision.group_gates import WORST_CATEGORY
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.decision.pair_gates import WIN_SHARE
from pytest_slmsec.gates.decision.score_gates import COLLAPSE
from pytest_slmsec.gates.policy.suite import Kind
from pytest_slmsec.gates.records.categories import part_of, rows_by_category
from pytest_slmsec.gates.records.flips import lost_items
from pytest_slmsec.gates.statistics.power import TYPICAL_CHURN
from pytest_slmsec.gates.statistics.result import PERCENT, POINTS, TIME, GateResult, Verdict
from pytest_slmsec.gates.statistics.sequential_design import TWO_STAGE
from pytest_slmsec.reports.gate.categories import category_tables
from pytest_slmsec.reports.gate.kinds import kind_tables
from pytest_slmsec.reports.gate.trained_on import without_training
from pytest_slmsec.reports.tables import size

NAMED_ITEMS = 5
MOST_SENTENCES = 4
MOST_ROWS = 20
"""Gates that a table shows without -v; of more it shows what decides."""
HEADINGS = ("gate", "base", "cand.", "lost/won", "drop", "bounds", "limit", "verdict")
NOTE = "(in brackets): shown, but no part of the verdict"
UNKNOWN = "-"
_METHODS = {
    "bca": "BCa bootstrap, for there are {floor} items or more; below that betting bounds take its place",
    "betting": "betting, which holds for any number of items; from {floor} items on BCa bootstrap, which is narrower",
}


def report(judgement: Judgement, width: int = WIDTH, verbose: bool = False) -> str:
    """Everything about one candidate: what was found, and the verdict last. Arguments: see `findings`."""
    return "\n".join([*findings(judgement, width, verbose), "", *verdict_lines(judgement, width)])


def verdict_lines(judgement: Judgement, width: int = WIDTH) -> list[str]:
    """``SUITE: PASS (phi3-gptq4 against phi3)``, in more than one line only where the names are long."""
    models = f"{shown(judgement.candidate)} against {shown(judgement.base)}"
    return wrapped(f"SUITE: {judgement.verdict.value} ({models})", width)


def findings(judgement: Judgement, width: int = WIDTH, verbose: bool = False) -> list[str]:
    """The lines above the verdict: heading, table, losses by category, sentences.

    Args:
        width: of the terminal, in columns.
        verbose: every gate, also where that is more than a screen holds, losses by category of every benchmark that has
            categories, not just of those judged by them, and variants by kind.
    """
    gates = list(judgement.gates) if verbose else at_a_glance(judgement)
    brief = len(gates) < len(judgement.gates)
    lines = [line for text in heading(judgement) for line in wrapped(text, width, indent=" " * 11)]
    lines += ["", *(table(judgement, gates) if gates else ())]
    remarks = [*notes(gates, methods=not brief), *_left_out(judgement, gates)]
    lines += [line for remark in remarks for line in wrapped(remark, width)]
    lines += [*category_tables(judgement, verbose), *kind_tables(judgement, verbose)]
    lines += [line for text in without_training(judgement.pairs) for line in wrapped(text, width)]
    told = [line for text in sentences(judgement, brief) for line in wrapped(f"* {text}", width)]
    return [*lines, "", *told] if told else lines


def at_a_glance(judgement: Judgement) -> list[Judged]:
    """The gates of a table that fits a screen: all of few; of many those that FAIL or raise an alarm, and the decided
    primary gates."""
    if len(judgement.gates) <= MOST_ROWS:
        return list(judgement.gates)
    bad = (Verdict.FAIL, Verdict.ERROR)
    return [
        judged for judged in judgement.gates
        if judged.result.verdict in bad
        or judgement.verdicts[judged.result.gate] in bad
        or (judged.member.primary and not judged.advisory and judged.result.verdict is Verdict.PASS)
    ]  # fmt: skip


def _left_out(judgement: Judgement, gates: Sequence[Judged]) -> list[str]:
    """A sentence on the gates that the table leaves out, where it leaves out any."""
    hidden = [judged for judged in judgement.gates if judged not in gates]
    if not hidden:
        return []
    passed = sum(judged.result.verdict is Verdict.PASS for judged in hidden)
    undecided = [judged for judged in hidden if judged.result.verdict is Verdict.INCONCLUSIVE]
    places = len({judged.benchmark for judged in undecided} - {""})
    return [f"Not shown: {counted(passed, 'gate')} that PASS, and {len(undecided):,} that could not be decided, "
            f"which is no pass, of {counted(places, 'benchmark')}. -v shows all."]  # fmt: skip


def notes(gates: Sequence[Judged], methods: bool = True) -> list[str]:
    """What has to be known to read the table: brackets, and, with `methods`, how bounds of real-valued scores were
    found."""
    found = [NOTE] if any(judged.advisory for judged in gates) else []
    for method, text in _METHODS.items() if methods else ():
        measured = [judged for judged in gates if judged.result.method == method
                    and "floor_items" in judged.result.details]  # fmt: skip
        if measured:
            floors = sorted({judged.result.details["floor_items"] for judged in measured})
            names = folded([f"{shown(judged.benchmark)} {shown(judged.what)}" for judged in measured], MOST_SENTENCES)
            found.append(f"bounds of {names}: {text.format(floor=' or '.join(f'{floor:,}' for floor in floors))}")
    return found


def heading(judgement: Judgement) -> list[str]:
    """Candidate and base with the runs they come from, and the preset."""
    scope = "" if judgement.config.scope == "population" else ", exactly these items"
    return [
        f"candidate: {shown(judgement.candidate)} ({shown(judgement.candidate_where)})",
        f"base:      {shown(judgement.base)} ({shown(judgement.base_where)})",
        f"preset:    {judgement.config.preset_name}{scope}",
    ]


def table(judgement: Judgement, gates: Sequence[Judged]) -> list[str]:
    """A line a benchmark with its number of items, and below it a line a gate."""
    rows: list[tuple[str, ...]] = []
    benchmark = None
    for judged in gates:
        if judged.benchmark != benchmark:
            benchmark = judged.benchmark
            rows.append((_title(judgement, judged),))
        rows.append(cells(judgement, judged))
    widths = [max(len(row[i]) for row in [HEADINGS, *rows] if len(row) > 1) for i in range(len(HEADINGS))]
    return [_line(row, widths) for row in [HEADINGS, *rows]]


def _title(judgement: Judgement, judged: Judged) -> str:
    if not judged.benchmark:
        return "the whole model"
    items = f", {_seen(judged.result)}" if judged.what != COMPARISON else ""
    return f"{shown(judged.benchmark)}{items}{mark(judgement, judged)}"


def mark(judgement: Judgement, judged: Judged) -> str:
    """The mark behind the name of a benchmark on which the base has nothing to lose."""
    return ", uninformative" if judged.benchmark in judgement.uninformative else ""


def _seen(r: GateResult) -> str:
    total = r.details.get("n_total", r.n)
    return counted(r.n, "item") if r.n >= total else f"{r.n:,}/{total:,} items (stopped early)"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    if len(row) == 1:
        return row[0]
    first, *middle, last = (
        cell.ljust(width) if i in (0, len(row) - 1) else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return " ".join([first, *middle, last]).rstrip()


def cells(judgement: Judgement, judged: Judged) -> tuple[str, ...]:
    """The cells of one gate, in the order of `HEADINGS`."""
    r = judged.result
    return (
        f"  {shown(judged.what)}",
        _value(judged.base, judged),
        _value(judged.candidate, judged),
        f"{r.details['lost']}/{r.details['gained']}" if "lost" in r.details else "",
        UNKNOWN if r.estimate is None else _with_unit(r.estimate, r),
        _bounds(r),
        _with_unit(r.margin, r),
        verdict_text(judgement, judged),
    )


def _value(value: float | None, judged: Judged) -> str:
    if value is None:
        return UNKNOWN
    if judged.member.kind is Kind.COST:
        return f"{value:,.1f}" if "/s" in judged.what else size(round(value))
    return _number(value, judged.result)


def _number(value: float, r: GateResult) -> str:
    decimals = 3 if "nats" in r.unit else 2
    text = f"{100 * value:.1f}" if r.unit in (POINTS, PERCENT, TIME) else f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def _drop(value: float, r: GateResult) -> str:
    """A drop of a score; of what a model costs, the change itself with its sign: -38.0 % tokens/s, +3.0 % memory."""
    if r.unit not in (PERCENT, TIME):
        return _number(value, r)
    text = _number(-printed(value, r) if r.unit == TIME else value, r)
    return f"{'' if text.startswith('-') or float(text) == 0 else '+'}{text}"


def _with_unit(value: float, r: GateResult) -> str:
    return f"{_drop(value, r)} %" if r.unit in (PERCENT, TIME) else _drop(value, r)


def _bounds(r: GateResult) -> str:
    if r.method in ("threshold", "exact") or (r.lower is None and r.upper is None):
        return ""
    low, high = (UNKNOWN if b is None else _drop(b, r) for b in (r.lower, r.upper))
    return f"{high} .. {low}" if r.unit == TIME else f"{low} .. {high}"


def verdict_text(judgement: Judgement, judged: Judged) -> str:
    """The verdict, in brackets if it does not count. An alarm is a FAIL that may be chance among so many gates."""
    counts = judgement.verdicts[judged.result.gate]
    text = "?" if counts is Verdict.INCONCLUSIVE else counts.value
    if judged.advisory:
        return f"({text})"
    return "alarm" if judged.result.verdict is not counts else text


def sentences(judgement: Judgement, brief: bool = False) -> list[str]:
    """The findings in plain words: bad news first, then undecided gates, then what is only shown.

    `brief`: of gates that PASS the table says enough, and undecided ones are counted below it.
    """
    found, remarks = list[str](), list[str]()
    left_open = _left_open(judgement)
    for wanted in (Verdict.ERROR, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS):
        chosen = [judged for judged in judgement.gates if judged.result.verdict is wanted and _speaks(judged)
                  and judged not in left_open]  # fmt: skip
        if brief and wanted in (Verdict.INCONCLUSIVE, Verdict.PASS):
            chosen = [judged for judged in chosen if judged.advisory]
        if len(chosen) > MOST_SENTENCES and wanted in (Verdict.INCONCLUSIVE, Verdict.PASS):
            found += _undecided(chosen) if wanted is Verdict.INCONCLUSIVE else [_shown_within(chosen)]
            continue
        for judged in chosen:
            (remarks if judged.advisory else found).append(tell(judgement, judged))
    found += _macro(judgement) + _open(judgement)
    undecided = sum(
        judged.result.verdict is Verdict.INCONCLUSIVE and not judged.advisory and judged not in left_open
        and judged.uninformative is None  # more items would not decide these
        for judged in judgement.gates
    )  # fmt: skip
    if undecided and not brief:
        gates = f"{undecided} gate{'s' * (undecided > 1)}"
        found.append(f'{gates} could not be decided ("?"). That is not a pass: the test was too small to tell.')
    return found + _designs(judgement) + remarks + [shown(text) for text in (*judgement.missing, *judgement.warnings)]


def _left_open(judgement: Judgement) -> list[Judged]:
    """Undecided gates of benchmarks that stopped because another gate FAILed; more items would not have helped."""
    stopped = {run.benchmark for run, design in judgement.designs if run.n < design.n_total}
    return [judged for judged in judgement.gates
            if judged.benchmark in stopped and judged.result.verdict is Verdict.INCONCLUSIVE]  # fmt: skip


def _designs(judgement: Judgement) -> list[str]:
    """A sentence on each benchmark that stopped early, or whose sample was extended."""
    found = []
    for run, design in judgement.designs:
        if run.n < design.n_total:
            left = any(judged.benchmark == run.benchmark for judged in _left_open(judgement))
            others, saved = " Its other gates were left open." * left, design.n_total - run.n
            found.append(f"{shown(run.benchmark)}: the gate needed only {run.n:,} of {design.n_total:,} items; "
                         f"{counted(saved, 'item')} saved.{others}")  # fmt: skip
        elif design.method == TWO_STAGE and len(design.interim_looks) > 1:
            sample = counted(design.interim_looks[0], "item")
            found.append(f"{shown(run.benchmark)}: a sample of {sample} did not decide, so "
                         f"all {design.n_total:,} were asked.")  # fmt: skip
    return found


def _macro(judgement: Judgement) -> list[str]:
    """The sentence on the mean drop, where there is more than one benchmark to average."""
    suite = judgement.suite
    if suite.macro is None or suite.macro_upper is None or len(judgement.benchmarks) == 1:
        return []
    limit = f"{100 * judgement.config.suite.macro:.3g} points are allowed"
    over = f"Over all benchmarks of {judgement.config.suite.required_min_items} items or more the mean drop is"
    bound = f"at most {100 * suite.macro_upper:.1f} points (95 % sure)"
    if suite.macro_lower is not None and suite.macro_lower > judgement.config.suite.macro:
        bound = f"at least {100 * suite.macro_lower:.1f} points (97.5 % sure)"
    return [f"{over} {100 * suite.macro:.1f} points and {bound}; {limit}."]


def _open(judgement: Judgement) -> list[str]:
    """What keeps a suite of several benchmarks from PASS, where it is undecided."""
    if judgement.verdict is not Verdict.INCONCLUSIVE or len(judgement.benchmarks) == 1:
        return []
    return [f"The suite is undecided: {folded(suite_reasons(judgement), MOST_SENTENCES, '; ')}."]


def suite_reasons(judgement: Judgement) -> list[str]:
    """What decided the suite, without full stops; gates with the same reason share one."""
    gates: dict[str, list[str]] = {}
    for text in judgement.suite.reasons:
        name, colon, why = text.rstrip(".").partition(": ")
        if colon:
            gates.setdefault(why, []).append(name)
        else:
            gates.setdefault(name, [])
    return [shown(f"{folded(names, MOST_SENTENCES)}: {why}" if names else why) for why, names in gates.items()]


def _shown_within(gates: Sequence[Judged]) -> str:
    return f"Shown to be within its limit: {folded([_name(judged) for judged in gates], MOST_SENTENCES)}."


def _undecided(gates: Sequence[Judged]) -> list[str]:
    """A sentence for each reason why gates are undecided: how many, some names, and what their numbers assume."""
    reasons: dict[Lack, list[Judged]] = {}
    for judged in gates:
        reasons.setdefault(lack(judged.result), []).append(judged)
    found = []
    for why, those in sorted(reasons.items(), key=lambda pair: list(Lack).index(pair[0])):
        names, benchmarks = _named_by_benchmark(those, why), len({judged.benchmark for judged in those})
        places = f" of {benchmarks:,} benchmarks" if 1 < benchmarks < len(those) else ""
        many = f"{len(those):,} gate{'s' * (len(those) > 1)}{places}"
        found.append(f"Not decided, {why.value}: {many}: {folded(names, MOST_SENTENCES)}.")
    if any(why in _COUNTED for why in reasons):
        found.append(_ASSUMED)
    return found


_COUNTED = (Lack.FLOOR, Lack.ITEMS)
_ASSUMED = (
    "The numbers needed hold if drop and changed answers stay as measured here; `slmsec plan` assumes no drop, and "
    f"that {100 * TYPICAL_CHURN:g} % change. --slmsec-json (`slmsec compare --json`) writes those of every gate."
)


def _named_by_benchmark(gates: Sequence[Judged], why: Lack) -> list[str]:
    """The gates by name, those of one benchmark with the same numbers as one."""
    found: dict[tuple[str, str], list[Judged]] = {}
    for judged in gates:
        found.setdefault((judged.benchmark, _numbers(judged.result) if why in _COUNTED else ""), []).append(judged)
    return [
        (_name(those[0]) if len(those) == 1 else shown(benchmark)) + numbers
        for (benchmark, numbers), those in found.items()
    ]


def _numbers(r: GateResult) -> str:
    need = r.details.get("items_needed") or 0
    return f" ({counted(r.n, 'item')}; needs about {need:,})" if need > r.n else f" ({counted(r.n, 'item')})"


def _name(judged: Judged) -> str:
    return f"{shown(judged.benchmark)} {shown(judged.what)}".strip()


def _speaks(judged: Judged) -> bool:
    """Whether a gate gets a sentence of its own: always if it is bad news; if it is undecided, where it counts, and of
    a judge, who may not be trusted; otherwise only the primary one."""
    if judged.result.verdict in (Verdict.FAIL, Verdict.ERROR) or judged.member.kind is Kind.FIDELITY:
        return True
    if judged.result.verdict is Verdict.INCONCLUSIVE:
        return not judged.advisory or judged.what == WIN_SHARE
    return judged.member.primary


def tell(judgement: Judgement, judged: Judged) -> str:
    """One gate in plain words, with the first lost items where it FAILs."""
    r, name = judged.result, shown(f"{judged.benchmark} ({judged.what})" if judged.benchmark else judged.what)
    if r.verdict is Verdict.ERROR:
        reasons = " ".join(map(shown, r.reasons))
        return reasons if judged.what == COMPARISON else f"{name} cannot be compared. {reasons}"
    if judged.what == COLLAPSE and r.verdict is Verdict.FAIL:
        return _collapsed(judged)
    text = shown(sentence(r, name, 1 - judgement.config.alpha))
    if r.verdict is Verdict.FAIL and judgement.verdicts[r.gate] is not Verdict.FAIL:
        text += (f" Among {len(judgement.suite.p_holm)} gates such an alarm is no proof (Holm p = "
                 f"{judgement.suite.p_holm[r.gate]:.2g}); it only keeps the suite from PASS.")  # fmt: skip
    if judged.trips:
        text += " The model changed more than its recipe ever did; run the full accuracy gates."
    lost = _lost(judgement, judged) if r.verdict is Verdict.FAIL else []
    return f"{text} Look at {', '.join(map(shown, lost))}." if lost else text


def _lost(judgement: Judgement, judged: Judged) -> list[str]:
    if judged.member.kind is not Kind.SCORE:
        return []
    pairs = [pair for pair in judgement.pairs if pair.base.benchmark == judged.benchmark]
    if judged.what == WORST_CATEGORY:
        pairs = [part_of(pair, rows_by_category(pair)[judged.result.details["worst"]]) for pair in pairs]
    return [item for pair in pairs for item in lost_items(pair, NAMED_ITEMS)]


def _collapsed(judged: Judged) -> str:
    answer, n = shown(judged.result.details["answer"]), judged.result.n
    candidate, base = (round(n * (share or 0)) for share in (judged.candidate, judged.base))
    return (
        f"On {shown(judged.benchmark)} the candidate answers {answer} in {candidate:,} of {counted(n, 'item')}, "
        f"the base in {base:,}: it falls back on one answer."
    )
