"""Amounts in words: sums of times in ms, bytes, shares."""

from __future__ import annotations


def show_ms(value: float) -> str:
    """Write a sum of times with two or three digits, below 0.01 ms as such.

    >>> show_ms(632.05), show_ms(0.366), show_ms(0.0004), show_ms(-0.0004), show_ms(-2.5)
    ('632 ms', '0.37 ms', 'under 0.01 ms', '0 ms', '−2.5 ms')
    """
    if abs(value) < 0.01:
        return "under 0.01 ms" if value > 0 else "0 ms"
    text = f"{value:,.0f} ms" if abs(value) >= 10 else f"{value:.2g} ms"
    return text.replace("-", "−")


def show_bytes(count: float) -> str:
    """Write a size with two or three digits.

    >>> show_bytes(0), show_bytes(8192), show_bytes(5_832_704)
    ('0 B', '8 kB', '5.6 MB')
    """
    units = ["B", "kB", "MB", "GB", "TB"]
    while abs(count) >= 1000 and len(units) > 1:
        count /= 1024
        del units[0]
    return f"{count:.2g} {units[0]}" if abs(count) < 10 else f"{count:,.0f} {units[0]}"


def show_change(value: float, base: float) -> str:
    """Write how much more or less an amount is than another, in percent.

    >>> show_change(150, 100), show_change(99.9, 100), show_change(1, 0)
    ('+50 %', '0 %', '')
    """
    if not base:
        return ""
    percent = round(100 * (value / base - 1))
    return f"{percent:+,d} %".replace("-", "−") if percent else "0 %"
