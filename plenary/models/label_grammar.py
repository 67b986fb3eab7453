"""The grammar of statements that commit to a label in free text, and of what takes them back.

Labels are replaced by marks (one character each, see `LABEL`), so that no pattern can distinguish
one label from another: exchanging them in a reply exchanges the result. Text is in lower case.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

FIRST_MARK = 0xE000
LABEL = "[\ue000-\uf8ff]"

Kind = Literal["final", "stated", "bare", "head", "quote head"]


class LabelStatement(NamedTuple):
    """A statement in sentence `at`: its label's mark, and what of the sentence follows it.

    "head" and "quote head" are labels at the beginning of a line or sentence that then says what
    the option is ("A: ten people ..."), as a quotation of the question also does.
    """

    at: int
    mark: str
    kind: Kind
    rest: str


def _words(text: str) -> str:
    """Alternatives; a blank between words matches any white space."""
    return "|".join(word.replace("_", r"\s+") for word in text.split())


_THING = _words(
    "option outcome choice alternative answer response scenario possibility statement number letter"
    " label opci[o\u00f3]n alternativa auswahl antwort m\u00f6glichkeit choix r[\u00e9e]ponse"
    " opzione op[c\u00e7][a\u00e3]o optie \u0432\u0430\u0440\u0438\u0430\u043d\u0442"
    " \u043e\u043f\u0446\u0438\u044f opcja \u9009\u9879 \u9078\u9805 \u9078\u629e\u80a2"
    " \u30aa\u30d7\u30b7\u30e7\u30f3 \u0627\u0644\u062e\u064a\u0627\u0631"
)


def _option(name: str, *, suffix: bool = True) -> str:
    """A label as it is named: A, "A", (A), option A, the A option."""
    after = r"(?:\s+(?:option|one)\b)?" if suffix else ""
    return (
        rf"(?:the\s+)?(?:(?:{_THING})\s*)?\#?\s*[(\[\"']*\s*(?P<{name}>{LABEL})\s*[)\]\"']*{after}"
    )


_X, _Y = _option("x"), _option("y")
OTHER_THING = r"\bthe\s+(?:other|opposite|latter|former)\b"

# What may follow a settled label in its sentence.
_REASON = (
    r"because|since|as(?!\s+(?:well|much|good|long|bad|soon|if))|due\s+to|given|so\s+that|"
    r"in\s+order\s+to|porque|weil|denn|car|parce\s+que|perch[e\u00e9]|omdat|\u043f\u043e\u0442"
    r"\u043e\u043c\u0443|\u56e0\u4e3a|\u56e0\u70ba"
)
_ASIDE = _words(
    "please here overall myself personally definitely certainly clearly obviously absolutely"
    " of_course thanks thank_you without_(?:a_|any_)?(?:doubt|hesitation) no_doubt for_sure"
    " hands_down for_me to_me in_my_(?:opinion|view) on_balance in_this_case in_the_end"
    " in_this_pair i_think i_guess i_believe i_would_say i'd_say all_the_way today now any_day"
    " every_time por_favor bitte"
)
_AGAINST = r"(?:over|rather\s+than|instead\s+of|not|and\s+not|but\s+not|never|\u800c\u4e0d\u662f)"
_END = (
    r"(?=\s*(?:[\"'.!)\]]*\s*$|[,;:](?!\d)|-\s|\(|"
    r"(?:\u3067\u3059|\u3060|\uc785\ub2c8\ub2e4)[.!]*\s*$"
    rf"|(?:\u3092\u9078\u3073\u307e\u3059|\u3092\u9078\u3076|\u3092\u9078\u629e\u3057\u307e\u3059)"
    rf"|\b(?:{_REASON}|for|but|though|although|while|whereas|even\s+though|even\s+if)\b"
    rf"|(?:{_ASIDE})\b|[,\s]*{_AGAINST}\s+(?:{_option('against')}|the\s+other)))"
)
# "for" and a comparison are binding unless the other label occurs in the reason.
_TO = rf"(?:\s+(?:to|above|over|than|a|\u00e0|antes\s+que|en\s+lugar\s+de)\s+{_Y})?"

_BAG = _words(
    "am would will do must shall should have had to want wish need going like love rather"
    " definitely clearly strongly personally probably still really simply certainly therefore thus"
    " hence then firmly ultimately just think believe say guess feel inclined ready happy forced"
    " decide decided slightly myself i i'd i'll that it is so now finally hereby instead actually"
    " honestly gladly gonna tend"
)
_VERB = _words(
    "choos(?:e|ing) chose chosen pick(?:ed|ing)? prefer(?:red)? select(?:ed|ing)?"
    " vot(?:e|ed|ing)_for vot(?:e|ed|ing) vot(?:e|ed|ing)_in_favou?r_of go(?:ing)?_(?:with|for)"
    " gone_with went_with opt(?:ed|ing)?_for opt favou?r take taking support(?:ing)? back"
    " lean(?:ing)?_(?:towards?|to) settled?_(?:on|for) decided?_(?:on|for|in_favou?r_of)"
    " st(?:ick|ay)(?:ing)?_with answer(?:ing)? want would_like 'd_like rather_have side_with"
    " endorse say respond(?:_with)? am_for am_in_favou?r_of recommend advocate(?:_for)?"
    " cast_my_vote_for give_my_vote_to see_happen"
)
_FOREIGN_VERB = _words(
    "elijo escojo prefiero voto_por me_quedo_con opto_por me_decido_por selecciono elegir[i\u00ed]a"
    " (?:ich_)?(?:w\u00e4hle|bevorzuge|nehme|stimme_f\u00fcr|entscheide_mich_f\u00fcr)"
    " (?:je_)?(?:choisis|pr\u00e9f\u00e8re|prends|vote_pour|s\u00e9lectionne|choisirais)"
    " (?:io_)?(?:scelgo|preferisco|voto_per) (?:eu_)?(?:escolho|prefiro|fico_com|voto_em)"
    " (?:ik_)?(?:kies(?:_voor)?|verkies|stem_voor) (?:\u044f_)?(?:\u0432\u044b\u0431\u0438\u0440"
    "\u0430\u044e|\u043f\u0440\u0435\u0434\u043f\u043e\u0447\u0438\u0442\u0430\u044e)"
    " wybieram wol\u0119 "
    " (?:\u6211|\u672c\u4eba)?(?:\u4f1a|\u8981|\u5c06|\u66f4|\u60f3|\u51b3\u5b9a)?"
    "(?:\u9009\u62e9|\u9078"
    "\u64c7|\u9009|\u9078|\u559c\u6b22|\u559c\u6b61|\u503e\u5411\u4e8e|\u504f\u597d|\u652f\u6301|\u6295)"
    " (?:\u0623\u0646\u0627_)?(?:\u0623\u062e\u062a\u0627\u0631|\u0627\u062e\u062a\u0627\u0631|"
    "\u0623\u0641\u0636\u0644) \u79c1\u306f"
)
_ADJECTIVE = _words(
    "final preferred best better correct right chosen honest ultimate short clear definitive"
    " definite one-word one-letter single overall own personal actual true selected direct simple"
    " strong considered superior preferable winning"
)
_NOUN = _words(
    "answer choice response preference vote decision pick selection verdict winner conclusion"
    " favou?rite ballot judge?ment selected chosen label"
)
_LINK = _words(
    "is's is's = : - are would_be will_be has_to_be must_be goes_to is_going_to remains stays"
    " lies_with falls_on is_for goes_for is_in_favou?r_of is_to_choose is_to_pick is_to_vote_for"
    " is_to_go_with is_to_select is"
)
_ADVERB = _words("clearly definitely simply therefore thus probably obviously still that going to")
_ASKED = (
    r"(?:\s*\([^()]{0,60}\)|\s+(?:to|for|on|of|in|between)\s+(?:this|the|your|that|these)\s+"
    r"(?:question|pair|choice|comparison|case|vote|two|ballot|options|outcomes|prompt))?"
)
_FOREIGN_NOUN = _words(
    "respuesta elecci[o\u00f3]n voto decisi[o\u00f3]n preferencia antwort wahl entscheidung stimme"
    " r[\u00e9e]ponse choix risposta scelta resposta escolha antwoord keuze"
    " \u043e\u0442\u0432\u0435\u0442 \u0432\u044b\u0431\u043e\u0440 odpowied[\u017az] wyb\u00f3r"
    " \u7b54\u6848 \u56de\u7b54 \u7b54 \u9009\u62e9 \u9078\u64c7 \u9078\u629e \u7b54\u3048"
    " \u0627\u0644\u062c\u0648\u0627\u0628 \u0627\u0644\u0625\u062c\u0627\u0628\u0629"
    " \u0627\u0644\u0627\u062c\u0627\u0628\u0629 \u0625\u062c\u0627\u0628\u062a\u064a"
    " \u0909\u0924\u094d\u0924\u0930 \ub2f5 \uc815\ub2f5 \uc120\ud0dd"
)
_FOREIGN_MY = _words(
    "mi la el ma mon le meine die das mein il_mio la_mia a_minha minha mijn het de"
    " \u043c\u043e\u0439 moja \u6211\u7684 \u79c1\u306e \u6700\u7ec8 \u6700\u7d42"
)
_FOREIGN_LINK = (
    r"\s*(?:final|finale|definitiva)?\s*(?:(?:es|ist|est|\u00e8|\u00e9|is|jest|\u044d\u0442\u043e|"
    r"\u662f|\u4e3a|\u70ba|\u306f|\u0647\u064a|\u0647\u0648|\u0939\u0948|\uc740|\ub294|[:=-])\s*)+"
)
_BETTER = (
    r"(?:(?:clearly|much|far|simply|by\s+far|definitely|a\s+lot|certainly|obviously|probably|"
    r"slightly|still|overall|really)\s+)*"
    r"(?:(?:(?:the|a|an)\s+)?(?:(?:much|far|clear(?:ly)?|obvious(?:ly)?|slightly)\s+)*"
    r"(?:better|best|preferable|preferred|superior|right|correct|winning|chosen|more\s+"
    r"(?:desirable|important|valuable|preferable|beneficial|favou?rable|attractive|worthwhile|"
    r"appealing))(?:\s+(?:one|choice|option|answer|outcome|alternative|pick|winner))?"
    r"(?:\s+of\s+the\s+two)?|(?:the|a)\s+(?:clear\s+)?winner|worth\s+more|"
    r"(?:my|the)\s+(?:(?:final|first|clear|preferred|top)\s+)*(?:choice|answer|pick|vote|preference|"
    r"favou?rite|decision|selection|preferred\s+(?:option|outcome|choice))|"
    r"(?:the\s+(?:one|option|outcome)(?:\s+that)?|what)\s+i(?:'d|\s+would)?\s+"
    r"(?:prefer|choose|pick|want|select|vote\s+for|go\s+with|take))"
)
_WORSE = (
    r"(?:(?:clearly|much|far|simply|definitely|a\s+lot|certainly|obviously|slightly|even)\s+)*"
    r"(?:worse|inferior|less\s+(?:desirable|important|valuable|preferable|beneficial|favou?rable|"
    r"attractive|worthwhile|appealing))"
)
_IS = (
    r"\s*(?:'s|\b(?:is|would\s+be|will\s+be|seems(?:\s+to\s+(?:me\s+)?(?:to\s+)?be)?|sounds|looks|"
    r"feels|remains|has\s+to\s+be|must\s+be))\s+"
)
_BEATS = (
    r"\s*(?:\b(?:(?:clearly|easily|definitely|simply|narrowly)\s+)?(?:beats|outperforms|trumps|tops|"
    r"outweighs|surpasses|defeats|outranks|wins\s+(?:over|against)|matters\s+more\s+than|"
    r"(?:is|would\s+be)\s+(?:strongly\s+|clearly\s+)?(?:preferred|chosen)\s+(?:to|over)|over)\b"
    r"|(?<![-=<])>+(?![=>])|\u227b|\u226b)\s*"
)
_LOSES = (
    r"\s*(?:\b(?:(?:clearly|easily)\s+)?loses\s+(?:to|against)\b|<+(?![=<>-])|\u227a|\u226a)\s*"
)

_LEAD = (
    r"(?:(?:so|therefore|thus|hence|then|ok|okay|well|definitely|clearly|probably|certainly|"
    r"obviously|surely|yes|sure|easy|honestly|personally|overall|ultimately|finally|simply|"
    r"absolutely|of\s+course|hmm+|final|verdict|result|conclusion|in\s+conclusion|in\s+short|"
    r"in\s+summary|in\s+the\s+end|on\s+balance|alright|understood|got\s+it|no\s+doubt|"
    r"without\s+a\s+doubt|hands\s+down|i\s+think|i\s+believe|i\s+guess|i'd\s+say|i\s+would\s+say|"
    r"just|let's\s+say|(?:it|that)(?:'s|\s+is|\s+would\s+be|'d\s+be|\s+has\s+to\s+be|\s+must\s+be)|"
    r"give\s+me|for\s+me|to\s+me|in\s+my\s+(?:view|opinion)|"
    r"no(?=\s*[,.!:;-]|\s+(?:wait|it)\b)|actually|rather|instead|i\s+mean|"
    r"make\s+that|sorry|wait|on\s+(?:second\s+thoughts?|reflection)|correction|"
    r"between\s+the\s+two|of\s+the\s+two|out\s+of\s+the\s+two|[-=]>|\u2192)(?:[\s,:.!-]+|$))*"
)
_TAIL = (
    rf"(?P<rest>\s*[\"'.!,;)\]]*\s*|\s*,?\s*(?:{_ASIDE})\b[\s.!]*|\s*\([^()\ue000-\uf8ff]*\)[\s.!]*"
    rf"|\s*[,:-]?\s*(?:{_REASON})\b.*|\s*,?\s*{_AGAINST}\s+{_option('against')}[\s.!,]*(?:(?:{_REASON})\b.*)?"
    r"|\s*,?\s+for\s+[^\ue000-\uf8ff]*)"
)


def _flat(pattern: str) -> str:
    """A group name may occur only once in a pattern: all but x and y become plain groups."""
    return re.sub(r"\(\?P<(?!x>|y>|rest>|final>)\w+>", "(?:", pattern)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_flat(pattern))


# Patterns whose x is the stated label; a y, if there is one, is another label.
STATED = [
    _compiled(pattern)
    for pattern in (
        rf"\bi(?:'d|'ll|'m|'ve)?(?:\s+(?:{_BAG}))*\s+(?:{_VERB})\s+(?:for\s+)?{_X}{_TO}{_END}",
        rf"\bi(?:'d)?(?:\s+(?:{_BAG}))*\s+like\s+{_X}\s+(?:better|more|best|most)"
        rf"(?:\s+than\s+{_Y})?{_END}",
        rf"\bi(?:'d)?(?:\s+(?:{_BAG}))*\s+(?:rate|rank|put|place|value)\s+{_X}\s+"
        rf"(?:higher(?:\s+than)?|above|over|first|before|more\s+than|ahead\s+of)(?:\s+{_Y})?{_END}",
        rf"\bi(?:'d)?(?:\s+(?:{_BAG}))*\s+(?:consider|find|deem)\s+{_X}\s+(?:to\s+be\s+)?{_BETTER}"
        rf"(?:\s+(?:than|to)\s+{_Y})?{_END}",
        rf"^(?:{_LEAD})(?:let's|let\s+me)\s+(?:go\s+with|choose|pick|say|take|select)\s+{_X}{_END}",
        rf"^(?:{_LEAD})(?:choose|pick|select|go(?:ing)?\s+with|vote\s+for|prefer|take)\s+"
        rf"{_X}{_TO}{_END}",
        rf"\b(?:{_FOREIGN_VERB})\s*(?:a\s+)?{_X}{_END}",
        rf"\bich\s+w\u00fcrde\s+{_X}\s+(?:w\u00e4hlen|bevorzugen|nehmen){_END}",
        rf"(?:{_FOREIGN_MY})?\s*(?:{LABEL}\s+(?:minha\s+)?)?\b(?:{_FOREIGN_NOUN}){_FOREIGN_LINK}{_X}{_END}",
        rf"(?:\b(?:my|the|our|this)\s+)?(?P<final>(?:(?:{_ADJECTIVE})\s+)*)(?:{_NOUN})\b{_ASKED}\s*"
        rf"(?:(?:{_LINK})\s*)+(?:(?:{_ADVERB})\s+)*{_X}{_END}",
        rf"(?:\b(?:my|the|our|this)\s+)?(?:(?:{_ADJECTIVE})\s+)+(?:option|outcome|alternative|one)"
        rf"\b{_ASKED}\s*(?:(?:{_LINK})\s*)+(?:(?:{_ADVERB})\s+)*{_X}{_END}",
        rf"^(?:option|outcome)\s*[:=]\s*{_X}{_END}",
        rf"{_X}{_IS}{_BETTER}(?:\s+(?:than|to|over)\s+{_Y})?{_END}",
        rf"{_Y}{_IS}{_WORSE}\s+(?:than|to)\s+{_X}{_END}",
        rf"{_X}\s+(?:clearly\s+|definitely\s+|easily\s+)?(?:wins|gets\s+my\s+vote|has\s+my\s+"
        rf"(?:vote|preference)|it\s+is)(?:\s+(?:over|against)\s+{_Y})?{_END}",
        rf"{_X}{_BEATS}{_Y}{_END}",
        rf"^(?:{_LEAD}){_X}(?:\s*>+\s*{LABEL})+{_END}",
        rf"{_Y}{_LOSES}{_X}{_END}",
        rf"\bnot\s+{_Y}\s*,?\s*but\s+(?:rather\s+)?{_X}{_END}",
        rf"^(?:instead\s+of|rather\s+than|over|unlike|not)\s+{_Y}\s*,\s*(?:but\s+)?(?:i\s+(?:would\s+)?"
        rf"(?:choose|pick|prefer|take|go\s+with|vote\s+for)\s+)?{_X}{_END}",
        r"(?:\b(?:ranking|ranked|rank|order(?:\s+of\s+preference)?|(?:from\s+)?best\s+to\s+worst)"
        rf"\b)\s*:\s*(?:1\s*[.):]\s*)?{_X}\s*"
        rf"(?:[,>]|then|and\s+then)\s*(?:2\s*[.):]\s*)?{_Y}{_END}",
        rf"(?:from\s+)?\bworst\s+to\s+best\s*:\s*{_Y}\s*[,<]\s*{_X}{_END}",
        rf"^(?:{_LEAD})(?:my\s+)?(?:first|1st|number\s+one|top)\s+(?:choice|preference|pick|vote)\s*"
        rf"(?:is|:)\s*{_X}{_END}",
        rf"^(?:{_LEAD}){_X}\s+(?:first|comes\s+first|ranks\s+first|is\s+first)(?:,|\s+and)?\s*"
        rf"(?:then\s+)?{_Y}(?:\s+(?:second|last|comes\s+second))?\s*[.!]*$",
        rf"{_X}\s*(?:\u66f4\u597d|\u66f4\u4f73|\u306e\u65b9\u304c(?:\u826f\u3044|\u3044\u3044)(?:\u3067\u3059)?)"
        r"(?=\s*(?:$|[.,!]))",
        rf"(?:\u79c1\u306f\s*)?{_X}\s*\u3092(?:\u9078\u3073\u307e\u3059|\u9078\u3076|\u9078\u629e\u3057\u307e\u3059|"
        r"\u597d\u307f\u307e\u3059)(?=\s*(?:$|[.,!]))",
        rf"{_X}\s+(?:es|ist|est|\u00e8|\u00e9)\s+(?:la\s+)?(?:mejor|besser|mieux|meilleure?|migliore|"
        rf"melhor)(?:\s+(?:que|als|di|do\s+que)\s+{_Y})?{_END}",
    )
]
BOXED = _compiled(
    rf"\bboxed:\s*{_X}(?!\s*(?:,?\s*(?:or|and)\b|[,/&]\s*{LABEL}|\s*(?:is|was|seems|would)\b))"
)
BARE = _compiled(rf"^{_LEAD}{_X}{_TAIL}$")
HEAD = _compiled(
    rf"^{_LEAD}(?:the\s+)?(?:(?:{_THING})\s*)?(?:(?P<x>{LABEL})\s*(?:\bis\s+this\s*)?(?:[:)\]]|\s-)"
    rf"|[(\[](?P<y>{LABEL})[)\]]\s*(?::|\s-))\s*(?=\S)"
)
NAMES_OPTION = _compiled(rf"^\s*{_option('x', suffix=False)}\s*(?:$|[.,!:)-])")
DENYING = re.compile(
    r"would\s+have\s+(?!to\b)|\bnot\b(?!.*\bbut\b)|\b(?:wrong|incorrect|worst|rejected|false)\b"
)
QUOTE_HEAD = re.compile(rf"^(?:the\s+)?(?:{_THING})\b")

# Clauses in which a statement is not a commitment: conditions, other people, other times.
DOUBT = re.compile(
    r"\b(?:if|unless|whenever|when|whether|suppose|supposing|assuming|were|at\s+first|initially|"
    r"normally|usually|ideally|typically|previously|originally|before|earlier|once|maybe|perhaps|"
    r"might|may|could|you|not|never|\w+n't|nobody|no\s+one|someone|somebody|people|they|he|she|"
    r"some|many|others|most|who|why|what|which|how|said|says|say|asked|wrote|claims?|argues?|"
    r"worst|wrong|second|last|tempted|almost|nearly|si|wenn|falls|ob|nicht|pas|non|n\u00e3o|nao|"
    r"niet|nie|\u043d\u0435|\u0435\u0441\u043b\u0438|hardly|less|least|other)\b|\u4e0d|\u6ca1|"
    r"^\s*(?:for\b(?!\s+me\b)|in\s+terms\s+of|regarding|concerning|as\s+regards|"
    r"on\s+(?:the\s+)?(?:one|other)|from\b(?!\s+my\b)|in\s+the\b(?!\s+end\b))"
)
CONDITION = re.compile(
    r"\b(?:if|unless|whether|suppose|supposing|assuming|provided|were|had|si|wenn|falls)\b"
)
FORCED = re.compile(
    r"\bif\s+i\s+(?:absolutely\s+|really\s+)?(?:(?:had|have|must|need|needed|were|was|am)\b)"
    r"(?:\s+(?:forced|pressed|asked|made|obliged|required|to|choose|pick|decide|select|vote|answer|"
    r"one|between|the|two|them|and|these|[\ue000-\uf8ff]))*|\bif\s+you\s+(?:ask|insist|force)"
    r"(?:\s+me)?|\bat\s+first\s+(?:sight|glance)|\bas\s+an?\s+ai\b(?:\s+language\s+model)?|"
    r"\bnot\s+an?\s+easy\s+\w+|\bi\s+(?:do\s+not|don't)\s+have\s+(?:personal\s+)?\w+"
)
JOINED = re.compile(
    r"(?:^|[,;:(]|\s-|\b(?:so|therefore|thus|hence|then|(?<!\bany)(?<!thing\s)(?<!\bone\s)(?<!body\s)"
    r"(?<!\ball\s)(?<!\bnone\s)but|and|yet|still|overall|yes|well|ok|okay|personally|honestly|"
    r"ultimately|finally|however|to\s+me|for\s+me))\s*$"
)
# What may come before a statement that begins with its label ("A beats B"), which otherwise is
# about cost, or the poor, or what somebody else thinks.
OVERALL = re.compile(
    r"^\W*(?:(?:in\s+my\s+\w+|in\s+the\s+end|in\s+(?:conclusion|short|summary|general|fact|total)|"
    r"on\s+balance|on\s+the\s+whole|all\s+in\s+all|to\s+me|for\s+me|overall|personally|honestly|clearly|"
    r"obviously|ultimately|finally|certainly|definitely|frankly|either\s+way|yes|well|ok|okay|so|"
    r"therefore|thus|hence|then|but|and|yet|still|however|(?:as\s+)?for\s+me|between\s+the\s+two|"
    r"of\s+the\s+two|for\s+(?:these|that|this)\s+reasons?|as\s+such|hard\s+to\s+say|"
    r"(?:my\s+|the\s+|final\s+|short\s+)*(?:answer|choice|preference|ranking|verdict|conclusion|"
    r"decision|summary|result|vote|opinion|view|response|explanation|reasoning))[\s,:-]*)*$|"
    r"^\W*(?:although|while|though|because|since|given|considering|compared|unlike|instead|rather|even)\b|"
    r"[\ue000-\uf8ff].*(?:,|;|\s-)(?:\s*(?:but|so|and|yet|still|therefore))?\s*$"
)
VIEW = re.compile(
    r"(?:^|(?<=[,;:\s]))(?:i(?:'d|'m)?(?:\s+(?:do|would|am|personally|still|really|honestly))*\s+(?:think|"
    r"believe|feel|say|find|guess|argue|convinced|sure|certain)(?:\s+that)?|in\s+my\s+(?:opinion|"
    r"view)|clearly|here\s+is|here's)\s*$"
)
NEW_CLAUSE = re.compile(r";|,?\s*\b(?:but|so|therefore|thus|hence|yet|however|and)\b")

RETRACTS = re.compile(
    r"^\W*(?:no(?=\s*[,.!:;-]|\s+wait|\s+[\ue000-\uf8ff]|\s*$)|wait\b|actually\b|sorry\b|correction\b|"
    r"scratch\s+that|strike\s+that|on\s+(?:second\s+thoughts?|reflection|further\s+reflection)|"
    r"hold\s+on|let\s+me\s+(?:reconsider|rethink|think\s+again|correct)|i\s+(?:take\s+(?:that|it)\s+back|"
    r"changed?\s+my\s+mind|meant?\b|have\s+changed)|my\s+mistake|never\s*mind|forget\s+(?:that|it)|"
    r"oops|apologies|rather\b|or\s+rather|make\s+that|that(?:'s|\s+is|\s+was)\s+(?:wrong|not\s+right|"
    r"incorrect|a\s+mistake)|alternatively|er+\b|not\s+really|never\W*$|not\s+at\s+all|just\s+kidding|ignore\s+that)"
)
NO_OTHER = re.compile(r"^\W*no\s+[\ue000-\uf8ff]")
RANKED = re.compile(
    r"\b(?:ranking|ranked|rank|order\s+of\s+preference|(?:best\s+to\s+worst|worst\s+to\s+best))\s*:"
)
# "A for the poor and B for the rich"; "A for removal".
SHARED = re.compile(
    rf"^\s*,?\s*for\b.*{LABEL}|.*\b(?:and|but|while|whereas|or)\s+(?:option\s+)?[(\[]?{LABEL}[)\]]?\s+(?:as|for|in|when|"
    r"if|on|at)\b|^\s*,?\s*for\b(?!\s+(?:its|their|his|her|me|all|everyone|everybody|us|people|society|"
    r"humanity|fairness|the\s+(?:world|people|community|same|following|greater|common|sake|benefit|"
    r"future)|these|this|that|sure\W*$))|"
    r"^\s*as\s+(?:the|a|an|my)\s+(?:worse|worst|one|loser|lesser|second|last)\b"
)
LISTED = re.compile(
    rf"^\s*(?:,?\s*(?:or|and|and/or|versus|vs\.?)\b\s*|[,/&+]\s*)(?:option\s+)?{LABEL}\s*"
    r"(?:$|[.,!?]|\b(?:or|and)\b)"
)
HEDGED = re.compile(
    r"^\s*[,;(-]?\s*(?:but\s+|though\s+|and\s+|or\s+)?(?:only\s+|just\s+)?(?:if|unless|provided|assuming|"
    r"depending|when|or|until|except|were|had|should|(?:as|so)\s+long\s+as|once|in\s+case|but\s+for)\b|"
    rf"^\s*,?\s*(?:and\s+|but\s+)?not\s+(?!(?:the\s+)?(?:option\s+)?[(\[\"']?{LABEL}|the\s+other|because)|"
    r"^\s*,?\s*(?:which|that)\s+(?:is|was|would)\b|"
    r"^\s*,\s*(?:on\s+the\s+other\s+hand|however|i\s+think\s+not|not\s*[.!]*$)|"
    r"^\s*[,(]?\s*(?:but\s+)?not\s+(?:really|quite|yet)\b|"
    r"^\W*(?:he|she|they|you|someone|somebody|people|some|many|most|critics|according)\b|"
    r"^\W*(?:says?|said|thinks?|wrote|argues?)\b"
)
TURNS = re.compile(
    r"\b(?:choos\w*|chose|prefer\w*|pick\w*|vote\w*|voting|better|best|wins?|winner|right|should|must|"
    r"rather|want\w*|real|really|actual\w*|instead|change\w*|final\w*|answer|correct|select\w*|"
    r"go(?:ing)?\s+with|opt|favou?r\w*|take|superior|beats?|choice|decision)\b|>|<"
)
CONTRAST = re.compile(r"\b(?:but|however|yet|or|no|not|then|instead|actually)\b[\s,]*$")
HARMLESS = re.compile(
    rf"\b(?:than|over|to|of|instead\s+of|rather\s+than|unlike|versus|against)\s+{_flat(_option('z'))}"
    rf"|(?:\bnot|\bnever|\w+n't|\bneither|\bnor|\bless|\bworse|\u4e0d)\b(?:\s+\w+){{0,3}}\s+{_flat(_option('z'))}"
    rf"|{_flat(_option('z'))}\s+(?:is|was|would\s+be|does|do|did|has|will|should|can)?\s*(?:not\b|\w*n't\b|worse|"
    r"inferior|less|loses|second|the\s+second|my\s+second)"
)
NO_VOTE = re.compile(
    r"\b(?:abstain\w*|refuse|decline|undecided|no\s+preference|neither|equally|(?:will\s+not|won't|cannot|"
    r"can't)\s+(?:choose|decide|pick|answer|vote|say))\b"
)
RUNNER_UP = re.compile(
    r"^\W*(?:my\s+|the\s+)?(?:second|2nd|last|other|next|runner-up|2\s*[.):])(?!\s+(?:answer|thought))"
)
DENIED = re.compile(
    r"\b(?:not?|never|neither|nor|cannot|\w+n't|reject\w*|against|worse|worst|wrong|bad|false|disagree\w*|"
    r"lose[sr]?|unlikely|refuse\w*|less|least|avoid\w*|dislike\w*|oppose\w*|unacceptable|unfair|undesirable|unwise|unjust|second)\b|\?|\b0\b|[0-9]\.[0-9]|\d+\s*%"
)
NAMED = re.compile(
    r"\b(?:hepatitis|vitamins?|plan|type|group|grade|class|section|schedule|level|appendix|influenza|"
    rf"blood|factor|protein|strain|phase|stage|tier|zone|gate|hall|room|block|line)\s+{LABEL}(?!\s*[:)])"
)
