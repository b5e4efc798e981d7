"""The compression function of sm3.py for MicroPython's viper emitter: same arguments, same result, machine code.

sm3.py imports it; nobody else does. The rules that make one source right on 32 and 64 bit: a word read through a
pointer becomes uint(), or >> is arithmetic; the mask is computed (as a literal it would be a heap object on 32 bit); a
word is masked after each << and +, for on 64 bit the register is wider; stores of 32 bits cut off by themselves.
"""
# ruff: noqa: F821  (uint, ptr8 and ptr32 are viper's own)

from array import array

import micropython

from carbonterm.gm.sm3 import CONSTANTS


@micropython.viper
def _blocks(state: ptr8, data: ptr8, span: ptr32, w: ptr32):
    """span: [start, end] in `data`, whole blocks; w: room for 68 words."""
    t = ptr32(CONSTANTS)
    half = uint(0xFFFF)
    m = (half << 16) | half
    at = int(span[0])
    end = int(span[1])
    while at < end:
        j = 0
        while j < 16:
            w[j] = data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
            at += 4
            j += 1
        while j < 68:
            x = uint(w[j - 3]) & m
            x = (uint(w[j - 16]) ^ uint(w[j - 9]) ^ (x << 15 | x >> 17)) & m
            y = uint(w[j - 13]) & m
            x = x ^ (x << 15 | x >> 17) ^ (x << 23 | x >> 9)
            w[j] = int(x ^ (y << 7 | y >> 25) ^ uint(w[j - 6]))
            j += 1
        a = (uint(state[0]) << 24 | uint(state[1]) << 16 | uint(state[2]) << 8 | uint(state[3])) & m
        b = (uint(state[4]) << 24 | uint(state[5]) << 16 | uint(state[6]) << 8 | uint(state[7])) & m
        c = (uint(state[8]) << 24 | uint(state[9]) << 16 | uint(state[10]) << 8 | uint(state[11])) & m
        d = (uint(state[12]) << 24 | uint(state[13]) << 16 | uint(state[14]) << 8 | uint(state[15])) & m
        e = (uint(state[16]) << 24 | uint(state[17]) << 16 | uint(state[18]) << 8 | uint(state[19])) & m
        f = (uint(state[20]) << 24 | uint(state[21]) << 16 | uint(state[22]) << 8 | uint(state[23])) & m
        g = (uint(state[24]) << 24 | uint(state[25]) << 16 | uint(state[26]) << 8 | uint(state[27])) & m
        h = (uint(state[28]) << 24 | uint(state[29]) << 16 | uint(state[30]) << 8 | uint(state[31])) & m
        j = 0
        while j < 64:
            x = (a << 12 | a >> 20) & m
            y = (x + e + uint(t[j])) & m
            y = (y << 7 | y >> 25) & m
            k = uint(w[j])
            if j < 16:
                x = ((a ^ b ^ c) + d + (x ^ y) + (k ^ uint(w[j + 4]))) & m
                y = ((e ^ f ^ g) + h + y + k) & m
            else:
                x = ((a & b | a & c | b & c) + d + (x ^ y) + (k ^ uint(w[j + 4]))) & m
                y = ((e & f | (e ^ m) & g) + h + y + k) & m
            d = c
            c = (b << 9 | b >> 23) & m
            b = a
            a = x
            h = g
            g = (f << 19 | f >> 13) & m
            f = e
            e = (y ^ (y << 9 | y >> 23) ^ (y << 17 | y >> 15)) & m
            j += 1
        w[0] = int(a)
        w[1] = int(b)
        w[2] = int(c)
        w[3] = int(d)
        w[4] = int(e)
        w[5] = int(f)
        w[6] = int(g)
        w[7] = int(h)
        j = 0
        while j < 8:
            x = uint(w[j])
            i = j << 2
            state[i] = int(state[i]) ^ int(x >> 24 & 255)
            state[i + 1] = int(state[i + 1]) ^ int(x >> 16 & 255)
            state[i + 2] = int(state[i + 2]) ^ int(x >> 8 & 255)
            state[i + 3] = int(state[i + 3]) ^ int(x & 255)
            j += 1


def compress(state, data, start, end):
    """Compresses the whole blocks data[start:end] into `state`, as sm3.compress_python does."""
    _blocks(state, data, array("I", (start, end)), bytearray(272))
