"""Folding of text for searches: case, accents and invisible characters are ignored."""

import re
import unicodedata
from functools import lru_cache

# Japanese voicing marks stay: か and が are different letters.
FOLDABLE = re.compile(r"[^\x00-\x7f\u1100-\u11ff\u2e80-\ud7ff]")
# Unicode does not decompose letters with a stroke, with a hook or without a dot, nor ligatures; their names say the letter.
LATIN_LETTER = re.compile(r"LATIN SMALL (?:LETTER|LIGATURE) (?:DOTLESS )?([A-Z]{1,2})(?: WITH .*)?")
PLAIN_SPELLINGS = {"ð": "d", "þ": "th", "ŋ": "n", "ĸ": "k", "ə": "e"}
SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"


def fold(text: str) -> str:
    """Return text in lower case, without accents and invisible characters: "Łódź" becomes "lodz".

    Compatibility forms (full-width letters, superscripts) become ordinary letters. Folding is idempotent.
    """
    if text.isascii():
        return text.lower()
    lower = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFC", FOLDABLE.sub(lambda match: fold_character(match[0]), lower))


@lru_cache(maxsize=4096)
def fold_character(char: str) -> str:
    """Fold a character of decomposed lower-case text; empty for an accent or an invisible character."""
    if unicodedata.combining(char) or is_invisible(char) or char in SKIN_TONES:
        return ""
    if plain := PLAIN_SPELLINGS.get(char):
        return plain
    name = LATIN_LETTER.fullmatch(unicodedata.name(char, ""))
    return name[1].lower() if name else char


def is_invisible(char: str) -> bool:
    """Return whether it is a format character (soft hyphen, zero-width space or joiner) or a variation selector."""
    return unicodedata.category(char) == "Cf" or unicodedata.name(char, "").startswith("VARIATION SELECTOR")
