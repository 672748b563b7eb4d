"""Luck that depends on nothing but where and when: a counter-based generator.

`uniform` of the same seed, kind, slot, link and channel is the same number whatever a policy did before, so
that comparisons between policies are paired. The finalizer is that of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
"""

from __future__ import annotations

from numba import njit, uint64

GENERATE, SWAP = 0, 1  # kinds of luck
_G = uint64(0x9E3779B97F4A7C15)
_A = uint64(0xBF58476D1CE4E5B9)
_B = uint64(0x94D049BB133111EB)
_ONE = uint64(1)
_SHIFT = uint64(20)  # channels of a link are told apart below 2^20
_UNIT = 2.0**-53

MOST_CHANNELS = 2**20 - 1  # of one link


@njit(cache=True, error_model="numpy", inline="always")
def mix(z):
    """The finalizer of splitmix64: uint64 to uint64."""
    z = (z ^ (z >> uint64(30))) * _A
    z = (z ^ (z >> uint64(27))) * _B
    return z ^ (z >> uint64(31))


@njit(cache=True, error_model="numpy")
def key(seed, kind, slot):
    """What all draws of one kind in one slot share."""
    return mix(mix(uint64(seed) + _G * uint64(kind + 1)) + _G * uint64(slot + 1))


@njit(cache=True, error_model="numpy", inline="always")
def uniform(key, link, channel):
    """A number in [0, 1) for a channel of a link; both are counted from 0 within their run and link."""
    counter = (uint64(link) << _SHIFT) + uint64(channel) + _ONE
    return float(mix(uint64(key) + _G * counter) >> uint64(11)) * _UNIT
