"""What the program says of itself: its verbs with their options, from `dray --help` and `dray VERB --help`, which
print the table of verbs. Man pages and completions are made of it, so that neither can lag behind."""

import re
import subprocess


class Option:
    def __init__(self, short, long, argument, text):
        self.short, self.long, self.argument, self.text = short, long, argument, text

    @property
    def names(self):
        return [n for n in (self.short, self.long) if n]


class Verb:
    def __init__(self, name, summary, help):
        self.name, self.summary = name, summary
        usage, _, rest = help.partition("\n")
        self.arguments = usage.removeprefix(f"usage: dray {name}").strip()
        # The summary stands between the usage line and the rest.
        self.text = rest.strip("\n").partition("\n")[2].strip("\n")
        self.options = options(self.arguments, self.text)
        words = self.arguments.split()
        first = words[0].strip("[]") if words else ""
        self.subverbs = first.split("|") if re.fullmatch(r"[a-z]+(\|[a-z]+)+", first) else []
        if first == "VERB": # its words are the help's list then
            self.subverbs = re.findall(r"^  ([a-z]+)(?:\s|$)", self.text, re.M)
            words = words[1:]
        self.places = [w.strip("[].…") for w in words if re.fullmatch(r"\[?[A-Z]+(…|\.\.\.)?\]?", w)]
        # Words that follow an option are its argument, not a place: [-c FILE].
        for pair in re.findall(r"--?[a-z][a-z-]* ([A-Z]+)\]", self.arguments):
            if pair in self.places:
                self.places.reverse()
                self.places.remove(pair)
                self.places.reverse()


def options(arguments, text):
    found = {}

    def add(short, long, argument, words):
        option = next((o for o in found.values() if (long and o.long == long) or (short and o.short == short)), None)
        if option is None:
            found[long or short] = Option(short, long, argument, words)
        else:
            option.short, option.long = option.short or short, option.long or long
            option.argument, option.text = option.argument or argument, option.text or words

    for line in text.splitlines():
        parts = re.split(r"\s{2,}", line.strip())
        for part, after in zip(parts, parts[1:] + [""]):
            match = re.match(r"(?:(-[a-z])(?:, |(?=\s|$)))?(--[a-z][a-z-]*)?(?: ([A-Z][A-Z_:]*|[a-z_]+(?:\|[a-z_]+)+|\d+[a-z]))?(?: |$)", part)
            if match and (match.group(1) or match.group(2)):
                add(match.group(1), match.group(2), match.group(3), "" if after.startswith("-") else after.lstrip("… "))
    for word, argument in re.findall(r"\[(--?[a-z][a-z-]*)(?: ([A-Z]+|\d+[a-z]))?\]", arguments):
        add(word if not word.startswith("--") else None, word if word.startswith("--") else None, argument or None, "")
    if "QUEUE" in arguments or any(o.short == "-c" for o in found.values()):
        add("-c", "--config", "FILE", "the configuration file")
    add("-h", "--help", None, "say more of the verb")
    for option in found.values():
        if not option.text and option.long in DEFAULT_TEXTS:
            option.text = DEFAULT_TEXTS[option.long]
    return list(found.values())


DEFAULT_TEXTS = {"--config": "the configuration file", "--json": "for programs", "--markdown": "as in the documentation"}


def run(program, *args):
    done = subprocess.run([program, *args], capture_output=True, text=True, encoding="utf-8")
    if done.returncode != 0:
        raise SystemExit(f"{program} {' '.join(args)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def version(program):
    return run(program, "version").split()[1]


def verbs(program):
    """Every verb, in the order of the help."""
    listed = re.findall(r"^  ([a-z]+)\s+(\S.*)$", run(program, "--help"), re.M)
    return [Verb(name, summary, run(program, name, "--help") if name != "version" else "usage: dray version\n")
            for name, summary in listed]
