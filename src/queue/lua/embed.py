#!/usr/bin/env python3
"""Turns the Lua transitions into a C table: each script with the shared parts that its `-- uses:` line
names put in front, comments and indentation taken out, and its SHA1 (what EVALSHA wants).
usage: embed.py OUTPUT SCRIPT.lua ..."""
import hashlib
import os
import re
import sys


def strip(text):
    lines = (re.sub(r"\s+-- .*$", "", line) if "'" not in line else line for line in text.splitlines())
    return "\n".join(l.strip() for l in lines if l.strip() and not l.strip().startswith("--")) + "\n"


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def assemble(path):
    text = read(path)
    uses = re.search(r"^-- uses: (.*)$", text, re.M)
    parts = uses.group(1).split() if uses else []
    folder = os.path.dirname(path)
    return "".join(strip(read(os.path.join(folder, p + ".lua"))) for p in parts) + strip(text)


def c_array(text):
    data = text.encode()
    rows = [", ".join(str(b) for b in data[i:i + 24]) for i in range(0, len(data), 24)]
    return ",\n    ".join(rows)


def main():
    output, paths = sys.argv[1], sys.argv[2:]
    table = []
    with open(output, "w", encoding="utf-8") as f:
        f.write('#include "queue/script.h"\n\n')
        for path in paths:
            name = os.path.basename(path)[:-4]
            text = assemble(path)
            sha = hashlib.sha1(text.encode()).hexdigest()
            f.write("static const char text_%s[] = {\n    %s};\n\n" % (name, c_array(text)))
            table.append('    [SCRIPT_%s] = {"%s", "%s", text_%s, sizeof(text_%s)},\n'
                         % (name.upper(), name, sha, name, name))
        f.write("const struct script scripts[SCRIPT_COUNT] = {\n" + "".join(table) + "};\n")


if __name__ == "__main__":
    main()
