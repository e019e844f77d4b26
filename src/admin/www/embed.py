#!/usr/bin/env python3
"""embed.py OUTPUT.c index.html page.css FILE.js... : the dashboard as one page in a C string, and the
Content-Security-Policy that lets only its own script and style run."""

import base64
import hashlib
import sys


def read(name):
    with open(name, encoding="utf-8") as f:
        return f.read()


def digest(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def c_bytes(data):
    rows = (data[i:i + 20] for i in range(0, len(data), 20))
    return "\n".join("    " + "".join(f"{b}," for b in row) for row in rows)


def main(output, html, css, *scripts):
    style, script = read(css), "\n".join(read(name) for name in scripts)
    for text, end in ((style, "</style"), (script, "</script")):
        assert end not in text.lower(), end
    page = read(html).replace("@CSS@", style).replace("@JS@", script).encode()
    policy = (f"default-src 'none'; script-src {digest(script)}; style-src {digest(style)}; connect-src 'self'; "
              "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    with open(output, "w", encoding="ascii") as out:
        out.write('/* Made by embed.py. */\n#include "admin/page.h"\n\n')
        out.write(f'const char page_policy[] = "{policy}";\n')
        out.write(f"const size_t page_len = {len(page)};\nconst char page_text[] = {{\n".replace("char page_text", "unsigned char page_text"))
        out.write(c_bytes(page) + "\n};\n")


main(*sys.argv[1:])
