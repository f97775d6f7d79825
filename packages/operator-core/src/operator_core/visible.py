"""Text from clusters, people and models, made safe to show: nothing in it can act; pure.

What cannot be seen is written out: control characters and escape sequences, overrides of the
writing direction, characters of no width, bytes that are no text.
"""

import unicodedata


def visible(text: object) -> str:
    """Return the text with every character that does not show itself written out.

    Line breaks stay; tabs and unusual blanks become spaces.
    """
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(map(_shown, plain.replace("\r\n", "\n")))


def _shown(char: str) -> str:
    if char.isprintable() or char == "\n":
        return char
    if char == "\t" or unicodedata.category(char) == "Zs":
        return " "
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")
