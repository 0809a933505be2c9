"""What every strict reader does to an answer before it reads it. (Official readers get the text as the model wrote it.)

`plain_text` removes the differences that carry no meaning: Unicode forms, dashes, blanks, zero-width characters, LaTeX,
Markdown and HTML markup, escapes, and special tokens. What a text marks as its answer (``\\boxed{}``, ``<answer>``, a
field of a JSON object) is spelled out as ``Answer: ...``, which all readers know. What follows the end of the model's
turn, or a new ``Question:``, is cut off: a base model that goes on writes the next example there.

Every step takes time proportional to the length of the text. Of a text longer than `LONGEST_READ` characters only the
beginning and the end are read: no answer is that long, a model that repeats itself is.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any
from unicodedata import category, combining, normalize

from pytest_slmsec.core.thoughts import separate
from pytest_slmsec.scoring.spans import spans
from pytest_slmsec.scoring.structures import structure_of
from pytest_slmsec.scoring.tables import spelled_tables

ANSWER = "Answer: "
LONGEST_RUN_OF_MARKS = 30
"""Combining characters in a row that are kept (Unicode Standard Annex 15, stream-safe text): more would make the
canonical ordering slow, and no text of any language has them."""
LONGEST_READ = 40_000
"""Characters; ten times what the longest token limit of a benchmark here allows an answer."""
OBJECTS_TRIED = 20
"""Places at which a JSON object or a Python dictionary is looked for."""
LONGEST_DICTIONARY = 2_000
"""Characters of a dictionary as Python spells it; it holds no other one."""

# The names of fields that hold the answer, without case, blanks and underscores; the earlier ones are preferred.
ANSWER_FIELDS = (
    "finalanswer", "answer", "correctanswer", "answers", "finalanswers", "correctanswers", "correctoption",
    "correctchoice",
    "selectedoption", "selectedanswer", "chosenoption", "chosenanswer", "bestanswer", "bestoption", "answerchoice",
    "answerletter", "ans", "selected", "chosen", "option", "choice", "letter", "selection",
    "correct", "final", "cweid", "cwe", "cveid", "weakness", "weaknessid", "vector", "cvssvector", "vectorstring",
    "cvssv3vector", "cvssv31vector", "cvss", "techniqueids", "techniques", "mitretechniques", "attacktechniques",
    "mainttechniques", "ids", "techniqueid", "technique", "verdict", "judgement", "judgment", "classification", "label",
    "result", "response", "output", "antwort", "respuesta", "réponse", "reponse", "答案", "id",
    "choices", "options",
)  # fmt: skip

_DASHES = "\u2010\u2011\u2012\u2013\u2212\ufe58\ufe63\uff0d\u02d7\u2043\u2796\u2e17\u2e1a\u30a0"
_LONG_DASHES = "\u2014\u2015\u2e3a\u2e3b"
_ARROWS = "\u2190\u2192\u21d2\u21d0\u21d4\u27a1\u279c\u2794\u27f6\u27f9\u25b6\u25ba\U0001f449\U0001f448\u21a6"
_CHECKED, _CROSSED = "\u2705\u2713\u2714\u2611\U0001f5f8", "\u274c\u2717\u2718\u274e\u2716\u2610\u2b1c"
_TABLE: dict[int, str] = {
    **{ord(char): "-" for char in _DASHES},
    **{ord(char): " - " for char in _LONG_DASHES},
    **{ord(char): " -> " for char in _ARROWS},
    **{ord(char): " (correct) " for char in _CHECKED},
    **{ord(char): " (wrong) " for char in _CROSSED},
    **{ord(char): "'" for char in "\u2018\u2019\u201a\u201b\u02bc\u00b4\u2032"},
    **{ord(char): '"' for char in "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a\u300c\u300d\u300e\u300f\u2033"},
    **{ord(char): "[" for char in "\u3010\u3014\u3016\u27e8\u3008"},
    **{ord(char): "]" for char in "\u3011\u3015\u3017\u27e9\u3009"},
    **{ord(char): "\n" for char in "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"},
    **{ord(char): "\n- " for char in "\u2022\u2023\u25e6\u25aa\u25cf\u25cb\u25a0\u25b8\u25b9\u2027"},
    0x3002: ". ", 0xFF61: ". ", 0x3001: ", ", 0x00B7: " ", 0x2044: "/", 0x2215: "/", 0x2236: ":", 0xA789: ":",
    **{0x1F150 + place: chr(65 + place) for place in range(26)},  # white letters in black circles
    **{0x1F170 + place: chr(65 + place) for place in range(26)},  # and in black squares
}  # fmt: skip

# "<|im_end|>", "</s>", "<end_of_turn>", "<|eot_id|>", "<｜end▁of▁sentence｜>": the model's turn is over.
_TURN_END = re.compile(
    r"<\|(?:im_end|im_start|eot_id|eom_id|end|endoftext|end_of_text|end_of_turn|endofturn|return|eot|eos|user|assistant|"
    r"system|start_header_id|start_of_role|END_OF_TURN_TOKEN|START_OF_TURN_TOKEN|END_RESPONSE|"
    r"end[\u2581_ ]of[\u2581_ ]sentence|User|Assistant|turn)\|?>|"
    r"</s>|<s>|<(?:end_of_turn|start_of_turn|eos|bos|pad|end_of_utterance|EOT|turn\|)>|\[/?INST\]|<<SYS>>|"
    r"\[\|?(?:endofturn|EOS|END)\|?\]"
)
# "<|im_start|>assistant\n" or "<start_of_turn>model\n" before an answer.
_ROLE = re.compile(r"\s*(?:assistant|model|final)?(?:<\|(?:end_header_id|end_of_role|message)\|>|\s|$)")
# "<|box_start|>", "<|reserved_special_token_7|>": any other special token.
_SPECIAL = re.compile(r"<\|[\w\u2581 .-]{1,40}\|>")
# "Question:", "**Question 2:**", "### Frage:", "Q:", "问题:" at the beginning of a line; "### Instruction:".
_NEW_QUESTION = re.compile(
    r"^[ \t>#*_]{0,8}(?:(?:next |new )?question|frage|pregunta|domanda|pergunta|question|问题|题目|q|human|"
    r"(?:###? ?)instruction|(?:###? ?)input)\s?(?:no\.? ?)?\d{0,4}\s?[*_]{0,3}\s?:|"
    r"^#{1,6} ?(?:(?:next |new )?question|frage|pregunta|问题)\b[^\n]{0,40}$",
    re.I | re.M,
)
# "User:" and, further on, "Assistant:" at the beginning of a line: a made-up dialogue.
_USER = re.compile(r"^[ \t>#*_]{0,8}(?:user|student|customer)\s?[*_]{0,3}\s?:", re.I | re.M)
_ASSISTANT = re.compile(r"^[ \t>#*_]{0,8}(?:assistant|ai|bot|model)\s?[*_]{0,3}\s?:", re.I | re.M)
# "\boxed{", "\fbox{", "<|begin_of_box|>".
_BOXED = re.compile(r"\\(?:boxed|fbox|framebox|box|answer)\s?(?:\{|(?=[A-Z]\b))|<\|begin_of_box\|>")
# "<answer>", "<final_answer>".
_ANSWER_TAG = re.compile(r"<(?:final_?)?(?:answer|choice|option|result|response|verdict)>", re.I)
# "\text{", "\mathbf{", "\textbf ", "\displaystyle"; "\quad", "\,", "\(", "\]".
_LATEX = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|sc|up|normal|color)?|math(?:rm|bf|it|sf|tt|cal|bb|normal)|boldsymbol|bm|bf|rm|it|tt|mbox|"
    r"hbox|emph|underline|operatorname|displaystyle|left|right|[lL]arge|LARGE|huge|Huge|color\{\w{1,20}\})(?![A-Za-z])\*?"
)
_LATEX_BLANK = re.compile(r"\\(?:q?quad|[,;!> ]|newline|\\)(?![A-Za-z])")
# "\(", "\]", "\/", "\:", "\_", "\-" : an escaped sign is the sign; the brackets of formulas go.
_FORMULA = re.compile(r"\\[()\[\]]|\$")
_ESCAPED = re.compile(r"\\([/:_*#.\-+&%'\"`|~<>{}!])")
# "\n" spelled with two characters, as in a JSON text that was written twice; not the "\n" of "C:\new".
_SPELLED_BREAK = re.compile(r"(?:\\n){2}|(?<![\w:\\])\\[nt](?![a-z])|(?<=[.:,;!?)\]])\\n")
# "&nbsp;", "&#8209;", "&#x2F;".
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z]{2,8});")
# "%2F".
_URL_SIGNS = {"%2F": "/", "%2f": "/", "%3A": ":", "%3a": ":", "%20": " "}
_URL_SIGN = re.compile("|".join(_URL_SIGNS))
# "~~A~~": struck out.
_STRUCK = re.compile(r"~~[^~\n]{1,200}~~")
# "<br>", "<p>", "</li>".
_BREAK_TAG = re.compile(r"<(?:br|/?p|/?div|/?li|/?tr|/?ul|/?ol|hr)\s?/?>", re.I)
# "<b>", "</strong>", "<answer>"; not "<B>", which may be an answer.
_TAG = re.compile(r"</[A-Za-z_]{1,20}>|<[a-z_]{1,20}(?: [^<>\n]{0,80})?>")
# "```json": a fence is no text.
_FENCE = re.compile(r"```+[\w+-]{0,20}|~~~+")
# "### ", "> ", "- ", "* " at the beginning of a line.
_LINE_START = re.compile(r"^[ \t]*(?:(?:#{1,6}|[>+*-])[ \t]+|>+)+", re.M)
# "**", "__", "`", braces.
_EMPHASIS = re.compile(r"\*+|`+|[{}]|(?<![A-Za-z0-9])_+|_+(?![A-Za-z0-9])")
_BLANKS = re.compile(r"[^\S\n]+")
_BREAKS = re.compile(r" ?\n[ \n]*")
# Four or more of one sign: "......", "======", "((((((".
_LONG_RUN = re.compile(r"([^\w\s])\1{3,}")
_OBJECT = re.compile(r"\{")
_NO_KEY = re.compile(r"[\s_-]+")
# "1", "q1", "question 1": the only key of an object that answers one question.
_NUMBERED = re.compile(r"(?:q|question|answer)?\d{1,4}")


def plain_text(text: str) -> str:
    """An answer without markup and differences of form.

    Blanks are single, line breaks single or double, quotes, dashes and arrows those of ASCII (``-``, ``->``), letters
    and digits their compatibility forms; ``_`` between words is a blank. A thought that nobody has
    separated before is left out.
    """
    answer = separate(text).answer
    unescaped = _ENTITY.sub(lambda match: html.unescape(match[0]), both_ends(answer))
    found = own_turn(both_ends(unicode_plain(unescaped)))
    return _tidy(_without_markup(_answers_of_objects(found)))


def both_ends(text: str) -> str:
    """A text of at most `LONGEST_READ` characters; of a longer one the first and the last half of that many."""
    half = LONGEST_READ // 2
    return text if len(text) <= LONGEST_READ else f"{text[:half]}\n{text[-half:]}"


def unicode_plain(text: str) -> str:
    """A text in Unicode compatibility form (NFKC), with the dashes, quotes, brackets, arrows and line breaks of ASCII,
    without control, format and combining characters that have no form of their own; check marks are the words
    ``(correct)`` and ``(wrong)``."""
    if text.isascii():
        return text.translate(_TABLE)
    text = normalize("NFKC", _stream_safe(text.translate(_TABLE))).translate(_TABLE)
    return "".join(map(_visible, text)) if not text.isascii() else text


def _visible(char: str) -> str:
    """A character, nothing where it is invisible, and a blank where it is a picture."""
    if char.isascii() or char.isalnum():
        return char
    kind = category(char)
    if (
        kind in ("Cf", "Cc", "Mn", "Me") and not "\u0900" <= char < "\u0f00"
    ):  # marks belong to the letters of Hindi, Thai
        return ""
    return " " if kind in ("So", "Zs", "Co", "Cn", "Cs") else char


def _stream_safe(text: str) -> str:
    """Without the combining characters of a run that are beyond `LONGEST_RUN_OF_MARKS`."""
    kept, run = [], 0
    for char in text:
        run = run + 1 if combining(char) else 0
        if run <= LONGEST_RUN_OF_MARKS:
            kept.append(char)
    return "".join(kept)


def own_turn(text: str) -> str:
    """What belongs to the model's own answer: up to the first token that ends its turn and the first new question."""
    start = 0
    for match in _TURN_END.finditer(text):
        if text[start : match.start()].strip():
            text = text[: match.start()]
            break
        role = _ROLE.match(text, match.end())
        start = role.end() if role else match.end()
    text = text[start:]
    for question in _NEW_QUESTION.finditer(text):
        if text[: question.start()].strip():
            text = text[: question.start()]
            break
    user = _USER.search(text)
    if user and text[: user.start()].strip() and _ASSISTANT.search(text, user.end()):
        return text[: user.start()]
    return text


