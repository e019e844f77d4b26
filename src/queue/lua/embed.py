#!/usr/bin/env python3
"""Turns the Lua transitions into a C table: each script with the shared parts that its `-- uses:` line
names put in front (or, where the line stands below the opening comment, in its place), as far as they are used, comments and
indentation taken out, and its SHA1 (what EVALSHA wants).
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


def definitions(text):
    """The statements of a part, each as (names it defines, its text): what begins in the first column,
    up to the next that does and is no `end` or closing brace."""
    pieces = []
    for line in text.splitlines(keepends=True):
        if line.startswith("--") or not line.strip():
            continue
        if line[0].isspace() or re.match(r"end\b|}", line):
            pieces[-1] += line
        else:
            pieces.append(line)
    for piece in pieces:
        found = re.match(r"local function (\w+)|local ([\w, ]+?)(?: =|$)", piece)
        yield re.findall(r"\w+", found.group(1) or found.group(2)) if found else [], piece


def used(pieces, script):
    """The pieces that the script needs, directly or through others. Redis runs a script's text from the top at
    each call, so a function that is defined and never called costs something every time."""
    words, kept, grown = set(re.findall(r"\w+", script)), set(), True
    while grown:
        grown = False
        for i, (names, piece) in enumerate(pieces):
            if i not in kept and (not names or words & set(names)):
                kept.add(i)
                words |= set(re.findall(r"\w+", strip(piece)))
                grown = True
    return "".join(piece for i, (_, piece) in enumerate(pieces) if i in kept)


def parts(names, folder, script):
    pieces = [d for name in names.split() for d in definitions(expand(read(os.path.join(folder, name + ".lua")), folder))]
    return used(pieces, strip(script))


def expand(text, folder):
    """Puts the parts that a `-- uses:` below the opening comment names in its place: they exist from there on, within
    that block. From the last on, so that a part has what those behind it use."""
    head = re.match(r"(?:--[^\n]*\n)*", text).group(0)
    body = text[len(head):]
    while places := list(re.finditer(r"^([ ]*)-- uses: (.*)\n", body, flags=re.M)):
        indent, names = places[-1].groups()
        before, behind = body[:places[-1].start()], body[places[-1].end():]
        block = re.split(r"^(?! {%d}|\s*$)" % len(indent), behind, maxsplit=1, flags=re.M)[0]
        part = strip(parts(names, folder, block))
        body = before + "".join(indent + line for line in part.splitlines(keepends=True)) + behind
    return head + body


def assemble(path):
    folder = os.path.dirname(path)
    text = expand(read(path), folder)
    uses = re.search(r"^-- uses: (.*)$", text, re.M)
    return strip(parts(uses.group(1), folder, text) if uses else "") + strip(text)


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
