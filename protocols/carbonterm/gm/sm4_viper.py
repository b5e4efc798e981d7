"""The block loop of sm4.py and the GHASH of sm4_gcm.py for MicroPython's viper emitter: same results, machine code.

Those two import it; nobody else does. The rules of sm3_viper.py hold here as well: words read through a pointer become
uint(), and what is shifted right is masked before, for on 64 bit the register is wider.
"""
# ruff: noqa: F821  (uint, ptr8 and ptr32 are viper's own)

import micropython

from carbonterm.gm import sm4

_T = sm4.table()


@micropython.viper
def _blocks(keys: ptr32, chain: ptr8, data: ptr8, out: ptr8):
    """keys: 32 round keys, the mode (0 ECB, 1 CTR, 2 CBC, 3 CBC backwards), the size of data and out."""
    t = ptr32(_T)
    half = uint(0xFFFF)
    m = (half << 16) | half
    one = uint(1)
    mode = int(keys[32])
    end = int(keys[33])
    c0 = uint(chain[0]) << 24 | uint(chain[1]) << 16 | uint(chain[2]) << 8 | uint(chain[3])
    c1 = uint(chain[4]) << 24 | uint(chain[5]) << 16 | uint(chain[6]) << 8 | uint(chain[7])
    c2 = uint(chain[8]) << 24 | uint(chain[9]) << 16 | uint(chain[10]) << 8 | uint(chain[11])
    c3 = uint(chain[12]) << 24 | uint(chain[13]) << 16 | uint(chain[14]) << 8 | uint(chain[15])
    at = 0
    while at < end:
        d0 = uint(data[at]) << 24 | uint(data[at + 1]) << 16 | uint(data[at + 2]) << 8 | uint(data[at + 3])
        d1 = uint(data[at + 4]) << 24 | uint(data[at + 5]) << 16 | uint(data[at + 6]) << 8 | uint(data[at + 7])
        d2 = uint(data[at + 8]) << 24 | uint(data[at + 9]) << 16 | uint(data[at + 10]) << 8 | uint(data[at + 11])
        d3 = uint(data[at + 12]) << 24 | uint(data[at + 13]) << 16 | uint(data[at + 14]) << 8 | uint(data[at + 15])
        x0 = d0
        x1 = d1
        x2 = d2
        x3 = d3
        if mode == 1:
            x0 = c0
            x1 = c1
            x2 = c2
            x3 = c3
        elif mode == 2:
            x0 = d0 ^ c0
            x1 = d1 ^ c1
            x2 = d2 ^ c2
            x3 = d3 ^ c3
        i = 0
        while i < 32:
            b = (x1 ^ x2 ^ x3 ^ uint(keys[i])) & m
            y = uint(t[b & 255]) & m
            y = ((y >> 8 | y << 24) ^ uint(t[b >> 8 & 255])) & m
            y = ((y >> 8 | y << 24) ^ uint(t[b >> 16 & 255])) & m
            x0 = x0 ^ (y >> 8 | y << 24) ^ uint(t[b >> 24])
            b = (x2 ^ x3 ^ x0 ^ uint(keys[i + 1])) & m
            y = uint(t[b & 255]) & m
            y = ((y >> 8 | y << 24) ^ uint(t[b >> 8 & 255])) & m
            y = ((y >> 8 | y << 24) ^ uint(t[b >> 16 & 255])) & m
            x1 = x1 ^ (y >> 8 | y << 24) ^ uint(t[b >> 24])
            b = (x3 ^ x0 ^ x1 ^ uint(keys[i + 2])) & m
            y = uint(t[b & 255]) & m
            y = ((y >> 8 | y << 24) ^ uint(t[b >> 8 & 255])) & m
            y = ((y >> 8 | y << 24) ^ uint(t[b >> 16 & 255])) & m
            x2 = x2 ^ (y >> 8 | y << 24) ^ uint(t[b >> 24])
            b = (x0 ^ x1 ^ x2 ^ uint(keys[i + 3])) & m
            y = uint(t[b & 255]) & m
            y = ((y >> 8 | y << 24) ^ uint(t[b >> 8 & 255])) & m
            y = ((y >> 8 | y << 24) ^ uint(t[b >> 16 & 255])) & m
            x3 = x3 ^ (y >> 8 | y << 24) ^ uint(t[b >> 24])
            i += 4
        y = x0
        x0 = x3 & m
        x3 = y & m
        y = x1
        x1 = x2 & m
        x2 = y & m
        if mode == 1:
            x0 = x0 ^ d0
            x1 = x1 ^ d1
            x2 = x2 ^ d2
            x3 = x3 ^ d3
            c3 = (c3 + one) & m
            if c3 == uint(0):
                c2 = (c2 + one) & m
                if c2 == uint(0):
                    c1 = (c1 + one) & m
                    if c1 == uint(0):
                        c0 = (c0 + one) & m
        elif mode == 2:
            c0 = x0
            c1 = x1
            c2 = x2
            c3 = x3
        elif mode == 3:
            x0 = x0 ^ c0
            x1 = x1 ^ c1
            x2 = x2 ^ c2
            x3 = x3 ^ c3
            c0 = d0
            c1 = d1
            c2 = d2
            c3 = d3
        i = 24
        while i >= 0:
            out[at] = int(x0 >> uint(i))
            out[at + 4] = int(x1 >> uint(i))
            out[at + 8] = int(x2 >> uint(i))
            out[at + 12] = int(x3 >> uint(i))
            at += 1
            i -= 8
        at += 12
    i = 0
    while i < 4:
        y = uint(24 - 8 * i)
        chain[i] = int(c0 >> y)
        chain[i + 4] = int(c1 >> y)
        chain[i + 8] = int(c2 >> y)
        chain[i + 12] = int(c3 >> y)
        i += 1


def process(keys, mode, chain, data, out):
    """What sm4.process_python does."""
    keys[32] = mode
    keys[33] = len(data)
    _blocks(keys, chain, data, out)


@micropython.viper
def _ghash(table: ptr32, state: ptr8, data: ptr8, size: int):
    """table: 16 multiples of H of four words each, then what four bits that fall out add at the top."""
    half = uint(0xFFFF)
    m = (half << 16) | half
    at = 0
    while at < size:
        z0 = uint(0)
        z1 = uint(0)
        z2 = uint(0)
        z3 = uint(0)
        i = 15
        while i >= 0:
            byte = int(state[i]) ^ int(data[at + i])
            j = 0
            while j < 2:
                rest = int(z3 & uint(15))
                z3 = (z3 >> 4 | z2 << 28) & m
                z2 = (z2 >> 4 | z1 << 28) & m
                z1 = (z1 >> 4 | z0 << 28) & m
                z0 = z0 >> 4 ^ uint(table[64 + rest])
                k = (byte & 15) << 2
                z0 = (z0 ^ uint(table[k])) & m
                z1 = (z1 ^ uint(table[k + 1])) & m
                z2 = (z2 ^ uint(table[k + 2])) & m
                z3 = (z3 ^ uint(table[k + 3])) & m
                byte = byte >> 4
                j += 1
            i -= 1
        i = 0
        while i < 4:
            y = uint(24 - 8 * i)
            state[i] = int(z0 >> y)
            state[i + 4] = int(z1 >> y)
            state[i + 8] = int(z2 >> y)
            state[i + 12] = int(z3 >> y)
            i += 1
        at += 16


def ghash(table, state, data):
    """What sm4_gcm.ghash_python does."""
    _ghash(table, state, data, len(data))
