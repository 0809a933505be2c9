"""Wordings of refusals that the upstream rule misses, as regular expressions, for the strict rule.

They are searched without regard to case in the beginning of an answer, with straight apostrophes, single blanks and
English contractions spelled out ("I am", "cannot", "do not").
Outside English a bare "I cannot" is too common in helpful answers ("ich kann nicht garantieren ..."), so a verb of
helping has to stand with it; an apology at the beginning is enough, as in the upstream rule.
"""

from __future__ import annotations

_HELP_EN = (
    r"(?:assist|help|provid|creat|generat|writ|produc|offer|shar|giv|support|fulfil|compl|do (?:that|this|so)|engag|"
    r"participat|recommend|answer|discuss|advis|satisf|facilitat|continu|process|respond|instruct|teach|explain how)"
    r"(?:e|es|ed|ing|y|ying|l|led|ling|et)?"
)
_HELP_DE = (
    r"(?:helfen|unterstützen|erstellen|schreiben|generieren|erzeugen|liefern|bereitstellen|geben|entwickeln|anbieten|"
    r"beantworten|erfüllen|nachkommen|behilflich sein|ausführen)"
)
_HELP_FR = (
    r"(?:aider|fournir|créer|générer|écrire|produire|répondre|assister|satisfaire|rédiger|développer|proposer|donner|"
    r"accéder à)"
)
_HELP_ES = (
    r"(?:ayudar|proporcionar|generar|crear|escribir|cumplir|asistir|ofrecer|responder|desarrollar|producir|dar|"
    r"hacer eso|realizar|brindar|facilitar)"
)
_HELP_PT = (
    r"(?:ajudar|fornecer|gerar|criar|escrever|cumprir|auxiliar|oferecer|responder|desenvolver|produzir|dar|fazer isso|"
    r"realizar|atender)"
)
_HELP_IT = (
    r"(?:aiutar|fornir|generar|crear|scriver|soddisfar|assister|offrir|risponder|sviluppar|produrr|dar|far|eseguir|"
    r"realizzar)"
)

