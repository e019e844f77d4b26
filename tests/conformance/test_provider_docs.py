"""docs/providers.md holds the program's own tables, and the CLI's words about orders are true."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from lib.process import DRAY

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs/providers.md").read_text(encoding="utf-8")
FIXTURES = ROOT / "tests/fixtures"


def dray(*args, stdin=None):
    return subprocess.run([DRAY, *args], input=stdin, capture_output=True, text=True, timeout=30)


def names():
    return [p["name"] for p in json.loads(dray("providers", "--json").stdout)]


def test_every_provider_has_its_section_and_its_own_table():
    assert names()
    for name in names():
        assert f"\n## {name}\n" in DOC
        [block] = re.findall(rf"<!-- dray providers {name} --markdown -->\n(.*?)<!-- end -->", DOC, re.S)
        assert block == dray("providers", name, "--markdown").stdout, \
            f"docs/providers.md: the block of {name} is not what `dray providers {name} --markdown` prints"


def test_the_list_names_every_provider():
    text = dray("providers").stdout
    assert all(name in text for name in names())


@pytest.mark.parametrize("name", ["kakaclo-v2", "kakaclo-v1", "kakaclo-custom", "s2"])
def test_the_documents_example_is_valid(name):
    run = dray("validate", name, str(FIXTURES / name / "order.json"))
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_the_example_of_vu_lacks_b2b_and_nothing_else():
    path = FIXTURES / "vu/order.json"
    run = dray("validate", "vu", str(path))
    assert (run.returncode, run.stdout) == (1, "order.order.b2b: is required when sales_channel is b2b\n")
    order = json.loads(path.read_text())
    order["order"]["b2b"] = {}
    assert dray("validate", "vu", "-", stdin=json.dumps(order)).returncode == 0


def test_validate_prints_every_fault_without_a_value():
    order = {"orderAddresses": {"country": "X" * 33, "phone": 5}, "orderItemsList": [{"sku": "A", "quantity": 0}, {}]}
    run = dray("validate", "kakaclo-v2", "-", stdin=json.dumps(order))
    assert run.returncode == 1
    assert run.stdout.splitlines() == [
        "order.orderAddresses.country: must be at most 32 characters",
        "order.orderAddresses.phone: must be a string, not a number",
        "order.orderAddresses.recipient: is required",
        "order.orderAddresses.province: is required",
        "order.orderItemsList[0].quantity: must be at least 1",
        "order.orderItemsList[1].sku: is required",
        "order.orderItemsList[1].quantity: is required"]
    told = json.loads(dray("validate", "kakaclo-v2", "-", "--json", stdin=json.dumps(order)).stdout)
    assert (told["ok"], told["fault_count"]) == (False, 7)
    assert [f"{f['path']}: {f['rule']}" for f in told["faults"]] == run.stdout.splitlines()


def test_faults_past_the_hundredth_are_counted():
    order = json.loads((FIXTURES / "kakaclo-v2/order.json").read_text())
    order["orderItemsList"] = [{"sku": 1, "quantity": 1}] * 130
    run = dray("validate", "kakaclo-v2", "-", stdin=json.dumps(order))
    assert len(run.stdout.splitlines()) == 101
    assert run.stdout.endswith("\nand 30 more\n")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a":1}{'])
def test_what_is_no_order_is_one_fault(text):
    run = dray("validate", "vu", "-", stdin=text)
    assert run.returncode == 1
    assert len(run.stdout.splitlines()) == 1 and run.stdout.startswith("order: ")


def warnings_of(name, order):
    """The order has no fault; what it is warned of on stderr and in --json alike."""
    run = dray("validate", name, "-", stdin=json.dumps(order))
    assert (run.returncode, run.stdout) == (0, ""), run
    told = json.loads(dray("validate", name, "-", "--json", stdin=json.dumps(order)).stdout)
    assert told["ok"] and [f"warning: {w['path']}: {w['rule']}" for w in told["warnings"]] == run.stderr.splitlines()
    return {w["path"]: w["rule"] for w in told["warnings"]}


@pytest.mark.parametrize("name,place,member,meant", [
    ("kakaclo-v2", (), "Remark", "remark"), ("kakaclo-v2", (), "channel_type", "channelType"),
    ("kakaclo-v2", (), "custom-order-id", "customOrderId"), ("kakaclo-v2", (), "CustomOrderId", "customOrderId"),
    ("kakaclo-v2", ("orderItemsList", 0), "SKUs", "sku"), ("kakaclo-v2", ("orderAddresses",), "Streets1", None),
    ("kakaclo-v1", ("orderAddresses",), "Zip", "zip"), ("kakaclo-custom", (), "main_image_urls", "mainImageUrl"),
    ("s2", (), "channelOrderIDAlt", "channelOrderIdAlt"), ("s2", (), "billing_addresses", "billingAddress"),
    ("vu", ("order",), "Tag", "tags"), ("vu", ("order", "order_lines", 0), "customAttributes", "custom_attributes"),
    ("vu", ("order",), "internal_reference", None)])
def test_a_member_that_is_nearly_known_is_warned_of(name, place, member, meant):
    order = json.loads((FIXTURES / name / "order.json").read_text())
    if name == "vu":
        order["order"]["b2b"] = {}
    inner = order
    for step in place:
        inner = inner[step]
    inner[member] = "a"
    path = "order" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in (*place, member))
    told = warnings_of(name, order)
    assert told == ({} if meant is None else {path: f"is no field of the document: {meant} is meant, perhaps"})


def test_an_order_without_a_key_is_warned_of():
    order = json.loads((FIXTURES / "kakaclo-v2/order.json").read_text())
    for key in (..., None, ""):
        order.pop("customOrderId", None)
        if key is not ...:
            order["customOrderId"] = key
        [(path, rule)] = warnings_of("kakaclo-v2", order).items()
        assert path == "order" and rule.startswith("has no key of its own (customOrderId)")
    assert warnings_of("kakaclo-v2", {**order, "CustomOrderNumber": "7"}) == {}


def test_the_example_of_vu_as_it_is_printed():
    """No brace before "order": the fault says so; nor may the outer object be forgotten."""
    text = (FIXTURES / "vu/order.json").read_text().strip()
    run = dray("validate", "vu", "-", stdin=text[1:])
    assert run.returncode == 1
    assert run.stdout.startswith("order: is not JSON: at byte ") and "the { before it is missing" in run.stdout
    run = dray("validate", "vu", "-", stdin=json.dumps(json.loads(text)["order"]))
    assert run.stdout.splitlines()[0].startswith("order.order: is required: VU's body is")


@pytest.mark.parametrize("args,code,words", [
    (["validate"], 2, "PROVIDER and FILE"),
    (["validate", "vu"], 2, "PROVIDER and FILE"),
    (["validate", "nobody", "-"], 2, "there is no provider 'nobody'"),
    (["validate", "vu", "/nonexistent"], 1, "/nonexistent: No such file"),
    (["validate", "vu", "/"], 1, "/: Is a directory"),
    (["providers", "nobody"], 2, "there is no provider 'nobody'"),
    (["providers", "vu", "s2"], 2, "takes one NAME"),
])
def test_wrong_use_says_so(args, code, words):
    run = dray(*args, stdin="")
    assert run.returncode == code
    assert words in run.stderr and run.stdout == ""
