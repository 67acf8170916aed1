"""Money: how a sum is shown and shared out, exact to the minor unit of any currency and without a float.

Sums are ints of minor units throughout (fen, yen, fils). Codes are ISO 4217, three capital letters.
Whether parts make up a total is asked of `workflows.remedies.sums_exactly`.
"""

from __future__ import annotations

from collections.abc import Sequence

#: The currencies of ISO 4217 (list one) whose minor unit is not a hundredth: decimals -> codes.
_EXCEPTIONS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENTS = {code: digits for digits, codes in _EXCEPTIONS.items() for code in codes.split()}


def exponent(currency: str) -> int:
    """The decimals of a currency's minor unit: 2 for CNY, 0 for JPY, 3 for KWD; 2 for a code that is not listed."""
    return _EXPONENTS.get(currency, 2)


def shown(amount_minor: int, currency: str) -> str:
    """A sum as people write it, in major units with all its decimals: `129.00 CNY`, `129 JPY`, `-0.129 KWD`."""
    digits = exponent(currency)
    major, minor = divmod(abs(amount_minor), 10**digits)
    sign = "-" if amount_minor < 0 else ""
    decimals = f".{minor:0{digits}d}" if digits else ""
    return f"{sign}{major}{decimals} {currency}"


def split(total_minor: int, weights: Sequence[int]) -> tuple[int, ...]:
    """A sum in minor units shared out in proportion to the weights, one part for each; the parts make up the total.

    The method of the largest remainder (Hamilton): everyone gets their exact share rounded down, and what is left goes,
    one minor unit each, to those who lost most by it; of equals, to the earlier. A weight of zero gets nothing.
    Raises ValueError for a negative total or weight, and for weights that are missing or all zero.
    """
    if total_minor < 0:
        raise ValueError("a negative total cannot be shared out")
    if any(weight < 0 for weight in weights):
        raise ValueError("a weight is negative")
    whole = sum(weights)
    if whole == 0:
        raise ValueError("no weight is above zero")
    parts = [total_minor * weight // whole for weight in weights]
    lost = [total_minor * weight % whole for weight in weights]
    # Sorting is stable, so equals keep their order. The units left over are fewer than the parts that lost something,
    # because nobody lost a whole unit; so a weight of zero, which lost nothing, is never reached.
    left = total_minor - sum(parts)
    for index in sorted(range(len(parts)), key=lambda index: -lost[index])[:left]:
        parts[index] += 1
    return tuple(parts)


def share(total_minor: int, percent_numerator: int, percent_denominator: int = 100) -> int:
    """That fraction of a sum, in minor units; half a unit is rounded up (towards plus infinity).

    `share(12_900, 30)` is 30 %, `share(12_900, 1, 3)` a third. Raises ValueError unless the denominator is above zero.
    """
    if percent_denominator <= 0:
        raise ValueError("the denominator must be above zero")
    return (2 * total_minor * percent_numerator + percent_denominator) // (2 * percent_denominator)
