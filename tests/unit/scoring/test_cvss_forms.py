"""The CVSS vector that an answer states, in the forms that models write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.scoring.cvss import METRICS, strict_vector

STATED, OTHER = "AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
# {V}: the vector that is meant, {H}: another one.
FORMS = (
    '{V}',
    'CVSS:3.1/{V}',
    'CVSS: 3.1/{V}',
    'CVSS:4.0/{V}',
    'CVSS v3.1: {V}',
    '**CVSS:3.1/{V}**',
    '`{V}`',
    '\\boxed{{{V}}}',
    '{V}<|im_end|>',
    '{{"vector": "CVSS:3.1/{V}"}}',
    '{{"cvss_vector": "{V}", "score": 8.8}}',
    '{{"AV":"N","AC":"L","PR":"N","UI":"R","S":"U","C":"H","I":"H","A":"H"}}',
    'AV: N/AC: L/PR: N/UI: R/S: U/C: H/I: H/A: H',
    'AV:N / AC:L / PR:N / UI:R / S:U / C:H / I:H / A:H',
    'AV:N, AC:L, PR:N, UI:R, S:U, C:H, I:H, A:H',
    'AV:N AC:L PR:N UI:R S:U C:H I:H A:H',
    'AV:N\\/AC:L\\/PR:N\\/UI:R\\/S:U\\/C:H\\/I:H\\/A:H',
    'AV\\:N/AC\\:L/PR\\:N/UI\\:R/S\\:U/C\\:H/I\\:H/A\\:H',
    'AV:N%2FAC:L%2FPR:N%2FUI:R%2FS:U%2FC:H%2FI:H%2FA:H',
    'ＡＶ：Ｎ／ＡＣ：Ｌ／ＰＲ：Ｎ／ＵＩ：Ｒ／Ｓ：Ｕ／Ｃ：Ｈ／Ｉ：Ｈ／Ａ：Ｈ',
    'AV:Network/AC:Low/PR:None/UI:Required/S:Unchanged/C:High/I:High/A:High',
    'AV:N/AC:Low/PR:None/UI:R/S:U/C:High/I:High/A:H',
    'Attack Vector: Network, Attack Complexity: Low, Privileges Required: None, User Interaction: Required, '
    'Scope: Unchanged, Confidentiality: High, Integrity: High, Availability: High',
    '- Attack Vector (AV): Network (N)\n- Attack Complexity (AC): Low (L)\n'
    '- Privileges Required (PR): None (N)\n- User Interaction (UI): Required (R)\n- Scope (S): Unchanged (U)\n'
    '- Confidentiality (C): High (H)\n- Integrity (I): High (H)\n- Availability (A): High (H)',
    'AV:N\nAC:L\nPR:N\nUI:R\nS:U\nC:H\nI:H\nA:H',
    '| AV | N |\n| AC | L |\n| PR | N |\n| UI | R |\n| S | U |\n| C | H |\n| I | H |\n| A | H |',
    'av:n/ac:l/pr:n/ui:r/s:u/c:h/i:h/a:h',
    'The vector is CVSS:3.1/{V}.',
    'The vector is CVSS:3.1/{V}. If no click were needed, it would be CVSS:3.1/{H}.',
    'CVSS:3.1/{V}\n\nNote: without user interaction it would be {H}.',
    'First CVSS:3.1/{H}, but a user must click, so\nCVSS:3.1/{V}',
    'CVSS:3.1/{V}\n\nQuestion: Next\nCVSS:3.1/{H}',
    '{V}/E:P',
    'CVSS:3.1/{V} (8.8)',
    'Base score 8.8, vector string: {V}',
    'CVSS:3.0/{V}',
    'CVSSv3.1: {V}',
    'CVSS v3.1 Base Score 6.1 ({V})',
    'CVSS v3.1 Base Score: 6.1 (Medium)\nVector: {V}',
    'CVSS 3.1 {V}',
    '`CVSS:3.1/{V}`',
    '**{V}**',
    '({V})',
    '[{V}]',
    '{V}.',
    '"{V}"',
    '{{"cvss_vector": "{V}", "score": 6.1}}',
    '{{"vectorString": "CVSS:3.1/{V}", "baseScore": 6.1}}',
    '\\boxed{{\\text{{CVSS:3.1/{V}}}}}',
    '$\\text{{{V}}}$',
    '\\boxed{{\\texttt{{{V}}}}}',
    'CVSS:3.1/{V}\n\nBase Score: 6.1',
    '{V} (6.1)',
    '{V} = 6.1',
    '{V} 6.1 MEDIUM',
    '<answer>CVSS:3.1/{V}</answer>',
    'Final answer: CVSS:3.1/{V}',
    'The vector is CVSS:3.1/{V}, which gives 6.1.',
    'CVSS:3.1/{V}/E:P/RL:O/RC:C',
    'CVSS:3.1/{V}/E:X/RL:X/RC:X/CR:X/IR:X/AR:X/MAV:X/MAC:X/MPR:X/MUI:X/MS:X/MC:X/MI:X/MA:X',
    'CVSS:3.1\\/{V}',
    'https://www.first.org/cvss/calculator/3.1#CVSS:3.1/{V}',
    'https://nvd.nist.gov/vuln-metrics/cvss/v3-calculator?vector={V}&version=3.1',
    '[CVSS:3.1/{V}](https://www.first.org/cvss/calculator/3.1#CVSS:3.1/{V})',
    '{{"cvss": {{"version": "3.1", "vectorString": "CVSS:3.1/{V}"}}}}',
    '{V}\n\nIf no click were needed it would be {H}.',
    'Not {H} but {V}',
    '{V}\n\nQuestion: x\nAV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H',
    'The base vector string is: {V} rather than {H}',
    '{V}/',
    '/{V}',
    'CVSS:3.1/{V} (Base Score: 6.1)',
    'Angriffsvektor: x\n{V}',
    '**CVSS Vector:**\n\n```\nCVSS:3.1/{V}\n```\n\nThe CVSS 2.0 vector would be AV:N/AC:M/Au:N/C:N/I:P/A:N',
)  # fmt: skip
WORDS = {
    "N": "None", "L": "Low", "H": "High", "P": "Physical", "A": "Adjacent Network", "R": "Required", "U": "Unchanged",
    "C": "Changed",
}  # fmt: skip
vectors = st.tuples(*(st.sampled_from(values) for values in METRICS.values()))


def joined(values, colon=":", slash="/"):
    return slash.join(f"{name}{colon}{value}" for name, value in zip(METRICS, values, strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form):
    assert strict_vector(form.format(V=STATED, H=OTHER)) == STATED


CHANGED = "AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"
NAMES = ("Attack Vector (AV)", "Attack Complexity (AC)", "Privileges Required (PR)", "User Interaction (UI)",
         "Scope (S)", "Confidentiality (C)", "Integrity (I)", "Availability (A)")  # fmt: skip
VALUES = ("Network", "Low", "None", "Required", "Changed", "Low", "Low", "None")


@pytest.mark.parametrize(
    "line", ["- {}: {}", "**{}**: {}", "{}: {} - as described", "| {} | {} |", "| {} | {} | as described |", "{} = {};"]
)
def test_a_metric_a_line(line):
    text = "\n".join(line.format(name, value) for name, value in zip(NAMES, VALUES, strict=True))
    assert strict_vector(text) == CHANGED


@pytest.mark.parametrize(
    "text",
    [
        CHANGED.replace("/", "/\n"),
        CHANGED.replace("/", "\n/"),
        CHANGED.replace("/", " | "),
        CHANGED.replace(":", "-"),
        CHANGED.replace("/", "\u2044"),
        CHANGED.replace("/", "\u200b/"),
        CHANGED.replace(":", " is "),
        ", ".join(f"{name} is {value}" for name, value in zip(NAMES, VALUES, strict=True)),
        "**AV:N** (remote), **AC:L** (easy), **PR:N**, **UI:R** (a click), **S:C**, **C:L**, **I:L** and **A:N** "
        "(none)",
        '{"attackVector": "NETWORK", "attackComplexity": "LOW", "privilegesRequired": "NONE", "userInteraction": '
        '"REQUIRED",'
        ' "scope": "CHANGED", "confidentialityImpact": "LOW", "integrityImpact": "LOW", "availabilityImpact": "NONE"}',
    ],
)
def test_other_ways_to_write_the_metrics(text):
    assert strict_vector(text) == CHANGED


@pytest.mark.parametrize(
    "text",
    [
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
        "AV:N/AC:L/Au:N/C:P/I:P/A:P",
        "AV:[N/A/L/P]/AC:[L/H]/PR:[N/L/H]",
        "Attack Vector: Network, Scope: Unchanged",
        "- AV: Network (N), Adjacent (A), Local (L)\n- AC: Low (L), High (H)\n- PR: None (N), Low (L), High (H)\n"
        "- UI: None (N), Required (R)\n- S: Unchanged (U), Changed (C)\n- C: None, Low or High\n- I: None/Low/High\n"
        "- A: None",
        "AV:X/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N",
        "AV:N/AC:L/PR:N/PR:L/UI:R/S:C/C:L/I:L/A:N",
        "AV:N|A|L|P/AC:L|H/PR:N|L|H/UI:N|R/S:U|C/C:N|L|H/I:N|L|H/A:N|L|H",
    ],
)
def test_other_versions_and_parts_are_no_vector(text):
    assert strict_vector(text) is None


@given(
    vectors,
    st.sampled_from([":", ": ", " : ", "=", "\uff1a", "\\:"]),
    st.sampled_from(["/", " / ", ", ", "\n", "\\/", "\uff0f"]),
)
def test_blanks_escapes_and_wide_signs_do_not_matter(values, colon, slash):
    assert strict_vector(joined(values, colon, slash)) == joined(values)


@given(vectors)
def test_words_stand_for_their_letters(values):
    words = ["Network" if name == "AV" and value == "N" else "Local" if name == "AV" and value == "L" else WORDS[value]
             for name, value in zip(METRICS, values, strict=True)]  # fmt: skip
    assert strict_vector(joined(words)) == joined(values)