def _answers_of_objects(text: str) -> str:
    """A text in which each JSON object that has a field for the answer is replaced by ``Answer: ...``.

    ``{"reason": "C does not fit", "answer": "B"}`` gives ``Answer: B``; a list is joined by commas.
    """
    parts, end = [], 0
    for span in spans(islice(_OBJECT.finditer(text), OBJECTS_TRIED), _answer_of_object):
        parts += [text[end : span.start], f"\n{ANSWER}{span.value}\n"]
        end = span.end
    return "".join([*parts, text[end:]])


def _answer_of_object(place: re.Match[str]) -> tuple[int, str] | None:
    """Where the JSON object or Python dictionary ends that begins at a place, and its answer; None where there is no
    such object."""
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(place.string, place.start())
    except (ValueError, RecursionError):
        end = place.string.find("}", place.start(), place.start() + LONGEST_DICTIONARY) + 1
        value = structure_of(place.string[place.start() : end])
    answer = _field(value) if isinstance(value, dict) else None
    return None if answer is None else (end, answer)


def _field(value: Mapping[object, Any]) -> str | None:
    by_name = {_NO_KEY.sub("", str(name)).casefold(): held for name, held in value.items()}
    if len(by_name) == 1 and _NUMBERED.fullmatch(next(iter(by_name))):
        return _spelled(next(iter(by_name.values())))
    for name in ANSWER_FIELDS:
        held = by_name.get(name)
        if isinstance(held, dict):
            return _field(held)
        text = _spelled(held)
        if text:
            return text
    return None


