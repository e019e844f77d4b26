"""Compose and Kubernetes files: there is no daemon and no API server here, so what they must say is checked by hand:
every reference resolves, and nothing kills a worker in the middle of an order."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from lib.process import DRAY, ROOT, clean_env

DEPLOY = os.path.join(ROOT, "deploy")
K8S = os.path.join(DEPLOY, "kubernetes")
sys.path.insert(0, os.path.join(DEPLOY, "generate"))

DRAIN = 25  # drain_timeout's default, s
GRACE = 5   # then for Redis to take the last outcomes, s


def load(*path):
    with open(os.path.join(DEPLOY, *path), encoding="utf-8") as f:
        return list(yaml.safe_load_all(f))


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def test_every_yaml_file_is_yaml_without_double_keys():
    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node, deep=False):
            keys = [k.value for k, _ in node.value]
            plain = [k for k in keys if k != "<<"]
            assert len(plain) == len(set(plain)), f"a key stands twice: {plain}"
            return super().construct_mapping(node, deep)

    count = 0
    for folder, _, names in os.walk(DEPLOY):
        for name in names:
            if name.endswith((".yaml", ".yml")):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    assert all(d is not None for d in yaml.load_all(f, Strict)), name  # noqa: S506
                count += 1
    assert count > 10


# ---- Kubernetes ----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def objects():
    kustomization = load("kubernetes", "kustomization.yaml")[0]
    found = {}
    for name in kustomization["resources"]:
        for thing in load("kubernetes", name):
            key = (thing["kind"], thing["metadata"]["name"])
            assert key not in found, key
            found[key] = thing
    listed = {n for n in os.listdir(K8S) if n.endswith(".yaml")} - {"kustomization.yaml"}
    assert listed == set(kustomization["resources"])
    return found


def pod(objects):
    return objects["Deployment", "dray"]["spec"]["template"]["spec"]


def container(objects):
    containers = pod(objects)["containers"]
    assert len(containers) == 1
    return containers[0]


def test_versions_of_the_kinds(objects):
    assert {kind: o["apiVersion"] for (kind, _), o in objects.items()} == {
        "Namespace": "v1", "ConfigMap": "v1", "Deployment": "apps/v1", "Service": "v1",
        "PodDisruptionBudget": "policy/v1", "NetworkPolicy": "networking.k8s.io/v1",
        "ServiceMonitor": "monitoring.coreos.com/v1", "PrometheusRule": "monitoring.coreos.com/v1",
        "ScaledObject": "keda.sh/v1alpha1", "TriggerAuthentication": "keda.sh/v1alpha1"}


def test_selectors_select_the_pods(objects):
    deployment = objects["Deployment", "dray"]["spec"]
    labels = deployment["template"]["metadata"]["labels"].items()
    service = objects["Service", "worker-admin"]
    selectors = [deployment["selector"]["matchLabels"], service["spec"]["selector"],
                 objects["PodDisruptionBudget", "dray"]["spec"]["selector"]["matchLabels"],
                 objects["NetworkPolicy", "dray"]["spec"]["podSelector"]["matchLabels"]]
    for constraint in pod(objects)["topologySpreadConstraints"]:
        selectors.append(constraint["labelSelector"]["matchLabels"])
    for selector in selectors:
        assert selector and selector.items() <= labels
    monitor = objects["ServiceMonitor", "dray"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {e["port"] for e in monitor["endpoints"]} <= {p["name"] for p in service["spec"]["ports"]}
    assert not service["metadata"]["name"].startswith("dray")  # would put DRAY_… variables into every pod


def test_a_pod_ends_after_its_orders(objects):
    """Drain, Redis's last answers, and a margin, before the kill; and the configuration drains no longer."""
    config = objects["ConfigMap", "dray-config"]["data"]["dray.ini"]
    drain = seconds(re.search(r"^drain_timeout = (\S+)$", config, re.M).group(1))
    assert pod(objects)["terminationGracePeriodSeconds"] >= drain + GRACE + 10
    assert "preStop" not in json.dumps(pod(objects))  # dray drains at TERM by itself


