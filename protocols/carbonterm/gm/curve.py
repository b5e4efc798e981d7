"""Arithmetic on the recommended curve of GB/T 32918.5-2017: y² = x³ − 3x + b over the integers modulo P, prime order N.

A point is affine (x, y) or Jacobian (x, y, z) for (x/z², y/z³), coordinates in 0 … P − 1; z = 0 is the point at
infinity. Sources: Hankerson, Menezes, Vanstone, "Guide to Elliptic Curve Cryptography" 3.2.2 (formulas for a = −3),
3.3.1 (width-w NAF), 3.3.2 (comb), 3.3.3 (interleaving). `%` is the fastest reduction there is on MicroPython.

multiply_base runs the same sequence of point operations for every scalar. Big-integer arithmetic takes time that
depends on its operands all the same: this hinders timing from afar, it does not resist someone who measures the chip.
"""

from array import array

from carbonterm.gm.sm2_table import TABLE

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0

_COLUMNS = 43  # 6 teeth × 43 columns = 258 bits
_TOP = 1 << 257
_ZEROS = array("b", (0, 0, 0, 0))
_WINDOW = 5  # of the NAF of the other scalar: 8 odd multiples


def on_curve(x, y):
    """True if (x, y) is a point with coordinates in range (so never the point at infinity)."""
    return 0 <= x < P and 0 <= y < P and (y * y - (x * x - 3) * x - B) % P == 0


def invert(value, modulus):
    """The inverse of `value` modulo a prime, by Euclid: MicroPython's pow(v, -1, m) gives 0. value must not be 0."""
    a, b = value % modulus, modulus
    u, v = 1, 0
    while a > 1:
        quotient = b // a
        a, b = b - quotient * a, a
        u, v = v - quotient * u, u
    return u % modulus


def double(x, y, z):
    """2·(x, y, z), Jacobian."""
    p = P
    delta = z * z % p
    gamma = y * y % p
    beta = (x * gamma << 2) % p
    alpha = 3 * (x - delta) * (x + delta) % p
    x = (alpha * alpha - (beta << 1)) % p
    return x, (alpha * (beta - x) - (gamma * gamma << 3)) % p, (y * z << 1) % p


def add(x, y, z, x2, y2):
    """(x, y, z) + (x2, y2): Jacobian plus affine gives Jacobian; equal, opposite and infinite points too."""
    if not z:
        return x2, y2, 1
    p = P
    square = z * z % p
    h = x2 * square % p - x
    r = y2 * (z * square % p) % p - y
    if not h:
        return double(x, y, z) if not r else (1, 1, 0)
    square = h * h % p
    cube = h * square % p
    v = x * square % p
    x = (r * r - cube - (v << 1)) % p
    return x, (r * (v - x) - y * cube) % p, z * h % p


def affine(x, y, z):
    """(x, y) of a Jacobian point that is not infinity."""
    inverse = invert(z, P)
    square = inverse * inverse % P
    return x * square % P, y * square * inverse % P


def multiply_base(k):
    """k·G, Jacobian, for 0 <= k < N."""
    digits = _comb(k)
    x, y = _entry(digits[0])
    z = 1
    for digit in digits[1:]:
        x, y, z = double(x, y, z)
        if digit:
            x2, y2 = _entry(digit)
            x, y, z = add(x, y, z, x2, y2)
        else:
            x2, y2 = _entry(1)
            add(x, y, z, x2, y2)  # thrown away: a zero costs what other digits cost
    return x, y, z


def multiply_both(s, t, x, y):
    """s·G + t·(x, y), Jacobian, for 0 <= s, t < N and an affine point; for public numbers, its time tells them."""
    comb = _comb(s)
    table = _odd_multiples(x, y)
    naf = _naf(t)
    point = (1, 1, 0)
    for i in range(max(len(naf), _COLUMNS) - 1, -1, -1):
        point = double(*point)
        if i < len(naf):
            digit = naf[i]
            if digit > 0:
                x2, y2 = table[digit >> 1]
                point = add(point[0], point[1], point[2], x2, y2)
            elif digit:
                x2, y2 = table[-digit >> 1]
                point = add(point[0], point[1], point[2], x2, P - y2)
        if i < _COLUMNS:
            digit = comb[_COLUMNS - 1 - i]
            if digit:
                x2, y2 = _entry(digit)
                point = add(point[0], point[1], point[2], x2, y2)
    return point


def _entry(digit):
    at = (digit - 1) << 6
    return int.from_bytes(TABLE[at : at + 32], "big"), int.from_bytes(TABLE[at + 32 : at + 64], "big")


def _comb(k):
    """The 43 digits of the comb, most significant first; the first is never 0.

    A multiple of N is added so that k has exactly 258 bits: 2^257 < k + 2N or k + 3N < 2^258.
    """
    k += 2 * N
    if k < _TOP:
        k += N
    bits = bin(k)[2:].encode()
    digits = []
    for i in range(_COLUMNS):
        digit = 0
        for j in range(i, 6 * _COLUMNS, _COLUMNS):
            digit = digit << 1 | bits[j] & 1  # "0" is 0x30, "1" is 0x31
        digits.append(digit)
    return digits


def _naf(k):
    """Digits of k, least significant first: 0 or odd from −15 to 15, at least four zeros after each that is not 0."""
    digits = array("b")  # a list of them is 2 KB on a 64-bit heap
    half, full = 1 << (_WINDOW - 1), 1 << _WINDOW
    while k:
        digit = k & (full - 1)
        if digit & 1:
            if digit > half:
                digit -= full
            digits.append(digit)
            k = (k - digit) >> _WINDOW
            if k:
                digits.extend(_ZEROS)
        else:
            digits.append(0)
            k >>= 1
    return digits


def _odd_multiples(x, y):
    """1, 3, … 15 times (x, y), affine, with one inversion for all."""
    x2, y2 = affine(*double(x, y, 1))
    points = [(x, y, 1)]
    for _ in range((1 << (_WINDOW - 2)) - 1):
        points.append(add(*points[-1], x2, y2))
    products = [1]
    for point in points:
        products.append(products[-1] * point[2] % P)
    inverse = invert(products[-1], P)
    found = []
    for i in range(len(points) - 1, -1, -1):
        px, py, pz = points[i]
        own = inverse * products[i] % P
        inverse = inverse * pz % P
        square = own * own % P
        found.append((px * square % P, py * square * own % P))
    found.reverse()
    return found
