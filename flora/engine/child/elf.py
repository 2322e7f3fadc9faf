"""Addresses of local symbols of a shared library: its `.symtab`, which `dlsym` does not look at.

Only what one lookup needs of the format (System V gABI, "Object Files", ELF-64, little endian).
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable

_SHT_SYMTAB = 2
_SYMBOL_SIZE = 24


def local_symbols(path: str, names: Iterable[str]) -> dict[str, int]:
    """Virtual addresses (relative to the load base) of those `names` that the file's symbol table has.

    An empty result means a stripped file. Raises OSError, struct.error on a file that is no ELF-64.
    """
    found: dict[str, int] = {}
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
        if image[:6] != b"\x7fELF\x02\x01":
            return found
        (table_offset,) = struct.unpack_from("<Q", image, 0x28)
        entry_size, count, _ = struct.unpack_from("<HHH", image, 0x3A)
        sections = [
            struct.unpack_from("<IIQQQQIIQQ", image, table_offset + index * entry_size)
            for index in range(count)
        ]
        symtab = next((section for section in sections if section[1] == _SHT_SYMTAB), None)
        if symtab is None:
            return found
        strings_offset, strings_size = sections[symtab[6]][4:6]
        symbols = image[symtab[4] : symtab[4] + symtab[5]]
        for name in names:
            at = image.find(b"\0" + name.encode() + b"\0", strings_offset, strings_offset + strings_size)
            if at < 0:
                continue
            key = struct.pack("<I", at + 1 - strings_offset)
            position = symbols.find(key)
            while position >= 0 and position % _SYMBOL_SIZE:
                position = symbols.find(key, position + 1)
            if position >= 0:
                (found[name],) = struct.unpack_from("<Q", symbols, position + 8)
    return found
