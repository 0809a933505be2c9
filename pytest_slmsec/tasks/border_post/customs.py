"""Questions about duties: an invented table of allowances, what travellers carry, and the sum they owe."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import inf
from typing import Any

from pytest_slmsec.tasks.border_post.asked import REMEDY, Asked, whole_number
from pytest_slmsec.tasks.records import Record
from pytest_slmsec.tasks.tsv import shown

FREE_FROM_AGE, COLLECTED_FROM = 17, 5
FOR_ADULTS = ("cigarettes", "spirits")


def duty(table: Sequence[dict[str, Any]], carried: dict[str, int], age: int, travellers: int) -> Decimal:
    """The duty in crowns: for each sort of goods what exceeds the allowance of all travellers, times its rate."""
    total = Decimal(0)
    for entry in table:
        nothing_free = age < FREE_FROM_AGE and entry["goods"] in FOR_ADULTS
        free = 0 if nothing_free else entry["free"] * travellers
        total += max(0, carried[entry["goods"]] - free) * Decimal(str(entry["duty"]))
    return total if total >= COLLECTED_FROM else Decimal(0)


def customs_question(row: Record) -> Asked:
    """A row `{table: [{goods, unit, free, duty}], carried: {goods: number}, age, travellers}`."""
    table = [_tariff(row, place) for place in range(len(row.at("table")))]
    if not table:
        row.bad("the table is empty", "table", remedy=REMEDY)
    unknown = sorted({*row.at("carried")} - {entry["goods"] for entry in table})
    if unknown:
        row.bad(f"the table has no duty on {shown(unknown[0])}", "carried", remedy=REMEDY)
    carried = {entry["goods"]: whole_number(row, 0, "carried", entry["goods"]) for entry in table}
    age, travellers = whole_number(row, 0, "age"), whole_number(row, 1, "travellers")
    rates = "\n".join(f"{entry['goods']} | {entry['free']} {entry['unit']} | {entry['duty']}" for entry in table)
    goods = ", ".join(f"{carried[entry['goods']]} {entry['unit']} of {entry['goods']}" for entry in table)
    who = "One traveller" if travellers == 1 else f"{travellers} travellers, each"
    prompt = (f"Goods | free for each traveller | duty on each further unit, in crowns\n{rates}\n\nTravellers below "
              f"{FREE_FROM_AGE} have no free {' or '.join(FOR_ADULTS)}. Travellers who come together add up their "
              f"allowances. A total below {COLLECTED_FROM} crowns is not collected: the duty is then 0.\n\n"
              f"{who} aged {age}, with {goods}. What is the duty in crowns? End with a line that holds only the "
              "number.")  # fmt: skip
    gold = duty(table, carried, age, travellers)
    return Asked(prompt, str(gold), {"category": "free" if gold == 0 else "to pay"})


def _tariff(row: Record, place: int) -> dict[str, Any]:
    free, rate = whole_number(row, 0, "table", place, "free"), row.at("table", place, "duty")
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < inf:
        row.bad(f"{shown(str(rate))} is no rate", "table", place, "duty", remedy=REMEDY)
    return {"goods": row.text("table", place, "goods"), "unit": row.text("table", place, "unit"), "free": free,
            "duty": rate}  # fmt: skip
