"""Writes deploy/kubernetes/prometheusrule.yaml: deploy/prometheus/alerts.yml in the form of the Prometheus operator.
usage: prometheusrule.py, from anywhere. A test compares the two."""

import os

DEPLOY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUTPUT = os.path.join(DEPLOY, "kubernetes", "prometheusrule.yaml")
HEAD = """\
# Written by deploy/generate/prometheusrule.py from deploy/prometheus/alerts.yml: change that.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: dray
spec:
"""


def text():
    with open(os.path.join(DEPLOY, "prometheus", "alerts.yml"), encoding="utf-8") as f:
        lines = [line for line in f.read().splitlines() if not line.startswith("#")]
    return HEAD + "".join(f"  {line}\n" if line else "\n" for line in lines)


if __name__ == "__main__":
    with open(OUTPUT, "w", encoding="utf-8") as f:
        f.write(text())
