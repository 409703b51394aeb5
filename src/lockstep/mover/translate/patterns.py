"""The patterns of LIKE and GLOB as PostgreSQL and SQLite each read them.

Owns what a pattern's characters mean. It knows no expression.
"""

from __future__ import annotations

from lockstep.mover.translate.tree import Untranslatable


def glob_to_regex(pattern: str) -> str:
    r"""Return the regular expression of PostgreSQL that a GLOB pattern is.

    Raises:
        Untranslatable: A bracket is not closed, or a range ends before it begins.

    Example:
        >>> glob_to_regex("a*[0-9^]?.")
        '^a.*[0-9\\u005e].\\.$'
    """
    parts: list[str] = []
    place = 0
    while place < len(pattern):
        letter = pattern[place]
        place += 1
        if letter == "*":
            parts.append(".*")
        elif letter == "?":
            parts.append(".")
        elif letter == "[":
            text, place = _set(pattern, place)
            parts.append(text)
        else:
            is_plain = letter.isalnum() or letter == "_"
            parts.append(letter if is_plain else _escaped(letter))
    return f"^{''.join(parts)}$"


def _escaped(letter: str) -> str:
    return f"\\{letter}" if letter.isascii() and letter.isprintable() else letter


def _set(pattern: str, place: int) -> tuple[str, int]:
    """Read a set behind its bracket; return it and the place behind it."""
    is_negated = pattern[place : place + 1] == "^"
    place += is_negated
    members: list[str] = []
    before = ""
    first = True
    while first or pattern[place : place + 1] != "]":
        letter = pattern[place : place + 1]
        if not letter:
            raise Untranslatable("a GLOB pattern whose bracket is not closed")
        following = pattern[place + 1 : place + 2]
        if letter == "-" and before and following not in ("]", ""):
            if following < before:
                raise Untranslatable("a GLOB range that ends before it begins")
            members.append(f"-{_member(following)}")
            before, place = "", place + 2
        else:
            members.append(_member(letter))
            # SQLite begins no range at a bracket that stands first.
            before, place = ("" if first and letter == "]" else letter), place + 1
        first = False
    return f"[{'^' if is_negated else ''}{''.join(members)}]", place + 1


def _member(letter: str) -> str:
    if letter.isascii() and letter.isalnum():
        return letter
    number = ord(letter)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def like_to_glob(pattern: str, escape: str = "\\") -> str:
    r"""Return the GLOB pattern that a case-sensitive LIKE pattern is.

    Example:
        >>> like_to_glob(r"a%\_[_")
        'a*_[[]?'
    """
    parts: list[str] = []
    letters = iter(pattern)
    for letter in letters:
        if escape and letter == escape:
            letter = next(letters, "")
            if not letter:
                raise Untranslatable("a LIKE pattern that ends with its escape")
            parts.append(_glob_letter(letter))
        elif letter in "%_":
            parts.append("*" if letter == "%" else "?")
        else:
            parts.append(_glob_letter(letter))
    return "".join(parts)


def _glob_letter(letter: str) -> str:
    return f"[{letter}]" if letter in "*?[" else letter
