# SPDX-License-Identifier: Apache-2.0
"""Ed25519 signing after RFC 8032 section 5.1, slow and not constant-time: for public test keys
in vectors and for nothing else. Used by make_vectors.py."""
import hashlib

P = 2 ** 255 - 19
ORDER = 2 ** 252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
BASE_Y = 4 * pow(5, -1, P) % P


def recover_x(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if x % 2 == sign else P - x


BASE = (recover_x(BASE_Y, 0), BASE_Y)


def add(one, other):
    x1, y1 = one
    x2, y2 = other
    k = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P
    return x, y


def multiply(point, factor):
    result = (0, 1)
    while factor:
        if factor & 1:
            result = add(result, point)
        point = add(point, point)
        factor >>= 1
    return result


def compress(point):
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def secret(seed):
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little")
    return scalar & ((1 << 254) - 8) | (1 << 254), digest[32:]


def public_key(seed):
    return compress(multiply(BASE, secret(seed)[0]))


def hash_number(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER


def sign(seed, message):
    scalar, prefix = secret(seed)
    nonce = hash_number(prefix, message)
    point = compress(multiply(BASE, nonce))
    challenge = hash_number(point, compress(multiply(BASE, scalar)), message)
    return point + ((nonce + challenge * scalar) % ORDER).to_bytes(32, "little")
