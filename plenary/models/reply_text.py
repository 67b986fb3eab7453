"""Cleaning a model's reply: removing its reasoning, mark-up and quotations."""

from __future__ import annotations

import html
import json
import re
import unicodedata

CUT = "cut short"
CUT_ANSWER = f"{CUT}: give answers more room, chat.endpoint.answer_tokens"
CUT_REASONING = f"{CUT} while reasoning: give reasoning room, chat.endpoint.reasoning_tokens"
CUT_HERE = f"{CUT} while reasoning: give texts more room, or use a model that answers at once"

_NAMES = (
    r"(?:seed:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflect(?:ion)?|scratch_?pad|analysis|"
    r"inner_?monologue|deliberation|rationale|cot|chain_of_thought)"
)
# What begins and ends reasoning: tags of R1, Qwen,  Phi, Seed, Magistral, Kimi, Sky-T1, Cohere,
# Apertus and Gemma, and Granite's words.
_OPENS = (
    rf"<\s*{_NAMES}\b[^<>]*(?:>|$)|\[THINK\]|\u25c1think\u25b7|<\|begin_of_thought\|>|"
    r"<\|START_THINKING\|>|<\|inner_prefix\|>|<unused94>|<\|channel>thought\b|"
    rf"<\|(?:begin_of_)?{_NAMES}\|>|^\s*Here is my thought process:|```{_NAMES}\n"
)
_CLOSES = (
    rf"<\s*/\s*{_NAMES}\s*>|\[/THINK\]|\u25c1/think\u25b7|<\|end_of_thought\|>|"
    r"<\|END_THINKING\|>|<\|inner_suffix\|>|<unused95>|<channel\|>|"
    rf"<\|(?:/|end_of_){_NAMES}\|>|Here is my response:"
)
_BORDER = re.compile(rf"(?P<open>{_OPENS})|(?P<close>{_CLOSES})", re.IGNORECASE)
_STUMP = re.compile(r"(?:<\|?/?|\[|\u25c1)(?P<name>[A-Za-z_:|]{0,20})$")
_HARMONY = re.compile(r"<\|channel\|>\s*(\w*)[^<]*(?:<\|constrain\|>[^<]*)?(?:<\|message\|>)?")
# The same after decoding has dropped the control tokens: "analysisWe need ...assistantfinalB".
_BARE_HARMONY = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?=[A-Z]|\s*\n|$)")
_BARE_FINAL = re.compile(r"assistant\s*final|^\s*final\s*$", re.MULTILINE)
_CONTROL = re.compile(r"<\|[^<>|]{1,40}\|>")


def said_aloud(text: str) -> str | None:
    """The reply without its reasoning; None if it ends during the reasoning."""
    channels = list(_HARMONY.finditer(text))
    if channels:
        if channels[-1].group(1) != "final":
            return None
        text = re.split(r"<\|(?:end|return|start)\|>", text[channels[-1].end() :])[0]
    elif _BARE_HARMONY.match(text):
        parts = _BARE_FINAL.split(text)
        if len(parts) == 1:
            return None
        text = parts[-1]
    kept, depth, since = "", 0, 0
    for border in _BORDER.finditer(text):
        if border["open"] is not None:
            kept += text[since : border.start()] if depth == 0 else ""
            depth += 1
        elif depth == 0:
            kept = ""  # the prompt had opened it, so everything so far was reasoning
        else:
            depth -= 1
        since = border.end()
    stump = _STUMP.search(text)
    if depth > 0 or (stump is not None and _begins_reasoning(stump["name"])):
        return None
    kept += text[since:].lstrip("`") if since and text[:since].endswith("```") else text[since:]
    return _CONTROL.sub(" ", kept).strip()


def _begins_reasoning(name: str) -> bool:
    """Whether a tag that was cut off would have begun reasoning."""
    word = name.strip("|").casefold()
    known = ("think", "thought", "reason", "reasoning", "analysis", "channel", "begin_of_thought",
             "start_thinking", "scratchpad", "reflection")  # fmt: skip
    return bool(word) and any(full.startswith(word) for full in known)


def opens_reasoning(token: str) -> bool:
    """Whether the first token of a reply begins reasoning, or is the first part of such a tag."""
    return said_aloud(token) is None or _HARMONY.match(token) is not None


