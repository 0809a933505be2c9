"""Letters A to H that stand together in a text, as a list that names options.

The text comes from `normalise.plain_text`; the words from `answer_words`. Every pattern of the readers of letters
(this module, `answer_statements`, `option_labels`) has bounded repetitions, so reading takes time proportional to the
length of the text.
"""

from __future__ import annotations

import re

from pytest_slmsec.scoring import answer_words as words
from pytest_slmsec.scoring.answer_words import W

Letters = frozenset[str]

# A letter or letters that may name options, not the beginning of "Based", "C:\", "D-Link", "C++", "A.B" or "don't".
_RUN = (
    rf"[\"'(\[<]{{0,2}}(?<![{W}])(?:[A-H]{{1,8}}|[a-h])"
    rf"(?![{W}#@\\]|-[{W}]|[+&/](?![\"'(\[]?[A-H](?![{W}]))|'[a-z]|:[\\/]|\.[A-Za-z0-9])[\"')\]>]{{0,2}}"
)
_FIRST = rf"(?<![{W}\\/.@-]){_RUN}"
# "B", "(A) and (C)", "A, C, D", "ACD".
OPTION_LIST = re.compile(rf"{_FIRST}(?:(?i:{words.AND}){_RUN}){{0,7}}")
_SPACED_LIST = re.compile(rf"{_FIRST}(?:(?:(?i:{words.AND})|\s){_RUN}){{0,7}}")
# "Option B.", "(b)", "选项 A, C", "Both: A, C" and nothing else.
_ALONE = re.compile(
    rf"[\s.:;\"'(\[<>=|-]{{0,4}}(?:(?i:both|all)(?i:\sof\s(?:them|these))?\s?[:,]?\s)?(?:(?i:options?|choices?|letter|antwort|opción|choix|letra|alternativa|lettre|вариант)\s|"
    r"(?:选项|選択肢)\s?)?"
    rf"({_RUN}(?:(?:(?i:{words.AND})|\s{{1,2}}){_RUN}){{0,7}})[\s.,:;!\"')\]>=|-]{{0,6}}(?:です|입니다)?\.?\s?(?:\((?:correct)\))?\s?"
)
_FILLER = re.compile(rf"(?:{words.FILLER}){{0,12}}+", re.I)
DENIED_NEXT = re.compile(rf"[^.\n]{{0,3}}(?:{words.DENIED})", re.I)
OR_OPTION = re.compile(words.OR, re.I)
# Behind a bare letter A: a verb, a sign or the end, so that it is not the article of "A Trojan horse".
_NO_ARTICLE = re.compile(
    r"\s?(?:$|\n|[^\s\w]|[\u3000-\u9fff\uac00-\ud7a3])|\s(?:is|was|as|wählen|nehmen|because|since|due|which|would|will|seems|corresponds|refers|fits|"
    r"matches|describes|and|or|not|over|rather|ist|weil|und|es|porque|est|car|et)\b"
)
# "Option A", "choice C", "Antwort B", "选项B"; not "the option a user has".
NAMED_OPTIONS = re.compile(
    r"(?:\b(?i:options?|choices?|statements?|alternatives?|both|antwort(?:en)?|opci[oó]n(?:es)?|respuestas?|alternativa|réponses?|opção|resposta|"
    rf"opzione|risposta|вариант|ответ)\s|(?:选项|選択肢)\s?)(?!a\s[a-z])({OPTION_LIST.pattern})"
)


def whole_list(line: str) -> Letters | None:
    """The letters of a text that is nothing but a list of options; None where there is more."""
    match = _ALONE.fullmatch(line)
    return letters_in(match[1]) if match else None


def letters_in(listed: str) -> Letters | None:
    """The letters of a list; None where a run of letters is not in alphabetical order and so may be a word."""
    runs = re.findall(rf"(?<![{W}])(?:[A-H]{{1,8}}|[a-h])(?![{W}])", listed)
    if any("".join(sorted(set(run))) != run for run in runs):
        return None
    return frozenset("".join(runs).upper())


def list_at(text: str, start: int, several: bool) -> tuple[int, Letters] | None:
    """The list that follows behind words that announce it, and where it ends; None where none does.

    Args:
        start: where the announcement ends. several: whether the list may hold more than one letter.
    """
    filler = _FILLER.match(text, start, start + 80)
    place = filler.end() if filler else start
    while place > start and text[place - 1] in "\"'([":
        place -= 1
    pattern = _SPACED_LIST if several else OPTION_LIST
    match = pattern.match(text, place)
    if match is None or not _names_options(match, several):
        return None
    letters = letters_in(match[0])
    return (match.end(), letters) if letters else None


def _names_options(match: re.Match[str], several: bool) -> bool:
    """Whether a matched list names options: it is not the article, not denied, and no choice left open by "or"."""
    text, end, listed = match.string, match.end(), match[0]
    if OR_OPTION.match(text, end) or DENIED_NEXT.match(text, end):
        return False
    letters = listed.strip("\"'()[]<>")
    marked = listed[-1] in "\"')]>"
    if len(letters) == 1 and letters.islower():
        return marked or text[end : end + 1] in ("", ".", ",", ";", ":", "\n")
    if letters == "A" and not marked:
        return bool(_NO_ARTICLE.match(text, end))
    return several or len(letters) == 1
