"""Numbers that carry their own proof: the unified social credit code and the discharge permit number.

Source: GB 32100-2015 (characters, weights 3^i mod 31, check = (31 - sum mod 31) mod 31; fact sheet, section 15).
The form of a permit number (credit code, three digits, a letter) is from memory, certainty medium-high.
"""

from __future__ import annotations

import re

#: The 31 characters of a credit code; I, O, S, V and Z are not among them.
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_VALUE = {character: n for n, character in enumerate(ALPHABET)}
_WEIGHTS = tuple(pow(3, i, 31) for i in range(17))
_PERMIT = re.compile(r"(.{18})([0-9]{3})([A-Z])")

_LENGTH = {"zh": "应为18位", "en": "it has eighteen characters"}
_LETTERS = {"zh": "含有不允许的字符", "en": "it holds a character that is not allowed"}
_CHECK = {"zh": "校验位不符", "en": "its check character does not fit"}
_FORM = {"zh": "位数或格式不对", "en": "its form is wrong"}


def check_character(first: str) -> str:
    """Check character of the first seventeen.

    >>> check_character("91110000802100433")  # a public code
    'B'
    """
    total = sum(_VALUE[c] * w for c, w in zip(first, _WEIGHTS, strict=True))
    return ALPHABET[(31 - total % 31) % 31]


def uscc_fault(code: str) -> dict[str, str] | None:
    """Why a text is no credit code (``zh``, ``en``), or None when it is one.

    >>> uscc_fault("91630105MA757K3R71") is None
    True
    >>> uscc_fault("91630105MA757K3R72")["en"]
    'its check character does not fit'
    """
    if len(code) != 18:
        return _LENGTH
    if any(c not in _VALUE for c in code):
        return _LETTERS
    return None if check_character(code[:17]) == code[17] else _CHECK


def permit_fault(code: str) -> dict[str, str] | None:
    """Why a text is no discharge permit number, or None when it is one.

    >>> permit_fault("91630105MA757K3R71001V") is None
    True
    """
    parts = _PERMIT.fullmatch(code)
    return uscc_fault(parts[1]) if parts else _FORM
