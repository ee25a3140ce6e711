"""Colours that people with any colour vision tell apart, on a light and on a dark page.

Hues of Okabe and Ito (2008), the two light ones darkened until every colour has a contrast of at
least 3 : 1 (WCAG 2.2, 1.4.11) against both surfaces.
"""

LIGHT_SURFACE = "#ffffff"
DARK_SURFACE = "#171a20"

BLUE = "#0b74b8"
VERMILION = "#d55e00"
GREEN = "#009e73"
PURPLE = "#c266a0"
OCHRE = "#a98000"
SKY = "#3d97c9"
GREY = "#7c828c"

#: for lines and bars that are told apart by more than their colour
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, OCHRE, SKY)
#: from few to many: monotone in lightness, the same for every colour vision
SCALE = "Cividis"


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` in 0..1, as WCAG 2.2 defines it.

    >>> luminance("#000000"), luminance("#ffffff")
    (0.0, 1.0)
    """
    red, green, blue = (_linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio, 1..21, of two colours.

    >>> contrast("#000000", "#ffffff")
    21.0
    """
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def translucent(colour: str, opacity: float) -> str:
    """The colour as ``rgba(…)``.

    >>> translucent("#0b74b8", 0.2)
    'rgba(11,116,184,0.2)'
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
