"""Text as searches compare it: whatever its case, its accents and its invisible characters."""

import re
import unicodedata
from functools import lru_cache

# The marks that make が of か are among what stays: to readers of Japanese it is another letter.
FOLDABLE = re.compile(r"[^\x00-\x7f\u1100-\u11ff\u2e80-\ud7ff]")
# Letters with a stroke, a hook or without a dot, and ligatures: Unicode does not decompose them, but names them.
LATIN_LETTER = re.compile(r"LATIN SMALL (?:LETTER|LIGATURE) (?:DOTLESS )?([A-Z]{1,2})(?: WITH .*)?")
PLAIN_SPELLINGS = {"ð": "d", "þ": "th", "ŋ": "n", "ĸ": "k", "ə": "e"}
SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"


def fold(text: str) -> str:
    """Return text in lower case, in plain letters and without what cannot be seen: "Łódź" becomes "lodz".

    Compatibility forms (full-width letters, superscripts) become ordinary ones. Folding folded text changes nothing.
    """
    if text.isascii():
        return text.lower()
    lower = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFC", FOLDABLE.sub(lambda match: plain_letter(match[0]), lower))


@lru_cache(maxsize=4096)
def plain_letter(char: str) -> str:
    """Return the plain spelling of a character of decomposed lower-case text; empty for an accent or an invisible one."""
    if unicodedata.combining(char) or is_invisible(char) or char in SKIN_TONES:
        return ""
    if plain := PLAIN_SPELLINGS.get(char):
        return plain
    name = LATIN_LETTER.fullmatch(unicodedata.name(char, ""))
    return name[1].lower() if name else char


def is_invisible(char: str) -> bool:
    """Whether it is a format character (soft hyphen, zero-width space or joiner) or a variation selector."""
    return unicodedata.category(char) == "Cf" or unicodedata.name(char, "").startswith("VARIATION SELECTOR")
