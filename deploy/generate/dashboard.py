"""Writes deploy/grafana/dray.json, so that its panels are a table here and not two thousand lines of JSON to edit.
usage: dashboard.py, from anywhere. A test compares the two."""

import json
import os

DEPLOY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUTPUT = os.path.join(DEPLOY, "grafana", "dray.json")
SOURCE = {"type": "prometheus", "uid": "${source}"}
Q = 'queue=~"$queue"'
QA = 'queue=~"$queue",account=~"$account"'

RED_ABOVE_0 = [(None, "green"), (1, "red")]
YELLOW_ABOVE_0 = [(None, "green"), (1, "yellow")]

# What is wrong, in one row. Titles, expressions, unit, thresholds.
STATS = [
    ("Workers", "count(dray_build_info) or vector(0)", "none", [(None, "red"), (1, "yellow"), (2, "green")]),
    ("Jobs waiting", f"sum(max by (queue) (dray_queue_jobs{{{Q}}}))", "short", [(None, "blue")]),
    ("Oldest job", f"max(dray_queue_oldest_job_age_seconds{{{Q}}})", "s", [(None, "green"), (60, "yellow"), (600, "red")]),
    ("Dead letters", f"sum(max by (queue) (dray_queue_dead{{{Q}}}))", "short", YELLOW_ABOVE_0),
    ("Unknown outcomes, 24 h",
     f'sum(increase(dray_dead_letters_total{{{Q},reason="unknown_outcome"}}[24h])) or vector(0)', "short", RED_ABOVE_0),
    ("Results not taken", f"sum(max by (queue) (dray_queue_results{{{Q}}}))", "short", [(None, "green"), (1000, "yellow")]),
    ("Accounts held or broken",
     f'count(max by (queue, account) (dray_account_state{{{QA},state=~"held|breaker_open"}}) == 1) or vector(0)',
     "none", RED_ABOVE_0),
    ("Redis evicts nothing", "min(dray_redis_noeviction)", "bool_yes_no", [(None, "red"), (1, "green")]),
]

# Titles, [(expression, legend)], unit, description.
GRAPHS = [
    ("Orders created and other results", [(f"sum by (status) (rate(dray_results_total{{{QA}}}[$__rate_interval]))", "{{status}}")],
     "ops", "Results per second, by status, over all workers."),
    ("Attempts by verdict", [(f"sum by (verdict) (rate(dray_attempts_total{{{QA}}}[$__rate_interval]))", "{{verdict}}")],
     "ops", "Orders sent, by what the provider's answer meant. Anything but `created` costs time or a person."),
    ("Where jobs are", [
        (f"sum(max by (queue) (dray_queue_jobs{{{Q}}}))", "jobs: not yet taken"),
        (f"sum(max by (queue) (dray_queue_waiting{{{Q}}}))", "waiting: for their account"),
        (f"sum(max by (queue) (dray_queue_delayed{{{Q}}}))", "delayed: for a time"),
        (f"sum(dray_inflight_orders{{{Q}}})", "in flight")], "short", "Of all queues chosen."),
    ("Dead letters and results", [
        (f"max by (queue) (dray_queue_dead{{{Q}}})", "{{queue}}: dead"),
        (f"max by (queue) (dray_queue_results{{{Q}}})", "{{queue}}: results not taken")], "short",
     "Both wait for somebody else: a person, a consumer."),
    ("Provider's answer time", [
        (f"histogram_quantile(0.5, sum by (le) (rate(dray_http_request_duration_seconds_bucket{{{Q}}}[$__rate_interval])))", "median"),
        (f"histogram_quantile(0.95, sum by (le) (rate(dray_http_request_duration_seconds_bucket{{{Q}}}[$__rate_interval])))", "95 %"),
        (f"histogram_quantile(0.99, sum by (le) (rate(dray_http_request_duration_seconds_bucket{{{Q}}}[$__rate_interval])))", "99 %")],
     "s", "From the start of a request to the whole answer, look-ups included."),
    ("From push to first attempt", [
        (f"histogram_quantile(0.5, sum by (le) (rate(dray_pickup_duration_seconds_bucket{{{Q}}}[$__rate_interval])))", "median"),
        (f"histogram_quantile(0.99, sum by (le) (rate(dray_pickup_duration_seconds_bucket{{{Q}}}[$__rate_interval])))", "99 %")],
     "s", "Of jobs that say when they were pushed (enqueued_at)."),
    ("Jobs that wait for their account", [(f"max by (account) (dray_account_waiting_jobs{{{QA}}})", "{{account}}")],
     "short", "Rate, concurrency, a pause, refused credentials, an open breaker."),
    ("Accounts that are not served", [
        (f"max by (account, state) (dray_account_state{{{QA}}}) == 1", "{{account}}: {{state}}")],
     "none", "A line where an account is held (credentials), its breaker is open, or it is paused."),
    ("Dead letters by reason", [(f"sum by (reason) (increase(dray_dead_letters_total{{{Q}}}[$__rate_interval]))", "{{reason}}")],
     "short", "New ones."),
    ("Look-ups by verdict", [(f"sum by (verdict) (rate(dray_lookups_total{{{QA}}}[$__rate_interval]))", "{{verdict}}")],
     "ops", "Orders whose outcome was unknown, asked for at the provider."),
    ("Redis", [
        ("sum(rate(dray_redis_commands_total[$__rate_interval]))", "commands/s"),
        ("sum(rate(dray_redis_writes_total[$__rate_interval]))", "round trips/s"),
        ("sum(rate(dray_redis_errors_total[$__rate_interval]))", "errors/s"),
        ("sum(rate(dray_redis_reconnects_total[$__rate_interval]))", "reconnects/s")], "ops", "Of all workers."),
    ("Workers' CPU", [("rate(dray_process_cpu_seconds_total[$__rate_interval])", "{{instance}}")], "percentunit", "1 is one core."),
    ("Workers' memory", [("dray_process_resident_memory_bytes", "{{instance}}")], "bytes", "Resident."),
    ("Claims lost to another worker", [(f"sum by (queue) (increase(dray_fenced_claims_total{{{Q}}}[$__rate_interval]))", "{{queue}}")],
     "short", "A lease ran out: a machine or a connection stood still. None of them was sent twice."),
]


