"""The words that announce an answer, in the languages in which models answer, as pieces of regular expressions.

They are matched without regard to case, in text from `normalise.plain_text`.
"""

from __future__ import annotations

W = r"A-Za-z0-9_\u00c0-\u024f\u0370-\u04ff"
"""Characters of words that are written with blanks between them; Chinese words are not."""

_FIT = (
    r"(?:best|correct|right|final|chosen|selected|appropriate|suitable|accurate|likely|fitting|matching|true|remaining)"
)
_FALSE = (
    r"(?<!wrong )(?<!incorrect )(?<!false )(?<!bad )(?<!falsche )(?<!not the )(?<!not a )(?<!worst )(?<!least "
    r"likely )(?<!previous )"
)

# "answer", "correct option", "Antwort", "respuesta correcta", "bonne réponse".
ANSWER_NOUN = (
    rf"{_FALSE}\b(?:answers?(?!s? (?:options|choices))(?:\(s\))?|"
    rf"{_FIT} (?:option|choice|letter|statement|response|one|alternative|solution)s?(?:\(s\))?|"
    r"(?:die |der |das )?(?:richtige|korrekte|beste) (?:antwort|option|lösung|aussage)(?:en)?|antwort(?:en)?|lösung|"
    r"respuestas?(?: correctas?| final)?(?! incorrecta)|(?:opción|opcion|alternativa) correcta|solución|"
    r"(?:bonne |meilleure )?réponses?(?: correctes?| finale)?(?! incorrecte| fausse)|(?:bonne|meilleure) option|"
    r"option correcte|respostas?(?: corretas?)?|(?:opção|alternativa) corret[ao]|rispost[ae](?: corrett[ae])?|"
    r"opzione corretta|antwoord(?:en)?|(?:rätt )?svar(?:et)?|odpowiedź|cevap|ответ|đáp án(?: đúng)?|"
    r"jawaban(?: yang benar)?|उत्तर|"
    r"الإجابة(?: الصحيحة)?|correct answer)(?![a-zé])"
)
# "is", "lautet", "es", "est", ":", "->".
LINK = (
    r"(?:\b(?:is|are|was|were|(?:would|should|must|will|could|might|may|has to|can only)(?: [a-z]{3,12}ly)? be|"
    r"seems?|appears?|"
    r"looks?|reads|"
    r"ist|sind|lautet|lauten|wäre|müsste|muss|sollte|scheint|heißt|"
    r"är|er|es|son|sería|seria|debe ser|debería ser|parece|est|sont|serait|doit être|semble|é|são|è|sono|sarebbe|là|"
    r"adalah|to(?= [A-H]\b)|"
    r"هي)\b|"
    r"'s\b|:|=|->|=>|\||\s-\s)"
)
# "Option:", "Final:", "Correct ->": these announce an answer only together with a sign right behind them.
WEAK_NOUN = (
    rf"{_FALSE}\b(?:option|choice|selection|selected|chosen|pick|letter|solution|response|conclusion|verdict|result|output|"
    r"label|final|correct|ans|key|"
    r"ergebnis|buchstabe|richtig|korrekt|opción|opcion|letra|elección|correct[oae]|lettre|choix|opção|opzione|lettera|"
    r"scelta)\)?\s?(?::|=(?!=)|->)"
)
# "(correct) B", "Answer B" and "Answer" with the letter on the next line, at the beginning of a line.
LINE_START = (
    r"^(?:\(correct\)|ans\b\.?|(?:(?:the |my )?(?:final |correct |right |best )?answer|antwort|respuesta|réponse|"
    r"resposta|risposta|ответ|вариант|letra|alternativa|选项|選択肢)(?=\s?[(\[\"']?[a-h][)\]\"'.]{0,2}$| ?\n))"
)
# "I choose", "it should be", "ich wähle", "elijo", "je choisis", "corresponds to".
VERB = (
    r"\b(?:my (?:best )?(?:choice|selection|guess|pick) (?:is|would be)|(?:i|we)(?:'d|'ll|'m|'ve| would| will| am| "
    r"have| shall)?(?: therefore| thus)? "
    r"(?:choose|chosen?|choosing|select(?:ed)?|pick(?:ed)?|go(?:ing)? (?:with|for)|opt(?:ing)? for|say|answer(?: "
    r"with)?|"
    r"conclude|think|believe|vote for)(?: that)?|(?:you|one) should (?:choose|select|pick)|(?:let's|let us) "
    r"(?:choose|select|pick|go with)|"
    r"(?<!if )it(?:'s| is| (?:should|must|would|will|has to|can only) be|(?: seems| appears) to be)|"
    r"(?:this|that|which|description|text|scenario)(?: best| most closely)? (?:corresponds to|points to|matches|fits|"
    r"leads to|maps to|describes|means|makes it)|the (?:letter|option|choice|selection) (?:is|would be)|"
    r"(?<=\n)(?:choose|select|pick|going with)|^going with|ich (?:wähle|nehme|würde|tippe auf|entscheide mich für|"
    r"antworte(?: mit)?)|(?:richtig|korrekt) (?:ist|wäre)|"
    r"es (?:ist|müsste|muss|sollte)|(?:elijo|elegiría|escojo|selecciono)|(?:es|è|é) (?:la|a)|correct[ao] es|"
    r"je (?:choisis|choisirais|sélectionne|réponds|dirais)|c'est|(?:escolho|seleciono|scelgo)|я (?:бы )?выбра[лю]а?|"
    r"я выбираю)\b"
)
# "not A but", "neither A nor C but", "nicht A, sondern", "no es A, sino", "不是A，而是": the letter behind it is meant.
CONTRAST = (
    r"\b(?:not(?! (?:only|just|merely))|neither|nicht|weder|no es|ni|n'est pas|não é|non "
    r"è)\s(?:[^\s.;:\n]{1,12}\s){1,8}?"
    r"(?:but(?: rather)?|sondern|sino|mais|mas|ma|bensì)\b|不是[^\n。.]{1,12}?而是|ではなく[、,]?"
)
# "so B.", "therefore, option B": with a letter that ends the clause.
SO = (
    r"(?:^(?:most )?(?:likely|probably|definitely|certainly|clearly|must be|should be)\b|"
    r"\b(?:(?:this|that|which)(?: is|'s| (?:would|must|should) be)|so(?! (?:is|are|was|does|do|did)\b)|thus|hence|"
    r"therefore|consequently|accordingly|"
    r"conclusion|in short|i\.e|on (?:second thought|reflection)|upon reflection|in my opinion|all in all|overall|"
    r"after (?:careful )?(?:analysis|consideration)|given (?:that|this|the above)(?=,)|"
    r"if i had to (?:guess|choose)(?=,)|leav(?:es|ing)|"
    r"no(?=,)|daher|"
    r"deshalb|somit|folglich|(?<!but )also|"
    r"por (?:lo )?tanto|así que|entonces|donc|ainsi|portanto|então|quindi|dunque)\b|因此|所以|故|综上)"
)
# "答案是", "正确选项", "选".
CHINESE = (
    r"答案(?!不)|正确的?(?:选项|回答)|正确的(?:有|包括|是)?|(?<![不未误个])选(?!项)择?|"
    r"回答|答\s?:|正解|答え|解答|정답|답변?(?:은|는)?"
)
# What may stand between the announcement and the letter.
FILLER = (
    r"(?:[\s:=\"'(\[\])|>]|-(?=[\s>])|[是为應应该有项選选最]|选项|正确|的|는|은|は|"
    r"\b(?:the|option|options|choice|choices|letters?|answers?|alternative|statement|definitely|"
    r"of course|naturally|undoubtedly|without (?:a |any )?doubt|surely|clearly|therefore|thus|"
    r"hence|most|likely|probably|certainly|obviously|simply|just|now|indeed|actually|both|to|(?-i:be)|being|as follows|"
    r"labell?ed|given by|is|are|indeed|that|it|it's|correct|die|der|das|den|buchstabe|antwort|eindeutig|wohl|"
    r"lautet|ist|(?<=é )(?-i:a)(?=\s)|"
    r"wahrscheinlich|vermutlich|la|el|los|las|le|les|es|est|una|opción|opcion|letra|respuesta|réponse|lettre|choix|"
    r"probablement|probablemente|claramente|(?:a|o|la) (?:letra|opção|alternativa|resposta|lettera|opzione|risposta)|"
    r"opção|alternativa|lettera|opzione)\b|\bl')"
)
# "and", "und", "和".
AND = r"(?:\s?(?:[,;/&+]|\b(?:and|und|y|et|e)\b|[和与與及、])){1,3}\s?"
OR = (
    rf"\s?(?:[/|]|,?\s?\b(?:or|oder|o|ou|u|или)\b|或|还是)\s?(?:\b(?:option|choice|maybe|perhaps|possibly|even|also|it|"
    rf"(?:could|might|may) (?:also )?be)\s){{0,3}}[\"'(\[]?[A-Ha-h](?![{W}])"
)
# "is the best", "ist richtig", "es la correcta", "est la bonne", "是正确的", "(correct)".
VERDICT = (
    r"\b(?:is|are|(?:would|should|must|has to) be|seems|appears|looks|sounds|ist|sind|wäre|es|son|est|sont)\s(?:to "
    r"be )?"
    r"(?:(?:clearly|therefore|thus|definitely|indeed|all|both|probably|likely) ){0,2}"
    r"(?:(?:the|a|la|el|die|le|most|only|single|more|plus|más) ){0,3}"
    r"(?:best|closest|correct|right|true|accurate|appropriate|suitable|answer|(?<=most )likely|richtige?n?|korrekt|"
    r"beste|"
    r"antwort|correct[oae]s?|mejor|respuesta|bonne|meilleure|réponse)\b|\bestá correta\b|\bправильн\w{1,3}\b|"
    r"(?:が|는|은|이|가)\s?(?:正解|正しい|適切|정답)|\bit is(?=\s?[.!]?$)|"
    r"\bmakes (?:the most )?sense\b|\bremains\b|\bis the (?:one|only one)\b|"
    r"\b(?:fits|matches|applies|describes (?:it|this)) best\b|\bbest (?:fits|matches|describes|answers|captures)\b|"
    r"(?<=\bonly [A-H] )(?:fits|matches|applies|works|qualifies|remains)\b|"
    r"\(correct\)|都?是?(?:正确|对)的|都?是?正确(?!的?[选答])"
)
# "is not", "is wrong", "ist falsch", "错误".
DENIED = (
    r"\b(?:is|was|are|would be|seems|ist|es|est)\s(?:\w+ )?(?:not|incorrect|wrong|false|invalid|falsch|nicht|"
    r"incorrect[ao]?|"
    r"fausse|faux)\b|\b(?:isn|aren|doesn|wouldn)'t\b|\bcan(?:not| not|'t) be\b|\bdoes not\b|\bno es\b|\bn'est pas\b|"
    r"\best[áa] errad[ao]\b|\bnão\b|\bno (?:lo )?(?:es|está)\b|(?<=\b[A-H] )no\b|\bне\b|неправильн|неверн|ошибочн|"
    r"\(wrong\)|错误|不正确|不对|ではありません|ではない|(?:이|가)?\s?아니|(?:이|가)?\s?아닙"
)
# "I don't think", "I doubt", "it is unlikely that": what the sentence goes on to say is not meant.
DOUBTED = (
    r"\b(?:(?:do|does|did|would|can|could) not|(?:don|doesn|didn|wouldn|can|couldn)'t|cannot|never) (?:really )?"
    r"(?:think|believe|say|agree|see|choose|select|pick|go)\b|\bdoubt\b|\bunlikely\b|\bnot (?:sure|certain|"
    r"convinced|true)\b|"
    r"\b(?:weiß|glaube|denke) (?:ich )?nicht\b|\bno (?:creo|sé|pienso)\b|\bne (?:pense|crois|sais) pas\b|"
    r"\bnão (?:acho|creio|sei)\b|我不认为|不确定"
)
# Behind a letter: "B? I am not sure", "B if it were signed", "B unless".
HEDGED = r"[\"')\]]{0,2}\s?(?:\?|,?\s(?:only )?(?:if|unless|provided that|wenn|falls|si)\b|か[?？]|吗)"
# Before the verb of "la respuesta no es B", "a resposta não é B".
DENIED_LINK = (
    r"\b(?:not|no|não|non|nicht|never|cannot|не|(?:n'est|est) pas)\s(?:(?:es|é|è)\s)?(?:(?:the|die|der|la|"
    r"le|a)\s)?$|不$"
)
# "If it were signed, ...": what is said is not meant here.
CONDITIONAL = r"\b(?:if(?! i had to)|unless|had|were it|suppose|assuming|wenn|falls|si|se)\b|如果|若"
# Behind a letter with a comma or blank: "because", "as", "not", "weil", "porque", "parce que".
REASON = (
    r",?\s(?:because|since|as|due|given|for|rather|instead|over|which|weil|da|denn|porque|ya que|pues|"
    r"parce|car|puisque|perché|poiché)\b|,\s(?:not|nicht|no|non|pas)\b|\s(?:and )?not [\"'(\[]?[A-H]\b|"
    r"[,\s]{0,2}(?:因为|由于|不是)"
)
