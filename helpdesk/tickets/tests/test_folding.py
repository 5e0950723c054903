"""Case, accents, letters that Unicode does not decompose, and characters that cannot be seen."""

import sys
import unicodedata

import pytest

from helpdesk.tickets.search_index import fold

# Unassigned, for private use, halves of others.
NO_CHARACTERS = {"Cn", "Co", "Cs"}


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Printer 3", "printer 3"),
        ("ÀÉÎ õ Ñandú", "aei o nandu"),
        ("nu\u0301ria", "nuria"),
        ("Łódź Søren Đurić", "lodz soren duric"),
        ("\u0131spanak İstanbul", "ispanak istanbul"),
        ("Straße ẞ", "strasse ss"),
        ("Ærø œuvre Þór ŋ", "aero oeuvre thor n"),
        ("\uff21\uff22\uff23 ﬁle ™ ²", "abc file tm 2"),
        ("soft\u00adhyphen zero\u200bwidth \ufeffmark", "softhyphen zerowidth mark"),
        ("👍🏽 ❤\ufe0f", "👍 ❤"),
        ("Σίσυφος", "σισυφοσ"),
        ("プリンターが ﾌﾟﾘﾝﾀｰ", "プリンターが プリンター"),
        ("한국어 打印机", "한국어 打印机"),
        ("हिंदी में", "हिंदी में"),
    ],
)
def test_text_is_folded_to_plain_lower_case(text, folded):
    assert fold(text) == folded


def test_folding_folded_text_changes_nothing():
    every = map(chr, range(sys.maxunicode + 1))
    assigned = [char for char in every if unicodedata.category(char) not in NO_CHARACTERS]

    folded = [fold(char) for char in assigned]

    assert [fold(text) for text in folded] == folded