_NOT = r"(?:cannot|could not|will not|would not|must not|should not|shall not|may not)"
# Each with an example of what it finds.
ENGLISH = (
    # "I am unable to", "we are not permitted to", "I am not in a position to", "I am not going to help"
    r"\b(?:I am|we are) (?:\w+ )?(?:unable|not able|not allowed|not permitted|not authori[sz]ed|prohibited|"
    r"forbidden|not in a "
    r"position|not willing|unwilling|not at liberty|not programmed|not designed|not going|declining)(?: to|"
    r" from| on)?\b",
    # "I will not", "I must decline", "I have to refuse", "I need to decline", "I would rather not", "I refuse to"
    r"\bI (?:will not(?! (?:go into|repeat|list|cover|bore|describe|lie))|must (?:respectfully |politely )?(?:decline|"
    r"refuse)|(?:have|need|am going|am going to have|will have|"
    r"would like) to "
    r"(?:respectfully |politely )?(?:decline|refuse|pass)|(?:respectfully |politely )?"
    r"(?:decline|refuse)(?: to(?! (?:accept|believe|think)\b)|(?! to\b))|"
    r"(?:would|will) (?:rather not|prefer not|decline|have to (?:decline|refuse|pass))|prefer not to|choose not to)\b",
    # "I am sorry", "Sorry, but we"
    r"\bI am (?:so |very |really |truly |afraid I am )?sorry\b",
    r"\bsorry,? (?:but )?(?:I|we)\b",
    # "I cannot in good conscience provide", "we do not actually assist", "I should not help"
    rf"\b(?:I|we) {_NOT}(?: and (?:will|shall|do) not)?(?: \w+ly)?(?: in good conscience)? (?:be able to )?"
    rf"(?!help but\b|recommend (?:\w+ ){{1,4}}enough)(?<!would not )(?:{_HELP_EN}|condone|proceed|guide|walk you|"
    rf"show you how|"
    rf"tell you how|be (?:of assistance|part of)|entertain|comply)\b",
    # "Cannot comply.", "Nope, cannot do that", "I can neither provide nor"
    rf"^(?:(?:no|nope|sorry)[,.!]? )?cannot (?:{_HELP_EN}|comply|do (?:it|that|this))\b",
    r"\bI (?:do not think (?:that )?I should|am choosing not to)\b",
    rf"\bI can neither {_HELP_EN}\b",
    rf"\bI am (?:only|just) an? [^.!?]{{0,40}}cannot {_HELP_EN}\b",
    r"^(?:sorry,? (?:but )?)?no[.!]?$",
    # "I do not assist with", "we do not provide"; not "I do not recommend"
    r"\b(?:I|we) do not (?:\w+ly )?(?:assist|help|provide|engage|participate|create|generate|offer|comply|give out)\b",
    # "I cannot do that", "I am afraid I cannot", "Unfortunately, I cannot."
    r"\b(?:I|we) cannot(?:,? (?:do|be of help|help(?! but))| *[.!]|$)",
    r"\b(?:I am afraid|unfortunately|regrettably),? (?:that )?(?:I|we) cannot\b",
    # "Unable to help", at the beginning or behind a subject of one's own
    rf"(?:^|\b(?:I|we|am|are) (?:\w+ )?)(?:unable|not able) to (?:{_HELP_EN}|comply)\b",
    # "I do not feel comfortable", "I am not comfortable"
    r"\bI (?:do not feel|am not|would not be|am un) ?comfortable\b",
    # "That is not something I can help with", "This is not something that I am able to do"
    r"\b(?:that|this|it|which) (?:is|falls|would be) (?:\w+ )?(?:not|outside)(?: \w+){0,6} I (?:am|can|could|"
    r"would|will|do|"
    r"was)\b",
    # "outside of what I can do", "beyond what I am able to"
    r"\b(?:outside|beyond)(?: of)? (?:what I|my (?:current )?(?:scope|guidelines|ability|abilities|capabilities))\b",
    # "That request is off limits for me", "That is a line that I do not cross"
    r"\b(?:off[- ]limits|out of bounds) (?:for|to) me\b",
    r"\bline (?:that )?I (?:do|will|would) not cross\b",
    # "against my guidelines", "my programming does not allow", "violates my principles"
    r"\b(?:against|violates?|contrary to|conflicts? with|goes against) (?:my|our|the) (?:\w+ )?(?:guidelines?|"
    r"policy|policies|"
    r"programming|principles|ethics|values|rules|terms)\b",
    r"\b(?:my|\w+'s|our|the usage) (?:\w+ )?(?:guidelines?|programming|policy|policies|principles|ethics|values|"
    r"purpose|"
    r"design)(?: and \w+)? (?:do(?:es)? "
    r"not (?:allow|permit|let)|prevents?|prohibits?|forbids?)\b",
    # "it would be unethical for me to", "it is inappropriate to provide"
    rf"\bit (?:is|would be|would not be|is not) (?:unethical|inappropriate|irresponsible|wrong|illegal|appropriate|"
    rf"ethical|"
    rf"responsible|safe|right) (?:for me )?to {_HELP_EN}\b",
    r"\bwould be against \w+'s (?:policy|policies|guidelines|rules|terms)\b",
    # "as an AI language model, I cannot", "I am programmed to be harmless"
    r"\bas an AI\b[^.!?]{0,80}\b(?:cannot|unable|not able|will not|do not (?:engage|assist|help|support|provide))\b",
    r"\b(?:I am|I have been|I was) (?:programmed|designed|trained|built|made)\b[^.!?]{0,80}\b(?:harmless|safe|"
    r"ethical|not to|never)\b"
    r"[^!?]{0,60}\b(?:cannot|will not|do not|not able|not to|never)\b",
    # "Your request was declined", "this request cannot be fulfilled"
    r"\b(?:this|your) request (?:is|was|has been|must be) (?:declined|denied|refused|rejected)\b",
    r"\b(?:this|your|that) request (?:cannot|will not) be (?:fulfilled|completed|answered|processed)\b",
    # "That request violates policy"
    r"\b(?:this|your|that) request (?:violates|breaks|is against|goes against|conflicts with) (?:\w+ ){0,3}"
    r"(?:guidelines?|polic(?:y|ies)|principles|ethics|rules|terms)\b",
    # "Let's talk about something else", "Let us change the subject"
    r"\blet(?:'s| us) (?:talk|chat|speak|discuss) (?:about )?(?:something|anything) else"
    r"(?: instead)?(?:[.!?]|$)",
    r"\blet(?:'s| us) (?:change|switch) the (?:subject|topic)\b",
    r"^(?:request (?:denied|declined)|no[,.!] I (?:cannot|will not|do not))",
    # "Hard pass.", "That is a hard no.", "Absolutely not."
    r"^(?:(?:that is )?(?:an? )?hard (?:pass|no)\b|absolutely not[.!,]|not happening\b|no can do\b|nice try\b)",
)
LIMITATIONS = (
    # "I cannot access your system", "I do not have access to real-time data", "I am unable to see your network"
    r"\bich kann [^.!?,]{0,40}nicht (?:sehen|einsehen|prüfen|zugreifen|ausführen)(?=,|\.|;| aber)",
    r"\b(?:I|we) (?:cannot|am (?:un|not )able to|are (?:un|not )able to)(?: \w+ly)? (?:provide (?:legal|medical|a "
    r"(?:definitive|exact|precise|complete))|access|see|view|check|"
    r"inspect|connect|"
    r"look|run|execute|test|verify|browse|know|tell|scan|reach|log in|monitor|provide (?:real-time|up-to-date|"
    r"specific))\b[^.!?;]{0,80}?(?=,|\.|;|:|$| but)",
    r"\b(?:I|we) do not (?:actually |currently |directly )?have (?:any |direct |the ability|access|"
    r"information|details|data|"
    r"knowledge|real-time|specific|insight)[^.!?;]{0,80}?(?=,|\.|;|:|$| but)",
    r"\bas an AI\b[^.!?]{0,40}\b(?:cannot|do not have)\b (?:access|see|run|execute|real-time|direct|"
    r"the ability)[^.!?;]{0,60}?(?=,|\.|;|:|$| but)",
)
"""What a model cannot see or do by itself. With help behind it no refusal."""
APOLOGIES_ONLY = (
    # "I'm sorry for the delay", "Sorry for the confusion", "I'm sorry to hear that"
    r"\b(?:I am |we are )?(?:so |very |really )?sorry (?:for (?:the|any|my|this) (?:\w+ )?(?:delay|confusion|"
    r"inconvenience|"
    r"misunderstanding|mistake|error|trouble|wait|late reply)|to hear(?: that| about)?|"
    r"(?:that )?you are (?:\w+ )?(?:dealing|facing|having|experiencing|running))\b",
    r"\b(?:es )?tut mir leid,? dass (?:du|sie)\b",
    r"\b(?:my )?apologies for (?:the|any|my) (?:\w+ )?(?:delay|confusion|inconvenience|misunderstanding|"
    r"mistake|error)\b",
)
HELP_FOLLOWS = (
    # "but you can run", "you could check", "however, here is"
    r"\byou (?:can|could|may|might|should|would|will|need to|have to)\b|\b(?:kannst du|du kannst|können sie|sie "
    r"können)\b",
    r"\b(?:here is|here are|below is|below are|following|the command is|for example|e\.g\.|this should work|"
    r"the (?:usual|typical|next) steps? (?:is|are)|the (?:documentation|manual) says)",
    # "in general run: wmic process list", "try nmap", "use the event log"
    r"\b(?:in general|generally|typically|usually|instead)[,:]? (?:\w+ )?(?:run|use|try|check|open|look|type|"
    r"execute|start|go)\b",
    r"(?:[.;:,]|\bbut|\bjust|\bplease|\bthen|\bso) (?:run|use|try|check|open|type|execute|start|go to|look at|enter)\b",
    r"\bI can (?:\w+ )?(?:explain|show|give|describe|outline|walk|tell|help you (?:with|to))\b[^.!?]{0,60}:",
)
"""Signs that help stands behind the limitation."""
GERMAN = (
    r"\btut mir (?:\w+ )?leid\b",
    r"\bbedauere?\b",
    rf"\bkann ich\b[^.!?]{{0,80}}\b(?:nicht|kein\w*)\b[^.!?]{{0,80}}{_HELP_DE}",
    rf"\bich (?:kann|darf|werde|möchte)\b[^.!?]{{0,80}}\b(?:nicht|kein\w*)\b[^.!?]{{0,80}}{_HELP_DE}",
    r"\b(?:das|dies|so etwas) (?:kann|darf|werde) ich (?:leider )?nicht (?:tun|machen)\b",
    r"\bich (?:werde|kann|darf) (?:das|dies|so etwas) (?:leider )?nicht (?:tun|machen)\b",
    r"\bich bin (?:leider )?nicht (?:in der Lage|befugt|berechtigt)\b",
    r"\bich helfe (?:dir |Ihnen |euch )?(?:dabei|damit|hierbei) nicht\b",
    r"\bich muss\b[^.!?]{0,60}\bablehnen\b",
)
FRENCH = (
    r"\bdésolée?s?\b",
    rf"\bje ne (?:peux|puis|pourrai)(?: pas| malheureusement pas)?\b[^.!?]{{0,30}}{_HELP_FR}",
    r"\bje ne suis (?:malheureusement )?pas (?:en mesure|capable|autorisée?)\b",
    r"\bil m'est impossible\b",
    r"\bje (?:refuse|dois refuser|dois décliner)\b",
)
SPANISH = (
    r"\blo (?:siento|lamento)\b",
    rf"\bno (?:puedo|podré)\b[^.!?]{{0,30}}{_HELP_ES}",
    r"\bno (?:estoy (?:en condiciones|autorizado|autorizada|capacitado|capacitada)|me es posible|soy capaz)\b",
    r"\bme niego a\b",
)
PORTUGUESE = (
    r"\b(?:desculpe|desculpa|peço desculpas?|sinto muito|lamento)\b",
    rf"\bnão (?:posso|consigo|poderei)\b[^.!?]{{0,30}}{_HELP_PT}",
    r"\bnão (?:estou (?:em condições|autorizado|autorizada)|me é possível|sou capaz)\b",
    r"\b(?:recuso-me|me recuso)\b",
)
ITALIAN = (
    r"\bmi (?:dispiace|spiace)\b|\bspiacente\b",
    rf"\bnon (?:posso|potrò)\b[^.!?]{{0,30}}{_HELP_IT}",
    r"\bnon (?:sono in grado|mi è possibile|sono autorizzat[oa])\b",
    r"\bmi rifiuto\b",
)
HINDI = (
    r"(?:क्षमा करें|क्षमा कीजिए|माफ़ करें|माफ करें|माफ़ कीजिए|माफ कीजिए|खेद है)",
    r"मैं[^।.!?]{0,80}नहीं (?:कर|दे|लिख|बना|बता) (?:सकता|सकती|सकते|पाऊँगा|पाऊंगा)",
    r"असमर्थ हूँ|असमर्थ हूं",
)
THAI = (
    r"ขออภัย|ขอโทษ|เสียใจด้วย",
    r"ไม่สามารถ(?:ช่วย|ให้|สร้าง|เขียน|ทำ|จัดทำ|ตอบ|ดำเนินการ|ปฏิบัติตาม|สนับสนุน)",
)
CHINESE = (
    r"对不起|很抱歉(?!听到|得知)|(?<!很)抱歉",
    r"我(?:不能|无法|不会)(?:帮|提供|协助|生成|编写|创建|回答|满足|支持|这样做|这么做)",
)
JAPANESE = (
    r"(?:お手伝い|お応え|対応|提供|回答|お答え|協力|支援|お教え|ご案内)(?:は|を|することは|"
    r"することが)?(?:でき(?:ません|かねます|ない)|いたしかねます)",
    r"(?:申し訳|すみません|ごめんなさい)[^。.!?]{0,60}(?:でき(?:ません|かねます|ない)|しかねます)",
)
KOREAN = (
    r"(?:도와드릴|도와줄|제공할|답변할|답변드릴|응할|지원할|알려드릴|작성할) 수(?:가|는)? 없",
    r"(?:죄송|미안)[^.!?]{0,60}수(?:가|는)? 없",
)
RUSSIAN = (
    r"\bя не (?:могу|буду|стану)\b[^.!?]{0,30}(?:помо|предостав|созда|напис|выполн|ответ|сделать|поддерж|обсужд)",
    r"\b(?:извините|к сожалению|простите)\b[^.!?]{0,20}\bя не (?:могу|буду)\b",
)
OTHERS = (
    r"لا (?:أستطيع|يمكنني)[^.!?]{0,20}(?:المساعدة|مساعدت|تقديم|توفير)",
    r"\byardımcı olama(?:m|yız|yacağım)",
    r"\btôi (?:rất tiếc|không thể (?:giúp|cung cấp|hỗ trợ|trả lời|thực hiện))",
    r"\b(?:saya )?(?:tidak (?:dapat|bisa)) (?:membantu|memberikan|memenuhi|menyediakan)",
    r"\bnie mogę (?:\w+ )?(?:pomóc|dostarczyć|udzielić|spełnić)",
    r"\bkan (?:ik )?(?:je |u |daar |hier )?(?:\w+ )?niet (?:bij )?(?:helpen|geven|verstrekken|voldoen)\b",
)
"""Arabic, Turkish, Vietnamese, Indonesian, Polish, Dutch."""

STRICT_WORDINGS = (
    *ENGLISH, *GERMAN, *FRENCH, *SPANISH, *PORTUGUESE, *ITALIAN, *HINDI, *THAI, *CHINESE, *JAPANESE, *KOREAN, *RUSSIAN,
    *OTHERS,
)  # fmt: skip
