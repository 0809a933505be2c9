"""Print the false-FAIL and false-PASS rates of the binary gate, by exact enumeration (deterministic).

python tests/statistics/rates.py
"""

from __future__ import annotations

from pytest_slmsec.gates.statistics.power import rates_at

SIZES = (100, 378, 1000)
CHURNS = (0.0, 0.01, 0.03, 0.06, 0.12, 0.25)
MARGIN = 0.02


def table() -> str:
    """Rates in percent. At a true drop of exactly the margin both PASS and FAIL are wrong."""
    head = (
        "items  churn   at the margin (2 pt)      no drop               drop 5 pt\n"
        "               false PASS  false FAIL    PASS  false FAIL      FAIL  false PASS"
    )
    rows = [head]
    for n in SIZES:
        for churn in CHURNS:
            edge, same, worse = (rates_at(n, drop, churn, MARGIN) for drop in (MARGIN, 0.0, 0.05))
            rows.append(
                f"{n:5d}  {100 * churn:4.0f} %   {100 * edge.passed:9.2f}  {100 * edge.failed:10.2f}  "
                f"{100 * same.passed:6.1f}  {100 * same.failed:10.3f}    {100 * worse.failed:6.1f}  "
                f"{100 * worse.passed:10.4f}"
            )
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
