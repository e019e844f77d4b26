"""Completions and man pages: made of the table of verbs, and understood by the shells and by man."""

import os
import pty
import re
import shutil
import signal
import subprocess
import threading

import pytest

from lib.daemon import ini
from lib.process import DRAY, clean_env
from lib.wait import wait_until

BUILT = os.path.join(os.path.dirname(DRAY), "deploy")
CONFIG = {
    "account shop-eu": {"provider": "kakaclo-v2", "queue": "orders", "token": "x"},
    "account shop-us": {"provider": "kakaclo-v2", "queue": "orders", "token": "x"},
    "account vu": {"provider": "vu", "key": "x", "secret": "x"},
}


def verbs():
    done = subprocess.run([DRAY, "--help"], capture_output=True, text=True, check=True)
    return re.findall(r"^  ([a-z]+)\s", done.stdout, re.M)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "dray.ini"
    path.write_text(ini(CONFIG))
    return str(path)


def complete_bash(words, cwd=None):
    """What bash offers for the last of `words`."""
    script = f"""
        source {BUILT}/dray || exit 9
        [[ $(complete -p dray) == 'complete -F _dray dray' ]] || exit 8
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _dray; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script, "bash", DRAY, *words], capture_output=True, text=True,
                          env=clean_env(), cwd=cwd)
    assert done.returncode == 0 and done.stderr == "", (done.returncode, done.stderr)
    return done.stdout.split()


def test_bash_knows_every_verb():
    assert set(complete_bash([""])) == set(verbs()) | {"--help", "--version"}
    assert complete_bash(["sand"]) == ["sandbox"]


@pytest.mark.parametrize("verb", verbs())
def test_bash_knows_every_option_and_they_exist(verb):
    offered = set(complete_bash([verb, "-"]))
    if verb == "version":
        return
    said = subprocess.run([DRAY, verb, "--help"], capture_output=True, text=True, check=True).stdout
    for option in offered - {"-c", "--config", "-h", "--help"}:
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", said), f"{option} is not in the help of {verb}"
    for option in offered & {"-c", "--config"}:
        tried = subprocess.run([DRAY, verb, option, "/nonexistent/dray.ini", "ls"], capture_output=True, text=True)
        assert "invalid option" not in tried.stderr and "unrecognized option" not in tried.stderr
    for option in re.findall(r"\[(--[a-z-]+)", said.split("\n")[0]):
        assert option in offered
    assert "--help" in offered


def test_bash_completes_names_from_the_configuration(config, tmp_path):
    assert complete_bash(["push", "-c", config, ""]) == ["orders", "vu"]
    assert complete_bash(["results", "-c", config, "or"]) == ["orders"]
    assert complete_bash(["push", "-c", config, "orders", "--account", "shop"]) == ["shop-eu", "shop-us"]
    assert complete_bash(["config", ""]) == ["check", "show", "keys"]
    assert complete_bash(["config", "s"]) == ["show"]
    assert "retry" in complete_bash(["dead", ""]) and complete_bash(["dead", "ls", "-c", config, ""]) == ["orders", "vu"]
    assert complete_bash(["dead", "ls", "orders", "--reason", "ex"]) == ["exhausted", "expired"]
    assert complete_bash(["pause", "-c", config, "orders", "shop"]) == ["shop-eu", "shop-us"]
    assert complete_bash(["validate", "-c", config, "--account", "shop"]) == ["shop-eu", "shop-us"]
    assert complete_bash(["validate", "-c", config, "--queue", ""]) == ["orders", "vu"]
    assert "vu" in complete_bash(["validate", ""]) and "kakaclo-v1" in complete_bash(["providers", "kak"])
    (tmp_path / "order one.json").touch()
    assert " ".join(complete_bash(["validate", "vu", "ord"], cwd=tmp_path)) == "order one.json"
    assert complete_bash(["push", "-c", "/nonexistent", ""]) == []  # nothing to offer, and no message in between


ZSHRC = r"""
unsetopt beep; PS1= RPS1=
fpath=({built} $fpath)
autoload -Uz compinit && compinit -u -d {dir}/dump
report() {{ # what would be offered goes to a file instead of the screen
    compadd() {{ local -a found; builtin compadd -O found "$@"; print -rC1 -- $found >> {dir}/found; return 1 }}
    _main_complete
    print END >> {dir}/found
}}
zle -C report complete-word report
bindkey '^X' report
print READY > {dir}/found
"""


def complete_zsh(line, folder):
    """What zsh offers at the end of `line`, asked in a terminal of its own."""
    (folder / ".zshrc").write_text(ZSHRC.format(built=BUILT, dir=folder))
    found = folder / "found"
    env = clean_env({"PATH": os.path.dirname(DRAY) + ":" + os.environ["PATH"], "TERM": "dumb", "ZDOTDIR": str(folder)})
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-d", "-i"], env)
    threading.Thread(target=drain, args=(terminal,), daemon=True).start()
    try:
        wait_until(found.exists, 20, "zsh to start")
        os.write(terminal, line.encode() + b"\x18")
        wait_until(lambda: "END" in found.read_text().split(), 20, lambda: f"an end; so far {found.read_text()}")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    return set(found.read_text().split()) - {"READY", "END"}


def drain(terminal):
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:
        pass


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
@pytest.mark.parametrize("line, wanted", [
    ("dray ", {"run", "push", "sandbox"}),
    ("dray push -c {config} ", {"orders", "vu"}),
    ("dray push -c {config} orders --account ", {"shop-eu", "shop-us", "vu"}),
    ("dray sandbox --", {"--latency", "--listen"}),
    ("dray validate -c {config} --account ", {"shop-eu", "shop-us", "vu"}),
    ("dray validate kak", {"kakaclo-v1", "kakaclo-v2", "kakaclo-custom"}),
    ("dray config ", {"check", "show", "keys"}),
    ("dray dead ls orders --reason ", {"exhausted", "unknown_outcome"}),
])
def test_zsh_completes(line, wanted, config, tmp_path):
    found = complete_zsh(line.format(config=config), tmp_path)
    assert wanted <= found


def test_man_pages_have_every_verb_and_key():
    with open(os.path.join(BUILT, "dray.1"), encoding="utf-8") as f:
        page = f.read()
    for verb in verbs():
        assert f'.SS "dray {verb}"' in page
    with open(os.path.join(BUILT, "dray.ini.5"), encoding="utf-8") as f:
        page = f.read()
    keys = subprocess.run([DRAY, "config", "keys"], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^  ([a-z_]+): ", keys, re.M)
    assert len(names) > 50
    for name in names:
        assert f"\\fB{name}\\fR (" in page, name


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
@pytest.mark.parametrize("name", ["dray.1", "dray.ini.5"])
def test_man_pages_are_clean_roff(name):
    done = subprocess.run(["groff", "-man", "-ww", "-Kutf8", "-Tutf8", os.path.join(BUILT, name)],
                          capture_output=True, text=True, encoding="utf-8")
    warnings = [w for w in done.stderr.splitlines() if "adjust" not in w and "break" not in w]
    assert done.returncode == 0 and warnings == []
    assert "dray" in done.stdout and "\\f" not in done.stdout


def test_install_puts_everything_in_its_place(tmp_path):
    build = os.path.dirname(DRAY)
    done = subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", str(tmp_path)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    installed = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    for end in ("/bin/dray", "/man/man1/dray.1", "/man/man5/dray.ini.5", "/bash-completion/completions/dray",
                "/zsh/site-functions/_dray", "/lib/systemd/system/dray.service", "/lib/sysusers.d/dray.conf",
                "/lib/tmpfiles.d/dray.conf"):
        assert any(p.endswith(end) for p in installed), (end, installed)
