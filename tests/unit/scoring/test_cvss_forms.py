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


@pytest.mark.parametrize(
    "text",
    [
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
        "AV:N/AC:L/Au:N/C:P/I:P/A:P",
        "AV:[N/A/L/P]/AC:[L/H]/PR:[N/L/H]",
        "Attack Vector: Network, Scope: Unchanged",
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
