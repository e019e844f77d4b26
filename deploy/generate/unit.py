"""Writes the systemd unit for the folder that the program is installed in. usage: unit.py INPUT OUTPUT BINDIR"""

import sys

source, output, bindir = sys.argv[1:]
with open(source, encoding="utf-8") as f:
    text = f.read()
if "ExecStart=/usr/bin/dray " not in text:
    raise SystemExit(f"{source}: no ExecStart=/usr/bin/dray")
with open(output, "w", encoding="utf-8") as f:
    f.write(text.replace("ExecStart=/usr/bin/dray ", f"ExecStart={bindir}/dray "))