def _spelled(value: Any) -> str | None:
    """A value as a text, with ids out of a list of objects; None for what is no answer (null, true, an empty text)."""
    if isinstance(value, list):
        parts = [_field(part) if isinstance(part, dict) else _spelled(part) for part in value]
        return ", ".join(part for part in parts if part)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    return str(value).strip()


def _without_markup(text: str) -> str:
    if "%" in text:
        text = _URL_SIGN.sub(lambda match: _URL_SIGNS[match[0]], text)
    text = _SPECIAL.sub(" ", _BOXED.sub(f" {ANSWER}", text))
    text = _ANSWER_TAG.sub(f"\n{ANSWER}", _STRUCK.sub(" ", text))
    if "\\" in text:
        text = _LATEX_BLANK.sub(" ", _LATEX.sub("", text))
        text = _ESCAPED.sub(r"\1", _FORMULA.sub("", _SPELLED_BREAK.sub("\n", text)))
    text = spelled_tables(_FENCE.sub("", text.replace("$", "")))
    text = _TAG.sub("", _BREAK_TAG.sub("\n", text))
    return _EMPHASIS.sub("", _LINE_START.sub("", text)).replace("_", " ")


def _tidy(text: str) -> str:
    text = _BLANKS.sub(" ", text)
    text = _BREAKS.sub(_one_or_two_breaks, text)
    return _LONG_RUN.sub(r"\1\1\1", text).strip()


def _one_or_two_breaks(match: re.Match[str]) -> str:
    return "\n\n" if match[0].count("\n") > 1 else "\n"
