"""Writes the completion of bash or zsh from the table of verbs. Names of queues, accounts and providers are asked of
the program while completing. usage: completions.py bash|zsh PROGRAM OUTPUT"""

import sys

import verbs

OPENING = "# Completion of dray for {shell}, written at build time from the program's table of verbs.\n"

# What a place or an option's argument is completed with.
KINDS = {"QUEUE": "queues", "ACCOUNT": "accounts", "PROVIDER": "providers", "FILE": "files"}

def kind(verb, place):
    if place == "NAME":
        return "providers" if verb.name == "providers" else "accounts"
    return KINDS.get(place)


def argument_kind(verb, option):
    """A kind, or the words themselves as a|b|c."""
    if "|" in option.argument:
        return option.argument
    return kind(verb, option.argument) or "none"


BASH = """\
_dray_names() { # queue or account
    "${dray_command[@]}" config show "${dray_config[@]}" 2>/dev/null | sed -n "s/^\\\\[$1 \\\\(.*\\\\)\\\\]$/\\\\1/p"
}

_dray_of_kind() { # words of a kind that begin with $cur
    local words=
    case $1 in
    queues) words=$(_dray_names queue) ;;
    accounts) words=$(_dray_names account) ;;
    providers) words=$("${dray_command[@]}" providers --json 2>/dev/null | grep -o '"name":"[^"]*"' | cut -d'"' -f4) ;;
    files)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    none) return ;;
    *) words=${1//|/ } ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

_dray() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}
    local verbs="@VERBS@" options="" subverbs="" takes="" places=() i place=0
    local dray_command=("${COMP_WORDS[0]}") dray_config=()
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$verbs --help --version" -- "$cur")
        return
    fi
    case $verb in
@CASES@
    *) return ;;
    esac
    # takes: the options that want an argument, as -n:kind.
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -c | --config) dray_config=(-c "${COMP_WORDS[i+1]/#\\~/$HOME}"); ((i++)) ;;
        -*) [[ " $takes" != *" ${COMP_WORDS[i]}:"* ]] || ((i++)) ;;
        *) ((place++)) ;;
        esac
    done
    if [[ " $takes" == *" $prev:"* ]]; then
        takes=" $takes"
        takes=${takes#*" $prev:"}
        _dray_of_kind "${takes%% *}"
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    elif [[ -n $subverbs && $place -eq 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$subverbs" -- "$cur")
    else
        [[ -z $subverbs ]] || ((place--))
        _dray_of_kind "${places[place]:-none}"
    fi
}

complete -F _dray dray
"""


def bash(program):
    all_verbs = verbs.verbs(program)
    cases = []
    for verb in all_verbs:
        options = " ".join(n for o in verb.options for n in o.names)
        takes = " ".join(f"{n}:{argument_kind(verb, o)}" for o in verb.options if o.argument for n in o.names)
        places = " ".join(kind(verb, p) or "none" for p in verb.places)
        case = f'    {verb.name})\n        options="{options}"'
        if takes:
            case += f' takes="{takes} "'
        if verb.subverbs:
            case += f' subverbs="{" ".join(verb.subverbs)}"'
        if places:
            case += f" places=({places})"
        cases.append(case + "\n        ;;")
    return (OPENING.format(shell="bash") + "\n" +
            BASH.replace("@VERBS@", " ".join(v.name for v in all_verbs)).replace("@CASES@", "\n".join(cases)))


ZSH = """\
_dray_names() { # queue or account
    local -a names
    names=(${(f)"$(_call_program names ${(q)dray_command} config show $dray_config 2>/dev/null |
        sed -n "s/^\\\\[$1 \\\\(.*\\\\)\\\\]$/\\\\1/p")"})
    compadd -a names
}
_dray_queues() { _dray_names queue }
_dray_accounts() { _dray_names account }
_dray_providers() {
    local -a names
    names=(${(f)"$(_call_program names ${(q)dray_command} providers --json 2>/dev/null |
        grep -o '"name":"[^"]*"' | cut -d'"' -f4)"})
    compadd -a names
}

_dray() {
    local dray_command=$words[1] curcontext=$curcontext state i
    local -a dray_config verbs line
    for ((i = 2; i < CURRENT; i++)); do
        [[ $words[i] != (-c|--config) ]] || dray_config=(-c ${(q)words[i+1]})
    done
    verbs=(
@VERBS@
    )
    _arguments -C '(- *)'{-h,--help}'[list the verbs]' '(- *)--version[print the version]' '1: :->verb' '*:: :->rest'
    case $state in
    verb) _describe verb verbs ;;
    rest)
        case $words[1] in
@CASES@
        esac
        ;;
    esac
}

_dray "$@"
"""

ZSH_ACTIONS = {"queues": "_dray_queues", "accounts": "_dray_accounts", "providers": "_dray_providers", "files": "_files"}


def zsh_text(text):
    return text.replace("\\", "\\\\").replace("'", "'\\''").replace(":", "\\:").replace("[", "\\[").replace("]", "\\]")


def zsh_verb(verb):
    specs = []
    for option in verb.options:
        argument = ""
        if option.argument:
            of = argument_kind(verb, option)
            action = f"({of.replace('|', ' ')})" if "|" in of else ZSH_ACTIONS.get(of, " ")
            name = "word" if "|" in of else option.argument.replace(":", " ")
            argument = f":{name}:{action}"
        specs += [f"'{n}[{zsh_text(option.text)}]{argument}'" for n in option.names]
    if verb.subverbs:
        specs.append(f"':what:({' '.join(verb.subverbs)})'")
    specs += [f"':{place.lower()}:{ZSH_ACTIONS.get(kind(verb, place), ' ')}'" for place in verb.places]
    lines = " \\\n                ".join(specs)
    return f"        {verb.name})\n            _arguments \\\n                {lines}\n            ;;"


def zsh(program):
    all_verbs = verbs.verbs(program)
    listed = "\n".join(f"        '{v.name}:{zsh_text(v.summary)}'" for v in all_verbs)
    return ("#compdef dray\n" + OPENING.format(shell="zsh") + "\n" +
            ZSH.replace("@VERBS@", listed).replace("@CASES@", "\n".join(zsh_verb(v) for v in all_verbs)))


def main():
    shell, program, output = sys.argv[1:]
    with open(output, "w", encoding="utf-8") as f:
        f.write({"bash": bash, "zsh": zsh}[shell](program))


if __name__ == "__main__":
    main()
