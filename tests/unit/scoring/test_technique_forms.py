"""The technique ids that an answer lists, in the forms that models write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.scoring.attack_techniques import answered_ids
from pytest_slmsec.scoring.base import Mode

LISTED = frozenset(("T1059", "T1071", "T1573"))
# All list T1059, T1071 and T1573; other ids are only mentioned.
FORMS = (
    'T1059, T1071, T1573',
    'T1059,T1071,T1573',
    'T1059 T1071 T1573',
    'T1059; T1071; T1573',
    'T1059/T1071/T1573',
    'T1059 and T1071 and T1573',
    'T1059, T1071 and T1573.',
    '**T1059, T1071, T1573**',
    '[T1059, T1071, T1573]',
    '["T1059", "T1071", "T1573"]',
    '{"techniques": ["T1059", "T1071", "T1573"]}',
    '{"technique_ids": "T1059, T1071, T1573"}',
    '```json\n["T1059", "T1071", "T1573"]\n```',
    '[{"technique_id": "T1059", "name": "x"}, {"technique_id": "T1071"}, {"technique_id": "T1573"}]',
    '{"techniques": [{"id": "T1059", "reason": "like T1027"}, {"id": "T1071"}, {"id": "T1573"}]}',
    'T1059\nT1071\nT1573',
    '- T1059\n- T1071\n- T1573',
    '* T1059\n* T1071\n* T1573',
    '• T1059\n• T1071\n• T1573',
    '1. T1059\n2. T1071\n3. T1573',
    '1) T1059\n2) T1071\n3) T1573',
    '- **T1059**: Command and Scripting\n- **T1071**: Application Layer\n- **T1573**: Encrypted channel',
    'The techniques are:\n\n1. **T1059**: observed\n2. **T1071**: observed\n3. **T1573**: observed',
    '1. **T1059** - it runs commands, unlike T1027\n2. **T1071** - HTTP\n3. **T1573** - TLS',
    '- Command and Scripting Interpreter (T1059)\n- Application Layer Protocol (T1071)\n- Encrypted Channel (T1573)',
    '1. Command and Scripting Interpreter: T1059\n2. Application Layer Protocol: T1071\n3. Encrypted Channel: T1573',
    'Command and Scripting Interpreter (T1059)\nApplication Layer Protocol (T1071)\nEncrypted Channel (T1573)',
    '| Technique | Why |\n|---|---|\n| T1059 | seen |\n| T1071 | seen |\n| T1573 | seen |',
    '| Name | ID |\n|---|---|\n| Command | T1059 |\n| Protocol | T1071 |\n| Channel | T1573 |',
    '| # | Technique | Why |\n|---|---|---|\n| 1 | T1059 | seen |\n| 2 | T1071 | seen |\n| 3 | T1573 | seen |',
    'T1059.001, T1071.004, T1573.002',
    'T1059.001\nT1071.001\nT1573.001',
    'T1059.001, T1059.003, T1071, T1573',
    'T1059, T1071, T1573\n\nNote: T1027 was considered and left out.',
    'T1059, T1071, T1573\n\nT1027 was not observed.',
    '- T1059\n- T1071\n- T1573\n\nNote: T1027 was considered and left out.',
    'T1059, T1071, T1573\n\nI hope this helps!',
    'T1059, T1071, T1573<|im_end|>',
    'The report shows T1027 at first sight.\n\nT1059, T1071, T1573',
    'It logs keys (T1056).\n\nFinal answer: T1059, T1071, T1573',
    '- T1056: maybe\n- T1027: maybe\n\nFinal answer: T1059, T1071, T1573',
    '1. The malware runs commands (T1059).\n2. It talks HTTP (T1071).\n3. It encrypts (T1573).\n\nT1059, T1071, T1573',
    'The techniques used are T1059, T1071 and T1573.',
    'The malware uses the following techniques: T1059, T1071, T1573.',
    'The techniques are T1059, T1071 and T1573. I hope this helps.',
    'Execution: T1059\nCommand and Control: T1071, T1573',
    'Technique IDs: T1059, T1071, T1573',
    'Technique ID: T1059\nTechnique ID: T1071\nTechnique ID: T1573',
    '\\boxed{T1059, T1071, T1573}',
    '\\boxed{\\text{T1059, T1071, T1573}}',
    'T1059, T1071,\nT1573',
    'Answer:\nT1059\nT1071\nT1573',
    't1059, t1071, t1573',
    'Ｔ１０５９，Ｔ１０７１，Ｔ１５７３',
    'T1059、T1071、T1573',
    '技术：T1059、T1071、T1573',
    'T1059, T1071, T1573\n\nQuestion: next\nT1027',
    '1. T1059\n   The malware runs commands.\n\n2. T1071\n   It talks HTTP.\n\n3. T1573\n   It uses TLS.',
    '**Execution**\n- T1059: commands\n\n**C2**\n- T1071: HTTP\n- T1573: TLS',
    'T1059, T1071, and T1573.',
    'T1059.001, T1071.002, T1573.001',
    'T1059.001\nT1071.002\nT1573',
    'T1059/001, T1071, T1573',
    'T1059:001, T1071, T1573',
    '**T1059**, **T1071**, **T1573**',
    '`T1059`, `T1071`, `T1573`',
    '- T1059: Command and Scripting Interpreter\n- T1071: Phishing\n- T1573: Application Layer Protocol',
    '- T1059 - Command\n- T1071 - Phishing\n- T1573 - App',
    '- Command and Scripting Interpreter (T1059)\n- Phishing (T1071)\n- Application Layer Protocol (T1573)',
    '1. **Command and Scripting Interpreter (T1059)**: runs PowerShell\n2. **Phishing (T1071)**: mail\n3. '
    '**Application Layer Protocol (T1573)**: http',
    '1. **T1059.001 - PowerShell**: used to run\n2. **T1071.001 - Spearphishing Attachment**: mail\n3. **T1573.001 '
    '- Web Protocols**: C2',
    '| ID | Name |\n|---|---|\n| T1059 | Command |\n| T1071 | Phishing |\n| T1573 | App |',
    '| Name | ID |\n|---|---|\n| Command | T1059 |\n| Phishing | T1071 |\n| App | T1573 |',
    '| Tactic | Technique | ID |\n|:--|:-:|--:|\n| Execution | PowerShell | T1059.001 |\n| Initial Access | '
    'Phishing | T1071 |\n| C2 | Web | T1573.001 |',
    '| # | ID |\n|---|---|\n| 1 | T1059 |\n| 2 | T1071 |\n| 3 | T1573 |',
    '| Tactic | Technique | Evidence |\n|---|---|---|\n| Execution | T1059.001 PowerShell | ran ps |\n| Initial '
    'Access | T1071 Phishing | mail |\n| C2 | T1573 Web | http |',
    'Technique | ID\n--- | ---\nCommand | T1059\nPhishing | T1071\nApp | T1573',
    'https://attack.mitre.org/techniques/T1059/001/\nhttps://attack.mitre.org/techniques/T1071/\nhttps://attack.mitre.org/techniques/T1573/001',
    '[T1059](https://attack.mitre.org/techniques/T1059/), [T1071](https://attack.mitre.org/techniques/T1071/), '
    '[T1573](https://attack.mitre.org/techniques/T1573/)',
    '- [T1059.001](https://attack.mitre.org/techniques/T1059/001/)\n- '
    '[T1071](https://attack.mitre.org/techniques/T1071/)\n- [T1573](https://attack.mitre.org/techniques/T1573)',
    '- [PowerShell](https://attack.mitre.org/techniques/T1059/001/)\n- '
    '[Phishing](https://attack.mitre.org/techniques/T1071/)\n- [Web](https://attack.mitre.org/techniques/T1573)',
    '[{"id": "T1059", "name": "x"}, {"id": "T1071"}, {"id": "T1573"}]',
    '{"techniques": [{"id": "T1059", "name": "x"}, {"id": "T1071"}, {"id": "T1573"}]}',
    '{"techniques": [{"technique_id": "T1059.001", "reason": "not T1204"}, {"technique_id": "T1071"}, '
    '{"technique_id": "T1573"}]}',
    '{"Execution": ["T1059"], "Initial Access": ["T1071"], "C2": ["T1573"]}',
    '{"T1059": "PowerShell", "T1071": "mail", "T1573": "http"}',
    '```\nT1059, T1071, T1573\n```',
    'The techniques are T1059, T1071 and T1573.',
    'The malware uses T1059, T1071 and T1573.',
    'Answer: T1059, T1071, T1573',
    'Final answer: T1059, T1071, T1573',
    '**Final Answer:** T1059, T1071, T1573',
    '<answer>T1059, T1071, T1573</answer>',
    '答案：T1059、T1071、T1573',
    '该恶意软件使用了T1059、T1071和T1573。',
    'Antwort: T1059, T1071 und T1573',
    'Die Techniken sind T1059, T1071 und T1573.',
    'Las técnicas son T1059, T1071 y T1573.',
    'Les techniques sont T1059, T1071 et T1573.',
    'T1059, T1071, T1573\n\nT1027 was not used.',
    'T1059, T1071, T1573 (not T1027)',
    'T1059, T1071, T1573; T1027 is not observed',
    'Not T1027 but T1059, T1071 and T1573',
    'T1059, T1071, T1573\n\nExplanation: T1059 is for PowerShell, T1071 for mail, T1573 for http.',
    'T1059, T1071, T1573\n\nThese techniques are different from T1027.',
    'T1059: PowerShell\nT1071: Phishing\nT1573: Web\n\nT1059, T1071, T1573',
    'I considered T1027.\n\nT1059, T1071, T1573',
    'I considered T1027 but the final answer is: T1059, T1071, T1573',
    'T1027 was considered, but the techniques are T1059, T1071 and T1573.',
    'Considered: T1027, T1566. So the answer is T1059, T1071, T1573',
    '- T1059 (Execution), T1071 (Initial Access), T1573 (C2)',
    'T1059 (Command), T1071 (Phishing), T1573 (App)',
    'T1059 - Command, T1071 - Phishing, T1573 - App',
    'T1059 Command and Scripting Interpreter\nT1071 Phishing\nT1573 Application Layer Protocol',
    'Execution: T1059\nInitial Access: T1071\nCommand and Control: T1573',
    '**Execution:**\n- T1059\n\n**Initial Access:**\n- T1071\n\n**C2:**\n- T1573',
    '### Execution\n- **PowerShell (T1059.001)**: The malware runs PowerShell.\n\n### Initial Access\n- **Phishing '
    '(T1071)**: The mail.\n\n### C2\n- **Web (T1573.001)**: http',
    'The main techniques are:\n1. T1059\n2. T1071\n3. T1573\n\nThese cover the report.',
    'T1059<br>T1071<br>T1573',
    '<ul><li>T1059</li><li>T1071</li><li>T1573</li></ul>',
    'T1059\n\nT1071\n\nT1573',
    'T1059\tT1071\tT1573',
    'T1059|T1071|T1573',
    '(T1059, T1071, T1573)',
    'T1059 + T1071 + T1573',
    'T1059, T1071 as well as T1573',
    'T1059 plus T1071 plus T1573',
    'Technique 1: T1059\nTechnique 2: T1071\nTechnique 3: T1573',
    'Step 1: PowerShell runs [T1059].\nStep 2: HTTP beacon [T1071].\nStep 3: TLS [T1573].',
    'MITRE ATT&CK: T1059, T1071, T1573',
    'T1059, T1071, T1573\n\nQuestion: x\nT1027',
    'T1059 (PowerShell)\nT1071 (Phishing)\nT1573 (Web)',
    'PowerShell is used (T1059.001). Mail is sent (T1071). C2 over http (T1573).',
    'The malware runs PowerShell (T1059), arrives by phishing (T1071) and talks http (T1573).',
    '**Reasoning:** T1027 might be used, but there is no evidence.\n\n**Answer:** T1059, T1071, T1573',
    'Step 1: The mail -> T1071\nStep 2: PowerShell -> T1059\nStep 3: http -> T1573\n\nFinal: T1059, T1071, T1573',
    'Mail -> T1071\nPowerShell -> T1059\nhttp -> T1573',
)  # fmt: skip
LINES = ("{}", "- {}", "* **{}**", "1. {}: observed in the report", "- Something ({})", "| {} | seen |",
         "{}.001 - a step",
         "Technique ID: {}")  # fmt: skip
NOTES = ("", "\n\nNote: T1027 was considered and left out.", "\n\nI hope this helps!", "<|im_end|>",
         "\n\nQuestion: what else?\nT1003")  # fmt: skip
id_sets = st.frozensets(st.integers(1100, 1999).map(lambda number: f"T{number}"), min_size=1, max_size=8)


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form):
    assert answered_ids(form, Mode.STRICT) == LISTED


@given(id_sets, st.sampled_from(LINES), st.sampled_from(NOTES))
def test_one_id_a_line(ids, line, note):
    text = "The techniques are:\n\n" + "\n".join(line.format(name) for name in sorted(ids)) + note
    assert answered_ids(text, Mode.STRICT) == ids


@pytest.mark.parametrize(
    "text", ["Note: T1027 was considered and left out.", "T1027 was not observed.", "No techniques.", "TA0002"]
)
def test_what_is_set_aside_is_no_answer(text):
    assert answered_ids(text, Mode.STRICT) == frozenset()
