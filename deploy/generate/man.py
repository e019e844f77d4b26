"""Writes a man page: dray.1 from the table of verbs, dray.ini.5 from the table of configuration keys, both as the
program prints them. usage: man.py dray.1|dray.ini.5 PROGRAM OUTPUT"""

import re
import sys

import verbs

DESCRIPTION = """\
.B dray
takes order jobs from Redis lists, creates each order once at its fulfillment provider over HTTP, and pushes the
outcome back on another list. An order is sent again only when the earlier attempt surely created nothing; where bytes
were sent and no answer came, the job becomes a dead letter with the evidence.
.PP
.B dray run
is the daemon; the other verbs are the operator's and the developer's.
"""

SIGNALS = [
    ("SIGTERM, SIGINT", "Drain: claim nothing more, finish what is in flight for at most \\fBdrain_timeout\\fR, hand "
                        "back the rest, exit 0. A second one ends at once."),
    ("SIGHUP", "Read configuration and secrets again, log level included, and claim again after SIGUSR1."),
    ("SIGUSR1", "Claim nothing more and live on."),
    ("SIGUSR2", "Log the state."),
]

EXITS = [("0", "Fine."), ("1", "Failed."), ("2", "Wrong usage or configuration."), ("3", "Redis was out of reach at the start.")]

ENVIRONMENT = [
    ("DRAY_CONFIG", "The configuration file."),
    ("DRAY_SECTION_KEY", "Every configuration key; see \\fBdray.ini\\fR(5)."),
    ("NOTIFY_SOCKET, WATCHDOG_USEC", "Set by \\fBsystemd\\fR(1): where \\fBdray run\\fR tells that it is ready, alive and stopping."),
]

FILES = [
    ("/etc/dray/dray.ini", "The configuration, unless there is one in the working directory."),
    ("/etc/dray/accounts.d/*.ini", "More accounts and queues."),
    ("/var/lib/dray/spool", "Outcomes that Redis could not take before a shutdown."),
]


def esc(text):
    """Text as roff shows it literally."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def marked(text):
    """Markdown's code spans in bold; links as their text."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"`([^`]*)`", text)
    out = "".join(f"\\fB{esc(p)}\\fR" if i % 2 else esc(p) for i, p in enumerate(parts))
    return "\\&" + out if out[:1] in (".", "'") else out


def tagged(pairs):
    return "".join(f".TP\n.B {esc(tag)}\n{text}\n" for tag, text in pairs)


def title(name, section, what, program):
    return f'.TH {name.upper()} {section} "" "dray {verbs.version(program)}" "{what}"\n'


def dray_1(program):
    all_verbs = verbs.verbs(program)
    out = title("dray", 1, "User commands", program)
    out += ".SH NAME\ndray \\- haul orders from Redis to fulfillment providers\n"
    out += ".SH SYNOPSIS\n.nf\n"
    out += "".join(f"\\fBdray {v.name}\\fR {esc(v.arguments)}".rstrip() + "\n" for v in all_verbs) + ".fi\n"
    out += ".SH DESCRIPTION\n" + DESCRIPTION
    out += ".SH VERBS\n"
    for verb in all_verbs:
        out += f'.SS "dray {verb.name}"\n{esc(verb.summary[0].upper() + verb.summary[1:])}.\n'
        if verb.text:
            out += ".PP\n.nf\n" + re.sub(r"^$", ".sp", esc(verb.text), flags=re.M) + "\n.fi\n"
    for heading, pairs in (("SIGNALS", SIGNALS), ("EXIT STATUS", EXITS), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        out += f".SH {heading}\n{tagged(pairs)}"
    return out + ".SH SEE ALSO\n.BR dray.ini (5)\n"


def table_row(line):
    cells = [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
    key, kind, default, text = (cells + [""] * 4)[:4]
    facts = kind + (f"; default {default}" if default else "")
    return f".TP\n\\fB{esc(key.strip('`'))}\\fR ({marked(facts)})\n{marked(text)}\n"


def dray_ini_5(program):
    out = title("dray.ini", 5, "File formats", program)
    out += ".SH NAME\ndray.ini \\- configuration of dray\n"
    code = paragraph = False
    for line in verbs.run(program, "config", "keys", "--markdown").splitlines()[1:]:
        if line.startswith("```"):
            out += ".fi\n.RE\n" if code else ".PP\n.RS 4\n.nf\n"
            code, paragraph = not code, False
        elif code:
            out += (esc(line) or ".sp") + "\n"
        elif line.startswith("## "):
            heading = line[3:].upper() if not line.startswith("## [") else line[3:]
            out, paragraph = out + f'.SH "{esc(heading)}"\n', True
        elif line.startswith("| `"):
            out, paragraph = out + table_row(line), False
        elif line.startswith("|"):
            continue
        elif not line:
            paragraph = False
        else:
            if not paragraph:
                out += ".SH DESCRIPTION\n" if ".SH DESCRIPTION" not in out else ".PP\n"
                paragraph = True
            out += marked(line) + "\n"
    out = re.sub(r"(\.SH [^\n]*\n)\.PP\n", r"\1", out)
    return out + ".SH SEE ALSO\n.BR dray (1)\n"


def main():
    page, program, output = sys.argv[1:]
    text = {"dray.1": dray_1, "dray.ini.5": dray_ini_5}[page](program)
    with open(output, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