def test_probes(objects):
    c = container(objects)
    ports = {p["name"] for p in c["ports"]}
    assert c["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert c["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert c["startupProbe"]["httpGet"]["path"] == "/healthz"  # Redis away at the start must not restart the pod
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        assert c[probe]["httpGet"]["port"] in ports
    live = c["livenessProbe"]
    assert live["periodSeconds"] * live["failureThreshold"] >= 30  # a slow node is no reason to lose a drain


def test_the_pod_may_do_nothing_but_its_work(objects):
    spec, c = pod(objects), container(objects)
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
    assert c["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                    "capabilities": {"drop": ["ALL"]}}
    assert c["resources"]["limits"]["memory"] and "cpu" not in c["resources"]["limits"]
    assert "env" not in c  # secrets come as files


def test_mounts_and_secrets_fit_the_configuration(objects, tmp_path):
    volumes = {v["name"]: v for v in pod(objects)["volumes"]}
    mounts = {m["mountPath"]: m["name"] for m in container(objects)["volumeMounts"]}
    assert set(mounts.values()) == set(volumes)
    assert volumes[mounts["/etc/dray"]]["configMap"]["name"] == "dray-config"
    assert volumes[mounts["/run/secrets/dray"]]["secret"]["secretName"] == "dray-tokens"
    assert "/var/lib/dray" in mounts  # the spool: the root file system is read-only
    config = objects["ConfigMap", "dray-config"]["data"]["dray.ini"]
    used = set(re.findall(r"^\w+_file = /run/secrets/dray/(\S+)$", config, re.M))
    with open(os.path.join(K8S, "README.md"), encoding="utf-8") as f:
        made = set(re.findall(r"--from-file=([\w-]+)=", f.read()))
    assert used == made
    trigger = objects["TriggerAuthentication", "dray-redis"]["spec"]["secretTargetRef"][0]
    assert trigger["name"] == "dray-tokens" and trigger["key"] in made
    check_config(config, "/run/secrets/dray", made, tmp_path)


def check_config(text, folder, secrets, tmp_path):
    """The configuration is valid, with files in the secrets' place."""
    for name in secrets:
        (tmp_path / name).write_text("a-secret\n")
    path = tmp_path / "dray.ini"
    path.write_text(text.replace(folder, str(tmp_path)))
    done = subprocess.run([DRAY, "config", "check", "-c", str(path)], capture_output=True, text=True, env=clean_env())
    assert done.returncode == 0, done.stdout + done.stderr


def test_scaling_down_is_slow_and_watches_the_queue(objects):
    config = objects["ConfigMap", "dray-config"]["data"]["dray.ini"]
    spec = objects["ScaledObject", "dray"]["spec"]
    assert spec["scaleTargetRef"]["name"] == "dray"
    assert spec["minReplicaCount"] >= 2 and spec["maxReplicaCount"] > spec["minReplicaCount"]
    assert spec["cooldownPeriod"] >= 300
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] >= 300
    for policy in down["policies"]:  # one at a time, and each has time to drain before the next
        assert policy["type"] == "Pods" and policy["value"] == 1
        assert policy["periodSeconds"] >= pod(objects)["terminationGracePeriodSeconds"]
    lists = {t["metadata"]["listName"] for t in spec["triggers"] if t["type"] == "redis"}
    queues = set(re.findall(r"^queue = (\S+)$", config, re.M))
    assert lists == {f"dray:{{{q}}}:jobs" for q in queues}
    redis = re.search(r"^url = redis://(\S+)$", config, re.M).group(1)
    assert all(t["metadata"]["address"] == redis for t in spec["triggers"])
    assert "replicas" not in objects["Deployment", "dray"]["spec"]  # two owners of one number fight


def test_a_rollout_and_a_node_drain_keep_workers(objects):
    assert objects["Deployment", "dray"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert objects["PodDisruptionBudget", "dray"]["spec"]["maxUnavailable"] == 1


def test_the_network_policy_allows_what_is_needed(objects):
    spec = objects["NetworkPolicy", "dray"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    ports = {p["port"] for rule in spec["egress"] for p in rule["ports"]}
    assert ports == {53, 6379, 443}
    assert {p["port"] for rule in spec["ingress"] for p in rule["ports"]} == {9780}
    internet = [b["ipBlock"] for rule in spec["egress"] for b in rule["to"] if "ipBlock" in b]
    assert any("169.254.0.0/16" in b["except"] for b in internet)  # a cloud's metadata service


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_kustomize_builds():
    done = subprocess.run(["kubectl", "kustomize", K8S], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    assert all(o["kind"] == "Namespace" or o["metadata"]["namespace"] == "dray" for o in built)
    assert f"registry.example.com/dray:{version()}" in done.stdout


def version():
    with open(os.path.join(ROOT, "meson.build"), encoding="utf-8") as f:
        return re.search(r"^  version: '(.*)',$", f.read(), re.M).group(1)


def test_one_version_everywhere():
    assert [i["newTag"] for i in load("kubernetes", "kustomization.yaml")[0]["images"]] == [version()]
    with open(os.path.join(ROOT, "docs", "CHANGELOG.md"), encoding="utf-8") as f:
        assert re.findall(r"^## \[(.*?)\]", f.read(), re.M)[0] == version()
    said = subprocess.run([DRAY, "version"], capture_output=True, text=True).stdout
    assert said.split()[:2] == ["dray", version()], said


def test_the_operator_rules_are_the_alert_rules():
    import prometheusrule
    with open(prometheusrule.OUTPUT, encoding="utf-8") as f:
        assert f.read() == prometheusrule.text(), "run deploy/generate/prometheusrule.py"
    assert load("kubernetes", "prometheusrule.yaml")[0]["spec"] == load("prometheus", "alerts.yml")[0]


# ---- Compose -------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def compose():
    return load("compose.yaml")[0]


def workers(compose):
    return {n: s for n, s in compose["services"].items() if n.startswith("worker")}


def test_compose_refers_only_to_what_is_there(compose):
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert os.path.exists(os.path.join(DEPLOY, source)), (name, source)
            else:
                assert source in compose["volumes"], (name, source)
        for other in service.get("depends_on", {}):
            assert other in compose["services"]
        for secret in service.get("secrets", []):
            assert secret in compose["secrets"]
        for config in service.get("configs", []):
            assert config["source"] in compose["configs"]
        if "build" in service:
            context = os.path.normpath(os.path.join(DEPLOY, service["build"]["context"]))
            assert os.path.samefile(context, ROOT)
            assert os.path.exists(os.path.join(context, service["build"]["dockerfile"]))
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} listens beyond this machine: {port}"
    for thing in [*compose["secrets"].values(), *compose["configs"].values()]:
        assert os.path.exists(os.path.join(DEPLOY, thing["file"]))


def test_compose_redis_keeps_what_it_accepted(compose):
    command = compose["services"]["redis"]["command"]
    options = dict(zip(command[5::2], command[6::2]))
    assert command[4] == "redis-server"
    assert options["--maxmemory-policy"] == "noeviction" and options["--appendonly"] == "yes"
    assert options["--appendfsync"] in ("everysec", "always") and "--maxmemory" in options
    assert "redis:/data" in compose["services"]["redis"]["volumes"]


@pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed")
def test_redis_takes_those_options(compose, tmp_path):
    import redis
    from lib.process import Process
    from lib.wait import wait_until
    command = [part.replace("$$", "$").replace("redis-cli", f"redis-cli -s {tmp_path}/s") for part in compose["services"]["redis"]["command"]]
    server = Process([*command, "--port", "0", "--dir", str(tmp_path), "--unixsocket", str(tmp_path / "s")])
    try:
        client = redis.Redis(unix_socket_path=str(tmp_path / "s"))
        wait_until((tmp_path / "s").exists, 10, server.tail)
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert client.config_get("save")["save"] == ""
        wait_until(lambda: (tmp_path / "appendonlydir" / "appendonly.aof.2.base.rdb").exists(), 10, "the AOF to be written anew")
    finally:
        server.kill()


def test_compose_has_two_workers_that_may_drain(compose):
    assert len(workers(compose)) == 2
    for service in workers(compose).values():
        assert seconds(service["stop_grace_period"]) > DRAIN + GRACE
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
        assert service["networks"]["default"]["aliases"] == ["workers"]
        assert any(v.endswith(":/var/lib/dray") for v in service["volumes"])
    spools = [v for s in workers(compose).values() for v in s["volumes"]]
    assert len(set(spools)) == 2


def test_compose_configuration_is_valid(compose, tmp_path):
    with open(os.path.join(DEPLOY, compose["configs"]["dray"]["file"]), encoding="utf-8") as f:
        text = f.read()
    assert set(re.findall(r"_file = /run/secrets/(\S+)", text)) == set(compose["secrets"])
    check_config(text, "/run/secrets", compose["secrets"], tmp_path)
    host = re.search(r"base_url = http://(\w+):", text).group(1)
    assert host in compose["services"] and "redis" in compose["services"]


# ---- Dockerfile ----------------------------------------------------------------------------------------------

def instructions():
    with open(os.path.join(DEPLOY, "Dockerfile"), encoding="utf-8") as f:
        text = re.sub(r"^\s*#.*\n", "", f.read(), flags=re.M).replace("\\\n", " ")
    return [line.split(None, 1) for line in text.splitlines() if line.strip()]


def stages():
    found = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def test_the_image_is_small_and_not_root():
    build, final = stages()
    assert all(rest.split()[0] == "debian:trixie-slim" for word, rest in build + final if word == "FROM")
    words = dict(final)
    assert re.fullmatch(r"\d+:\d+", words["USER"]) and not words["USER"].startswith("0:")
    assert words["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(words["ENTRYPOINT"]) == ["/usr/bin/dray"] and json.loads(words["CMD"])[0] == "run"
    health = re.search(r"CMD (\[.*\])$", words["HEALTHCHECK"]).group(1)
    assert json.loads(health) == ["/usr/bin/dray", "health"]
    runs = " ".join(rest for word, rest in final if word == "RUN")
    assert "-dev" not in runs and "gcc" not in runs
    assert runs.count("apt-get install") == runs.count("rm -rf /var/lib/apt/lists/*")


def test_the_build_context_has_what_the_build_needs():
    with open(os.path.join(ROOT, ".dockerignore"), encoding="utf-8") as f:
        lines = [line.strip() for line in f if line.strip() and not line.startswith("#")]
    assert lines[0] == "*"
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert {"meson.build", "meson_options.txt", "include", "src", "deploy", "tests"} == kept
    assert ".git" not in kept and "build" not in kept


def test_packages_of_the_image_are_those_of_the_build():
    """A library that the program links must be in the second stage, by its name on Debian 13."""
    with open(os.path.join(DEPLOY, "packages.sh"), encoding="utf-8") as f:
        needed = set(re.search(r'packages_build="([^"]*)"', f.read()).group(1).split())
    build, _ = stages()
    installed = set(" ".join(rest for word, rest in build if word == "RUN").split())
    assert needed <= installed
