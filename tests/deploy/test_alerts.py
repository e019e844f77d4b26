"""Alert rules and dashboard: understood by Prometheus, explained in the runbook, and about metrics that exist."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from lib.admin import AdminWorld
from lib.peer import Answer, HangUp, Peer
from lib.process import ROOT
from lib.redis_server import RedisServer
from lib.wait import wait_until
from lib.world import created

DEPLOY = os.path.join(ROOT, "deploy")
RULES = os.path.join(DEPLOY, "prometheus", "alerts.yml")
TESTS = os.path.join(ROOT, "tests", "deploy", "alerts.test.yml")
DASHBOARD = os.path.join(DEPLOY, "grafana", "dray.json")
sys.path.insert(0, os.path.join(DEPLOY, "generate"))
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")


def alerts():
    with open(RULES, encoding="utf-8") as f:
        return [rule for group in yaml.safe_load(f)["groups"] for rule in group["rules"]]


def panels():
    with open(DASHBOARD, encoding="utf-8") as f:
        return json.load(f)["panels"]


def expressions():
    with open(DASHBOARD, encoding="utf-8") as f:
        variables = [v["query"]["query"] for v in json.load(f)["templating"]["list"] if v["type"] == "query"]
    return [a["expr"] for a in alerts()] + [t["expr"] for p in panels() for t in p["targets"]] + variables


def metrics_used():
    return {name for e in expressions() for name in re.findall(r"\bdray_[a-z_]+", e)}


@needs_promtool
def test_the_rules_are_valid():
    done = subprocess.run(["promtool", "check", "rules", "--lint=all", "--lint-fatal", RULES], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_rules_fire_when_they_should():
    done = subprocess.run(["promtool", "test", "rules", TESTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_both_ways():
    with open(TESTS, encoding="utf-8") as f:
        cases = [c for t in yaml.safe_load(f)["tests"] for c in t["alert_rule_test"]]
    fires = {c["alertname"] for c in cases if c["exp_alerts"]}
    quiet = {c["alertname"] for c in cases if not c["exp_alerts"]}
    assert fires == quiet == {a["alert"] for a in alerts()}


def test_every_alert_is_explained_in_the_runbook():
    with open(os.path.join(ROOT, "docs", "operations.md"), encoding="utf-8") as f:
        page = f.read()
    headings = re.findall(r"^### (Dray\w+)$", page, re.M)
    assert sorted(headings) == sorted(a["alert"] for a in alerts())
    for alert in alerts():
        assert alert["annotations"]["runbook"] == f"docs/operations.md#{alert['alert'].lower()}"
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "description"} <= set(alert["annotations"])
        section = re.search(rf"^### {alert['alert']}\n(.*?)(?=^##)", page, re.M | re.S).group(1)
        assert "```sh" in section or "`dray " in section or "`kill " in section, f"{alert['alert']}: nothing to type"


def test_the_dashboard_is_what_its_source_says():
    import dashboard
    with open(DASHBOARD, encoding="utf-8") as f:
        assert f.read() == dashboard.text(), "run deploy/generate/dashboard.py"


def test_the_dashboards_panels_do_not_overlap():
    taken = set()
    for panel in panels():
        g = panel["gridPos"]
        assert g["x"] + g["w"] <= 24
        cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [p["id"] for p in panels()]
    assert len(ids) == len(set(ids))


@needs_promtool
def test_the_dashboards_expressions_are_promql(tmp_path):
    """As rules, for promtool to parse; Grafana's own variables stand for what it puts in their place."""
    rules = []
    for number, panel in enumerate(panels()):
        for target in panel["targets"]:
            expr = target["expr"].replace("$__rate_interval", "1m").replace("$queue", ".*").replace("$account", ".*")
            rules.append({"record": f"panel:{number}:{target['refId']}", "expr": expr})
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_compose_prometheus_configuration_is_valid(tmp_path):
    with open(os.path.join(DEPLOY, "compose", "prometheus.yml"), encoding="utf-8") as f:
        text = f.read().replace("/etc/prometheus/alerts.yml", RULES)
    path = tmp_path / "prometheus.yml"
    path.write_text(text)
    done = subprocess.run(["promtool", "check", "config", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- against a worker ----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def exported():
    """{metric: its labels' names} of a worker that has seen every kind of outcome."""
    with RedisServer() as redis, Peer() as peer:
        with AdminWorld(redis, peer, account={"on_unknown": "lookup", "lookup_delay": "0s", "lookup_attempts": "1",
                                              "token_expires_at": "2033-05-18T03:33:20Z"}) as world:
            peer.script = [Answer(503), Answer(422), HangUp("after")]
            peer.default = lambda request: (created(world.provider, request) if request.method == "POST"
                                            else Answer(200, {"code": 10000, "data": {"list": []}}))
            for number in range(3):
                world.send(f"j{number}")
                world.result()
            wait_until(lambda: re.search("^dray_queue_jobs.*^dray_redis_noeviction", world.ask("/metrics").body.decode(), re.M | re.S),
                       20, "a reading of Redis")
            text = world.ask("/metrics").body.decode()
    found = {}
    for name, labels in re.findall(r"^(dray_[a-z_]+)(?:\{(.*?)\})? \S+$", text, re.M):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def test_every_metric_used_exists(exported):
    missing = metrics_used() - set(exported)
    assert not missing, f"alerts or dashboard use {sorted(missing)}, which no worker has; there are {sorted(exported)}"


def test_every_label_matched_exists(exported):
    for expr in expressions():
        for name, matchers in re.findall(r"\b(dray_[a-z_]+)\{([^}]*)\}", expr):
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
                assert label in exported[name], f"{name} has no label {label}: {expr}"


def test_every_value_matched_exists():
    """States, reasons and verdicts in expressions are words that the program has."""
    source = ""
    for folder, _, names in os.walk(os.path.join(ROOT, "src")):
        for name in names:
            if name.endswith(".c"):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    source += f.read()
    values = {v for e in expressions() for label, text in re.findall(r'\b(state|reason|verdict)(?:=~|!~|!=|=)"([^"]*)"', e)
              for v in text.split("|")}
    assert values
    for value in values:
        assert re.search(rf'\\?"{value}\\?"', source), value
