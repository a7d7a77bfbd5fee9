"""LZF decompression (Marc Lehmann's liblzf format), as in compressed PCD files."""

_MAX_RATIO = 264 / 3  # a back reference of 3 bytes gives at most 264


def decompress_lzf(data: bytes, size: int) -> bytes:
    """The `size` bytes that `data` stands for.

    A control byte below 32 announces that many literal bytes plus one. Any other holds a length
    (3 bits, 7 = one more byte follows, plus 2) and a distance (5 bits and the next byte, plus 1)
    of bytes to repeat; they may overlap what they produce.

    Raises:
        ValueError: if the data are cut, refer to before their beginning, or give another size.

    Example:
        >>> decompress_lzf(
        ...     bytes([1, 97, 98, 0b010_00000, 1]), 6
        ... )  # "ab", then 4 bytes from 2 back
        b'ababab'
    """
    if size > len(data) * _MAX_RATIO:
        raise ValueError(f"{len(data)} compressed bytes cannot hold {size}")
    out = bytearray()
    position, end = 0, len(data)
    try:
        while position < end and len(out) <= size:
            control = data[position]
            position += 1
            if control < 32:
                stop = position + control + 1
                out += data[position:stop]
                position = stop
                continue
            length = control >> 5
            if length == 7:
                length += data[position]
                position += 1
            length += 2
            distance = ((control & 31) << 8) + data[position] + 1
            position += 1
            start = len(out) - distance
            if start < 0:
                raise ValueError("a reference to before the beginning")
            if distance >= length:
                out += out[start : start + length]
            else:
                out += (out[start:] * (length // distance + 1))[:length]
    except IndexError:
        raise ValueError("compressed data are cut") from None
    if position != end or len(out) != size:
        raise ValueError(f"compressed data must give {size} bytes, got {len(out)}")
    return bytes(out)
