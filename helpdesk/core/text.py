"""Rules for text, shared by the API, the admin and the OpenAPI schema."""

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# Parts of patterns in the OpenAPI schema, which clients in other languages compile: their \s differ.
WHITE_SPACE = r"\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# Controls, Unicode's Default_Ignorable_Code_Point, and blank characters that are not white space.
INVISIBLE = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Unicode's categories Cc, Zl and Zp, and the controls that reorder the text after them (UAX 9: embeddings, overrides,
# isolates). Not the rest of Cf, which joins emojis and marks the direction of Arabic and Hebrew.
NOT_IN_A_LINE = r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069"
VISIBLE = rf"[^{WHITE_SPACE}{INVISIBLE}]"
# Without the rare ones: regular expression engines of clients fail to compile them beside a long maximum length.
PROBABLY_VISIBLE = r"[^\u0000-\u0020\u007f-\u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]"

NOT_BLANK_PATTERN = rf"^[^\u0000]*{PROBABLY_VISIBLE}[^\u0000]*$"
# White space around the line is trimmed.
ONE_LINE_PATTERN = rf"^[{WHITE_SPACE}]*[^{NOT_IN_A_LINE}]*{PROBABLY_VISIBLE}[^{NOT_IN_A_LINE}]*[{WHITE_SPACE}]*$"
ONE_LINE_OR_BLANK_PATTERN = (
    rf"^[{WHITE_SPACE}]*(?:[^{NOT_IN_A_LINE}]*{PROBABLY_VISIBLE}[^{NOT_IN_A_LINE}]*[{WHITE_SPACE}]*)?$"
)

NOT_ON_ONE_LINE = re.compile(f"[{NOT_IN_A_LINE}]")
VISIBLE_CHARACTER = re.compile(VISIBLE)


def validate_one_line(value: str) -> None:
    """Reject line breaks, control characters and bidirectional controls; the text is used in mail headers."""
    if NOT_ON_ONE_LINE.search(value):
        raise ValidationError(_("Use one line without control characters."), code="not_one_line")


def validate_visible(value: str) -> None:
    """Reject text without a visible character, except the empty text."""
    if value and not VISIBLE_CHARACTER.search(value):
        raise ValidationError(_("This text has no visible character."), code="blank")
