"""Which C file calls which: read from the text as clang-format lays it out, so that lint needs no build."""

import re

KEYWORD = r"(?!static\b|extern\b|typedef\b|return\b|else\b|goto\b)"
# A function's head begins in the first column and ends with a brace; an object's has a value.
FUNCTION = re.compile(rf"^{KEYWORD}[A-Za-z][\w \t*]*?[ *](\w+)\([^;{{}}]*\)\s*\{{", re.M)
OBJECT = re.compile(rf"^{KEYWORD}[a-z][\w \t*]*?[ *](\w+)(?:\[[^\]\n]*\])*(?:\s*=[^=]|;)", re.M)


def without_comments(text):
    """The text with its comments blanked out; every line stays where it is."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0)) if match.group(0).startswith("/") else match.group(0)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"', blank, text, flags=re.S)


def definitions(text):
    """The functions and objects that other files may use."""
    return set(FUNCTION.findall(text)) | set(OBJECT.findall(text))


def uses(text, names):
    """Those of `names` that the text mentions, and neither as a member nor as a name of its own."""
    code = re.sub(r'"(?:[^"\\\n]|\\.)*"|\b(struct|enum)\s+\w+|^[ \t]*#include.*$', lambda m: "T" if m.group(1) else '""', text, flags=re.M)
    found = set(re.findall(r"(?<![\w.>])([a-z]\w*)", code)) & names
    own = set(re.findall(r"^static\b[\w \t*]*?[ *](\w+)(?:\(|\[|\s*=|;)|\(\*(\w+)\)\(", code, flags=re.M))
    own = {name for pair in own for name in pair}
    return {n for n in found - own if re.search(rf"(?<![\w.>]){n}\s*\(", code) or not is_local(n, code)}


def is_local(name, code):
    """Whether a variable, a parameter or a member of this name is declared."""
    return re.search(rf"\b(?!return)\w+(?: \**| \*const ){name}(?:\[\w*\])*(?: = |;|,|\))"  # int name; … *name, …)
                     rf"|, \**{name} = "                                               # int a, name = …;
                     rf"|^[^=()]*, \**{name}(?:, \**\w+)*;", code, re.M) is not None        # int a, name, b;


def call_graph(texts):
    """{file: {file that it uses: names}} of {file: text}."""
    texts = {file: without_comments(text) for file, text in texts.items()}
    home = {}
    for file, text in texts.items():
        for name in definitions(text):
            home[name] = file
    names = set(home)
    graph = {}
    for file, text in texts.items():
        for name in uses(text, names) - definitions(text):
            graph.setdefault(file, {}).setdefault(home[name], set()).add(name)
    return graph


def circles(graph):
    """The sets of files each of which reaches all others of its set: Tarjan's strongly connected components."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            found.append(set(stack[stack.index(node):]))
            del stack[stack.index(node):]

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return [c for c in found if len(c) > 1]
