"""Regular expressions over a text."""
import re, zlib

text = open("text.small", encoding="ascii").read()[:250000]
for pattern in (r"\b(\w+)ing\b", r"[aeiou]{2,}\w*", r"(?i)the\s+(\w+)\s+of", r"(\d+)-(\d+)", r"^\s*(\w+).*?(\w+)$"):
    found = re.findall(pattern, text, re.MULTILINE)
    print(pattern, len(found), zlib.crc32(repr(found).encode()))
print(zlib.crc32(re.sub(r"(\w)(\w+)", lambda match: match[2] + match[1], text).encode()))
