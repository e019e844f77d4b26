#!/usr/bin/env python3
"""embed_examples.py OUTPUT.c DIR/NAME/order.json... : the seeds' example orders as C strings."""

import os
import sys


def c_string(data):
    lines = []
    for line in data.splitlines(keepends=True):
        text = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in line)
        lines.append(f'     "{text}"')
    return "\n".join(lines)


def main(output, inputs):
    with open(output, "w", encoding="ascii") as out:
        out.write('/* Made by embed_examples.py from tests/fixtures. */\n#include "cli/demo.h"\n\n')
        out.write("const struct demo_example demo_examples[] = {\n")
        for name in inputs:
            with open(name, "rb") as f:
                data = f.read().strip()
            provider = os.path.basename(os.path.dirname(name))
            out.write(f'    {{"{provider}",\n{c_string(data)}}},\n')
        out.write("    {NULL, NULL},\n};\n")


main(sys.argv[1], sys.argv[2:])