def steps(thresholds):
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in thresholds]}


def targets(pairs):
    return [{"datasource": SOURCE, "refId": chr(65 + i), "expr": expr, "legendFormat": legend}
            for i, (expr, legend) in enumerate(pairs)]


def stat(index, title, expr, unit, thresholds):
    width = 24 // len(STATS)
    return {"type": "stat", "title": title, "datasource": SOURCE, "targets": targets([(expr, "")]),
            "gridPos": {"x": index * width, "y": 0, "w": width, "h": 4},
            "fieldConfig": {"defaults": {"unit": unit, "thresholds": steps(thresholds)}, "overrides": []},
            "options": {"colorMode": "background", "graphMode": "none", "textMode": "value",
                        "reduceOptions": {"calcs": ["lastNotNull"], "values": False}}}


def graph(index, title, pairs, unit, description):
    return {"type": "timeseries", "title": title, "description": description, "datasource": SOURCE,
            "targets": targets(pairs), "gridPos": {"x": index % 2 * 12, "y": 4 + index // 2 * 8, "w": 12, "h": 8},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10, "showPoints": "never"}},
                            "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}}


def variable(name, query):
    return {"name": name, "type": "query", "datasource": SOURCE, "query": {"query": query, "refId": name}, "refresh": 2,
            "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}, "sort": 1}


def dashboard():
    panels = [stat(i, *s) for i, s in enumerate(STATS)] + [graph(i, *g) for i, g in enumerate(GRAPHS)]
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    return {
        "uid": "dray", "title": "dray", "tags": ["dray"], "schemaVersion": 39, "version": 1, "editable": True,
        "timezone": "browser", "refresh": "10s", "time": {"from": "now-1h", "to": "now"}, "graphTooltip": 1,
        "templating": {"list": [
            {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
            variable("queue", "label_values(dray_queue_jobs, queue)"),
            variable("account", 'label_values(dray_account_state{queue=~"$queue"}, account)')]},
        "panels": panels, "annotations": {"list": []}, "links": [],
    }


def text():
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    with open(OUTPUT, "w", encoding="utf-8") as f:
        f.write(text())
