"""Numbers and names as people read them: SI prefixes, shares, and names that fit into a figure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font

__all__ = ["common_prefix", "count_text", "drawable", "share_text", "shortened", "with_prefix"]

_PREFIXES = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}


def _exponent(value: float) -> int:
    """Power of ten, a multiple of three, that leaves 1 to 999 before it once rounded to three digits."""
    if value == 0:
        return 0
    rounded = float(f"{abs(value):.3g}")
    return min(max(3 * math.floor(math.log10(rounded) / 3 + 1e-12), -18), 12)


def _digits(number: float) -> str:
    """Three significant digits, without an exponent where that stays short."""
    if number == 0:
        return "0"
    if 1e-3 <= abs(number) < 1e6:
        decimals = max(0, 2 - math.floor(math.log10(float(f"{abs(number):.3g}"))))
        return f"{number:.{decimals}f}"
    return f"{number:.3g}"


def with_prefix(value: float, unit: str) -> str:
    """Write a quantity with three digits and an SI prefix.

    Args:
        value: in SI.
        unit: its unit, e.g. `"J"`.

    Example:
        >>> with_prefix(1.234e-8, "J"), with_prefix(0.0, "J"), with_prefix(9.999e-7, "s")
        ('12.3 nJ', '0 J', '1.00 µs')
    """
    exponent = _exponent(value)
    return f"{_digits(value / 10.0**exponent)} {_PREFIXES[exponent]}{unit}"


def common_prefix(values: Iterable[float]) -> tuple[float, str]:
    """Factor and SI prefix that suit the largest of several values: divide by the factor.

    Args:
        values: in SI.

    Example:
        >>> common_prefix([0.5, 0.002])
        (0.001, 'm')
    """
    exponent = _exponent(max((abs(v) for v in values), default=0.0))
    return 10.0**exponent, _PREFIXES[exponent]


def count_text(value: float) -> str:
    """Write a count, or the mean of one: whole numbers in full with commas, others with three digits.

    Args:
        value: number of things.

    Example:
        >>> count_text(1234567), count_text(12.345), count_text(0)
        ('1,234,567', '12.3', '0')
    """
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else _digits(value)


def share_text(part: float, whole: float) -> str:
    """Write a share in per cent; what is not nothing does not become 0 %, nor nearly all 100 %.

    Args:
        part: the part.
        whole: what it is a part of; of nothing there is no share.

    Example:
        >>> share_text(1, 3), share_text(1, 10**6), share_text(0, 5), share_text(0, 0)
        ('33.3 %', '< 0.1 %', '0.0 %', '-')
    """
    if whole == 0:
        return "-"
    percent = 100 * part / whole
    if 0 < percent < 0.05:
        return "< 0.1 %"
    if 99.95 <= percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %"


@cache
def _known_to_font(character: str) -> bool:
    return get_font(findfont(FontProperties())).get_char_index(ord(character)) != 0


def drawable(name: str) -> bool:
    """Whether the font of the figures has every character of a name.

    Args:
        name: what to draw.

    Example:
        >>> drawable("häufig"), drawable("漢字")
        (True, False)
    """
    return all(_known_to_font(c) for c in name)


def shortened(name: object, most: int) -> str:
    """Cut the middle out of a name that is too long for a figure; characters that the font lacks become `?`.

    Args:
        name: any text.
        most: characters that fit.

    Example:
        >>> shortened("layer_1_of_many->layer_2", 13), shortened("one", 13)
        ('layer_…ayer_2', 'one')
    """
    text = "".join(c if _known_to_font(c) else "?" for c in " ".join(str(name).split()))
    left, right = most // 2, (most - 1) // 2
    return text if len(text) <= most else f"{text[:left]}…{text[len(text) - right :]}"
