"""Numbers with units and sensible digits, and text of files and users made fit to show."""

import html
import math
import unicodedata
from collections.abc import Iterable

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
_SMALLEST = ((1e-9, "n"), (1e-12, "p"))
MINUS = "−"


def number(value: float, digits: int = 3) -> str:
    """The value to ``digits`` significant digits, thousands set apart, never as ``1e+05``.

    >>> number(1234567), number(0.001234), number(38.8728), number(-2)
    ('1,230,000', '0.00123', '38.9', '−2')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}".replace("-", MINUS)
    if abs(value) < 1e-4:
        return _scientific(value, digits)
    rounded = float(f"{value:.{digits - 1}e}")
    if rounded == int(rounded):
        return f"{rounded:,.0f}".replace("-", MINUS)
    return _digits(rounded, digits)


def _digits(value: float, digits: int) -> str:
    """The value with as many decimals as make ``digits`` significant digits, zeros too."""
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}".replace("-", MINUS)


def _scientific(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa} × 10^{int(exponent)}".replace("-", MINUS)


def prefix(values: Iterable[float]) -> tuple[float, str]:
    """The SI prefix that suits the largest value, as (factor, letter).

    >>> prefix([62.0, 6_200.0]), prefix([])
    ((1000.0, 'k'), (1.0, ''))
    """
    largest = max((abs(value) for value in values), default=0.0)
    if largest == 0.0:
        return 1.0, ""
    every = (*_PREFIXES, *_SMALLEST)
    return next((entry for entry in every if largest >= entry[0]), every[-1])


def quantity(value: float, unit: str, digits: int = 3) -> str:
    """A value with an SI prefix before its unit.

    >>> quantity(62.016, "J"), quantity(0.038, "s"), quantity(0.0, "J")
    ('62.0 J', '38.0 ms', '0 J')
    """
    factor, letter = prefix([float(f"{value:.{digits - 1}e}")])
    scaled = value / factor
    if scaled == 0:
        return f"0 {unit}"
    return f"{_digits(scaled, digits)} {letter}{unit}"


def area(um2: float) -> str:
    """An area: in mm² from 0.01 mm² on, else in µm².

    >>> area(2_135_273.0), area(5_000_000.0), area(850.4), area(0.0)
    ('2.14 mm²', '5.00 mm²', '850 µm²', '0 µm²')
    """
    return f"{_digits(um2 * 1e-6, 3)} mm²" if um2 >= 1e4 else f"{number(um2)} µm²"


def change(ratio: float) -> str:
    """A relative change, in percent; tenths below 10 %.

    >>> change(-0.0467), change(-0.425), change(0.0), change(0.128), change(-1e-5)
    ('−4.7 %', '−42 %', '0 %', '+13 %', '−0.001 %')
    """
    percent = 100.0 * ratio
    if percent == 0.0:
        return "0 %"
    if abs(percent) < 0.1:
        return f"{'+' if percent > 0 else MINUS}{number(abs(percent), 1)} %"
    return f"{percent:+.{1 if abs(percent) < 9.95 else 0}f} %".replace("-", MINUS)


def span(least: int, most: int) -> str:
    """A range of whole numbers.

    >>> span(3, 10), span(23, 23)
    ('3–10', '23')
    """
    return str(least) if least == most else f"{least}–{most}"


def visible(text: str) -> str:
    r"""The text with each character that is not to be seen (controls, direction marks) written out.

    >>> visible("a\u202eb\n")
    'a\\u202eb\\n'
    """
    return "".join(
        ascii(c)[1:-1] if unicodedata.category(c)[0] in "CZ" and c != " " else c for c in text
    )


def sentence_case(text: str) -> str:
    """The text with its first letter large and the others as they are.

    >>> sentence_case("without SRAM")
    'Without SRAM'
    """
    return text[:1].upper() + text[1:]


def short(text: str, limit: int = 60) -> str:
    """The text itself, or its two ends if it is longer than ``limit`` characters.

    >>> short("abcdefghij", 7)
    'abc…hij'
    """
    if len(text) <= limit:
        return text
    half = (limit - 1) // 2
    return f"{text[: limit - 1 - half]}…{text[len(text) - half :]}"


def shown(text: str, limit: int = 120) -> str:
    """Text of a file or a user as the page shows it; the template escapes it."""
    return visible(short(text, limit))


def label(text: str, limit: int = 60) -> str:
    """The same for a figure: plotly reads tags and entities in all its text.

    >>> label("<b>x</b> & %{y}")
    '&lt;b&gt;x&lt;/b&gt; &amp; %{y}'
    """
    return html.escape(shown(text, limit), quote=False)