_ANSWER_KEY = re.compile(
    r"(?:final|my|your|selected|chosen)?[_ -]*(?:answer|choice|option|vote|preference|decision|"
    r"label|selection|selected|chosen|pick|verdict|prefer(?:red)?|respuesta|antwort|r\u00e9ponse)"
    r"[_ -]*(?:label|letter|id|option|choice)?",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^\s*```[\w-]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


def answers_in_json(text: str) -> list[str] | None:
    """The answers in a JSON reply; None if the reply is not JSON."""
    fenced = _FENCE.match(text)
    try:
        found = json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        return None
    while isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, dict):
        stated = [value for key, value in found.items() if _ANSWER_KEY.fullmatch(str(key))]
        return [str(v) for v in stated if isinstance(v, str | int) and not isinstance(v, bool)]
    if isinstance(found, str | int) and not isinstance(found, bool):
        return None if str(found) == text.strip() else [str(found)]
    return []


_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys(
            "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a"
            "\u300c\u300d\u300e\u300f\u300a\u300b\u3008\u3009",
            '"',
        ),
        **dict.fromkeys("\u3010\u3014\u3016", "("),
        **dict.fromkeys("\u3011\u3015\u3017", ")"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u00b4", "'"),
        **dict.fromkeys("\u3002\u0964\u06d4\uff61", ". "),
        **dict.fromkeys("\u3001\u060c\uff64", ", "),
        "\u061b": "; ",
        "\u061f": "? ",
        "\u00bf": "",
        "\u00a1": "",
        "\u2014": " - ",
        "\u2015": " - ",
        "\u2012": " - ",
        "\u2192": " -> ",
        "\u21d2": " => ",
        "\u200b": "",
        "\u200e": "",
        "\u200f": "",
        "\ufeff": "",
        "\u00ad": "",
        "\u2060": "",
    }
)
_BOXED = re.compile(
    r"\\\(?\s*\$*\s*\\?(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}|\[\[([^\[\]]{1,40})\]\]"
)
_UNWRAPPED = re.compile(r"\\(?:text\w*|math\w+|emph|mbox|rm|bf)\s*\{([^{}]*)\}")
_ANSWER_TAG = re.compile(
    r"<\s*(/?)\s*(?:final_?)?(?:answer|choice|option|vote|decision|verdict|response|output|solution)\s*>",
    re.IGNORECASE,
)
_STRUCK = re.compile(r"~~[^~\n]*~~|<(s|del|strike)>.*?</\1>", re.IGNORECASE | re.DOTALL)
_FORMATTING = re.compile(
    r"</?(?:b|i|u|em|strong|p|br|span|div|code|pre|li|ul|ol|h\d|mark|small|big|font|center|tt|kbd|"
    r"result|final|label|text|html|body)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_TAG = re.compile(r"</?[A-Za-z][\w:-]*(?:\s[^<>]*)?/?>")
_LINE = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+|[-*+\u2022\u25cf\u25aa][ \t]+|(?:[-=]>|\u2192)[ \t]*)", re.MULTILINE
)
_SIGNS = ("So", "Cf", "Co", "Sk")
_REJECTED = "\u274c\u2717\u2718\u2716\U0001f44e\u26d4\U0001f6ab"


def plain(text: str) -> str:
    """The text without mark-up, quoted lines and emoji, with one kind of quotation mark."""
    text = html.unescape(unicodedata.normalize("NFKC", text)).translate(_PUNCTUATION)
    text = re.sub(r"[\ue000-\uf8ff]", " ", text)
    text = re.sub(rf"[{_REJECTED}]\ufe0f?", " not ", text)
    text = "".join(" " if c not in "`^" and unicodedata.category(c) in _SIGNS else c for c in text)
    text = _STRUCK.sub("", re.sub(r"[\ufe0e\ufe0f]", "", text))
    text = _without_latex(text)
    text = _TAG.sub(_named, _FORMATTING.sub("", _ANSWER_TAG.sub(_answer, text)))
    text = re.sub(r"[*`~]+|(?<!\w)_+|_+(?!\w)", "", text)
    text = re.sub(r"[{}|]", "\n", text)
    text = _LINE.sub("", _unquoted(text))
    text = re.sub(r"(?<=\s)\u2013(?=\s)", "-", text).replace("\u2013", "-")
    return re.sub(r"[ \t\u00a0]+", " ", text).strip()


def _answer(tag: re.Match[str]) -> str:
    return "\n" if tag.group(1) else "\nboxed: "


def _named(tag: re.Match[str]) -> str:
    """The name of an unknown tag is kept, as it may say that its content is not an answer."""
    return " " + " ".join(re.findall(r"\w+", tag.group())[:1]) + " "


def _without_latex(text: str) -> str:
    before = None
    while before != text:
        before, text = text, _UNWRAPPED.sub(r"\1", text)
    text = _boxed(text)
    text = re.sub(r"\\succ(?!eq)|\\gt\b", " > ", text)
    text = re.sub(r"\\prec(?!eq)|\\lt\b", " < ", text)
    text = re.sub(r"\\[()\[\],;:! ]|\$\$", " ", text)
    return re.sub(r"\$([^$\n]{1,60})\$", r"\1", text)


def _boxed(text: str) -> str:
    """A box is a separate statement if only punctuation follows it in its sentence."""

    def stated(found: re.Match[str]) -> str:
        return f" boxed: {found.group(1) or found.group(2)} "

    text = _BOXED.sub(stated, re.sub(r"\\\(\s*(?=\\boxed)|\$+\s*(?=\\boxed)", "", text))
    return re.sub(r"(boxed: [^\n$\\]{1,40}?)\s*(?:\$+|\\\))(?=\s*(?:[A-Z.,;\n]|$))", r"\1\n", text)


def _unquoted(text: str) -> str:
    """The text without lines quoted by ">" and without quotations, unless nothing else is left."""
    lines = text.splitlines()
    own = [line for line in lines if not line.lstrip().startswith(">")]
    if any(line.strip() for line in own):
        text = "\n".join(own)
    else:
        text = "\n".join(re.sub(r"^\s*>+", "", line) for line in lines)
    return re.sub(r"(?<!\w)'((?:option\s+)?\S{1,14})'(?!\w)", r"\1", text, flags=re.IGNORECASE)
