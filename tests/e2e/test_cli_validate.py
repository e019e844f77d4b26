"""`dray validate --account NAME` and `--queue QUEUE`: an order is judged by the account's own rules, as `push` and a worker would."""

import json
import subprocess

import pytest

from lib.daemon import ini
from lib.process import DRAY, clean_env
from lib.providers import PROVIDERS

V2 = PROVIDERS["kakaclo-v2"]
V2_ACCOUNT = {"provider": "kakaclo-v2", "queue": "orders", "token_file": "secrets/not-here"}


@pytest.fixture
def desk(tmp_path):
    """Accounts of two queues, whose secrets are elsewhere: none is needed to look at an order."""
    sections = {
        "queue orders": {"default_account": "strict"},
        "account strict": V2_ACCOUNT,
        "account lenient": {**V2_ACCOUNT, "validation": "lenient"},
        "account off": {**V2_ACCOUNT, "validation": "off"},
        "account some": {**V2_ACCOUNT, "allow_empty": "orderAddresses.province", "max_length": "orderAddresses.recipient:64"},
        "queue own": {"max_job_bytes": "4096"},
        "account own": {"provider": "http-json", "queue": "own", "base_url": "https://api.example", "token_file": "secrets/not-here",
                        "create_path": "/orders", "key_pointer": "/ref", "id_pointer": "/id", "fields_file": "fields"},
    }
    (tmp_path / "dray.ini").write_text(ini(sections))
    (tmp_path / "fields").write_text("ref string required max=50\nship_to.country string required max=2\n")

    def validate(order, *args):
        text = order if isinstance(order, str) else json.dumps(order)
        run = subprocess.run([DRAY, "validate", *args, "-", "-c", str(tmp_path / "dray.ini")], input=text, capture_output=True, text=True,
                             env=clean_env(), timeout=60)
        assert "Sanitizer" not in run.stderr, run.stderr
        return run
    return validate


def abroad():
    order = V2.order("KEY-1")
    order["orderAddresses"].update(recipient="R" * 40, province="")
    return order


RECIPIENT = "order.orderAddresses.recipient: must be at most 32 characters"
PROVINCE = "order.orderAddresses.province: must not be empty"


@pytest.mark.parametrize("args,code,out,err", [
    (["--account", "strict"], 1, {RECIPIENT, PROVINCE}, set()),
    (["--queue", "orders"], 1, {RECIPIENT, PROVINCE}, set()),
    (["--account", "lenient", "--queue", "orders"], 0, set(), {f"warning: {RECIPIENT}", f"warning: {PROVINCE}"}),
    (["--account", "off"], 0, set(), set()),
    (["--account", "some"], 0, set(), set())])
def test_the_accounts_own_rules(desk, args, code, out, err):
    run = desk(abroad(), *args)
    assert (run.returncode, set(run.stdout.splitlines()), set(run.stderr.splitlines())) == (code, out, err)


def test_as_json(desk):
    said = json.loads(desk(abroad(), "--account", "lenient", "--json").stdout)
    assert said["ok"] and [w["path"] for w in said["warnings"]] == ["order.orderAddresses.recipient", "order.orderAddresses.province"]


def test_a_field_table_of_ones_own_and_where_the_key_is(desk):
    assert desk({"ref": "A-1", "ship_to": {"country": "DE"}}, "--queue", "own").returncode == 0
    run = desk({"ref": "A-1", "ship_to": {"country": "DEU"}}, "--account", "own")
    assert (run.returncode, run.stdout) == (1, "order.ship_to.country: must be at most 2 characters\n")
    assert desk({"ref": "A-1", "ship_to": {"country": "DEU"}}, "http-json").returncode == 0, "the provider alone knows no such rule"
    assert "order.ref" in desk({"ref": 1.5, "ship_to": {"country": "DE"}}, "--account", "own").stdout


def test_what_a_worker_would_say_besides(desk):
    order = V2.order("KEY-1")
    run = desk({**order, "Remark": "x"}, "--account", "strict")
    assert run.returncode == 0 and "Remark" in run.stderr
    del order["customOrderId"]
    assert "key" in desk(order, "--account", "strict").stderr
    run = desk({"ref": "A-1", "ship_to": {"country": "DE"}, "more": "x" * 5000}, "--account", "own")
    assert run.returncode == 1 and "max_job_bytes" in run.stdout
    run = desk("nothing", "--account", "own")
    assert run.returncode == 1 and run.stdout.startswith("order: ") and "JSON" in run.stdout
    assert desk("[]", "--account", "own").stdout == "order: must be an object\n"
    assert desk(' \n{"ref": "A-1", "ship_to": {"country": "DE"}}\n\n', "--account", "own").returncode == 0


@pytest.mark.parametrize("args,words", [
    (["--account", "stict"], "the configuration has no account 'stict' (did you mean 'strict'?)"),
    (["--queue", "order"], "no account names a queue 'order' (did you mean 'orders'?)"),
    (["--queue", "own", "--account", "off"], "queue own has no account 'off'"),
    (["--account", "off", "kakaclo-v2"], "FILE alone is expected"),
    ([], "PROVIDER and FILE are expected")])
def test_usage(desk, args, words):
    run = desk("{}", *args)
    assert run.returncode == 2 and words in run.stderr, run.stderr
