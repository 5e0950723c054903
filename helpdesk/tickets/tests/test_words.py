"""The words of texts and of queries."""

import pytest

from helpdesk.tickets.search import parse_query, part_combinations
from helpdesk.tickets.search_index import has_parts, words_in


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ñandú, ÀÉÎ õ ß — Straße_2", ["nandu", "aei", "o", "ss", "strasse", "2"]),
        ("wi-fi snake_case wi", ["wi", "fi", "snake", "case"]),
        ("soft\u00adhyphen zero\u200bwidth", ["softhyphen", "zerowidth"]),
        ("打印机24Q7", ["24q7", "打印", "印机", "机"]),
        ("한국어", ["한국", "국어", "어"]),
        ("プリンタ・動き", ["プリ", "リン", "ンタ", "タ", "動き", "き"]),
        ("हिंदी ที่นี่", ["हिंदी", "ทีนี"]),
        ("🦊 👍🏽👨\u200d👩", ["🦊", "👍", "👨", "👩"]),
        ("C# and C++, g++; #1 a#b 1+1", ["c", "and", "g", "1", "a", "b", "c#", "c++", "g++"]),
        (".NET 4.5 ASP.NET a.pdf ...so", ["net", "4", "5", "asp", "a", "pdf", "so", ".net", ".pdf"]),
        ("a" * 16 + "b" * 16 + "c" * 16 + "d", ["a" * 16 + "b" * 16, "b" * 16 + "c" * 16, "c" * 16 + "d"]),
        ("!!! -- %", []),
    ],
)
def test_the_words_of_a_text(text, words):
    assert words_in(text) == words


def test_the_words_of_the_first_text_come_first():
    assert words_in("打印", "printer") == ["打印", "印", "printer"]


@pytest.mark.parametrize("text", ["x" * 20_000, "x+" * 10_000, ".x" * 10_000, "क" * 20_000, "é" + "x" * 20_000])
def test_long_texts_have_few_and_short_words(text):
    assert all(len(word) <= 32 for word in words_in(text))
    assert len(words_in(text)) < 10


def test_every_part_of_a_long_word_is_in_a_piece():
    word = "".join(f"{number:03}" for number in range(50))

    indexed = words_in(word)

    assert all(any(word[start : start + 17] in piece for piece in indexed) for start in range(len(word) - 16))


def test_a_search_is_for_words_with_their_signs_and_for_pairs():
    terms = parse_query("c++ .net report.pdf 打印机 机 🦊")

    assert terms.words == ["report", "pdf"]
    assert terms.prefixes == ["c++", ".net", "机"]
    assert terms.whole_words == ["打印", "印机", "🦊"]


@pytest.mark.parametrize(
    ("word", "combinations"),
    [
        ("printer", [["printer"]]),
        ("a" * 16 + "bc", [["a" * 16 + "bc"], ["a" * 16, "a" * 14 + "bc"]]),
        ("a" * 16 + "b" * 16 + "c" * 8, [["a" * 16, "b" * 16, "b" * 8 + "c" * 8]]),
    ],
)
def test_a_long_word_is_found_whole_or_by_all_its_parts(word, combinations):
    assert part_combinations(word) == combinations


def test_pairs_pictographs_and_signs_have_no_parts():
    assert [word for word in words_in("C++ .net 打印机 🦊 हिंदी") if has_parts(word)] == ["c", "net", "हिंदी"]
