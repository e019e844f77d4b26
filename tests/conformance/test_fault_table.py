"""Each row of the tables of docs/providers.md that say what is a fault, and of those that say what was chosen where a document
contradicts itself, is tried here; a row without a case fails."""

import json
import re
import subprocess

import pytest

from lib.process import DRAY, ROOT, clean_env
from lib.providers import PROVIDERS

with open(f"{ROOT}/docs/providers.md", encoding="utf-8") as page:
    DOC = page.read()

SECTIONS = {  # its heading, and the first cell of its table's head
    "What holds for all": "where", "kakaclo-v2": "contradiction or silence", "kakaclo-v1": "contradiction or silence",
    "kakaclo-custom": "contradiction or silence", "s2": "contradiction or silence", "vu": "contradiction or silence"}


def at(order, path):
    """The object that holds the path's last name, and that name: "orderItemsList.0.sku"."""
    *way, last = path.split(".")
    for step in way:
        order = order[int(step) if step.isdigit() else step]
    return order, last


def put(path, value):
    def change(order):
        place, name = at(order, path)
        place[name] = value
    return change


def gone(path):
    def change(order):
        place, name = at(order, path)
        del place[name]
    return change


def renamed(path, name):
    def change(order):
        place, old = at(order, path)
        place[name] = place.pop(old)
    return change


def again(path, name):
    def change(order):
        place, old = at(order, path)
        place[name] = place[old]
    return change


def text(find, replace):
    """A change that JSON's objects cannot say."""
    def change(made):
        assert find in made
        return made.replace(find, replace, 1)
    change.of_text = True
    return change


def same(order):
    pass


A2, I2 = "orderAddresses", "orderItemsList.0"
VL = "order.order_lines.0"
# row (its first cell begins so): [(provider, change, what is said of it; None: no fault)]
CASES = {
    "What holds for all": {
        "unknown fields": [("kakaclo-v2", put("nobody_knows", [1]), None), ("vu", put("order.nobody_knows", {}), None)],
        "a known field given twice": [("kakaclo-v2", text('"remark":', '"remark": "a", "remark":'), "order.remark: is given twice")],
        "`string[n]`": [("kakaclo-v2", put(f"{A2}.recipient", "汉" * 32), None),
                        ("kakaclo-v2", put(f"{A2}.recipient", "a" * 33), "recipient: must be at most 32 characters")],
        "`int[16]`": [("kakaclo-v2", put(f"{I2}.quantity", 32767), None),
                      ("kakaclo-v1", put(f"{I2}.quantity", 32768), "quantity: must be at most 32767"),
                      ("kakaclo-custom", put(f"{I2}.quantity", 0), "quantity: must be at least 1")],
        "`null` in an optional field": [("kakaclo-v2", put("remark", None), None)],
        "`null` in a required field": [("kakaclo-v2", put(f"{A2}.phone", None), "phone: must be a string, not null")],
        "a required text that is empty": [("kakaclo-v2", put(f"{A2}.phone", ""), "phone: must not be empty"),
                                          ("s2", put("shippingAddress.phone", ""), None)],
        "a required list of items": [("kakaclo-v2", put("orderItemsList", []), "orderItemsList: must not be empty"),
                                     ("vu", put("order.order_lines", []), "order_lines: must not be empty")],
        "`1.0` for an integer": [("kakaclo-v2", put(f"{I2}.quantity", 1.0), "quantity: must be an integer, without fraction")],
        "keys that a look-up compares exactly": [("vu", put("order.order_number", "a "), "order_number: must not begin or end with"),
                                                 ("s2", put("channelOrderId", "\u3000a"), "channelOrderId: must not begin or end with"),
                                                 ("kakaclo-v2", put("customOrderId", "a "), None)]},
    "kakaclo-v2": {
        '"orderAddress\\*" in the table': [("", renamed(A2, "orderAddress"), None), ("", again(A2, "orderAddress"), "is given twice"),
                                           ("", gone(A2), "orderAddresses: is required (orderAddress will do too)")],
        "`sku` and `quantity` carry no mark": [("", gone(f"{I2}.sku"), "sku: is required"), ("", gone(f"{I2}.quantity"), "quantity: is required")],
        '"channelType\\*" is starred': [("", put("channelType", v), None) for v in ("", "standard", "EXPRESS", "Expedited")]
        + [("", gone("channelType"), None), ("", put(f"{I2}.channelType", ""), None),
           ("", put("channelType", "Slow"), "channelType: must be one of: Standard, Express, Expedited")],
        "`customOrderId` and `salePlatform` here": [
            ("", renamed("customOrderId", "CustomOrderNumber"), None), ("", again("customOrderId", "CustomOrderNumber"), None),
            ("", put("CustomOrderNumber", "another"), "CustomOrderNumber: differs"), ("", put("SalePlatform", "eBay"), "SalePlatform: differs")],
        "`salePlatform` lists": [("", put("salePlatform", "anything"), None)],
        "whether a repeated `customOrderId`": [("", same, None)]},
    "kakaclo-v1": {
        '"orderAddress\\*" in the table': [("", renamed(A2, "orderAddress"), None), ("", again(A2, "orderAddress"), "is given twice")],
        "`CustomOrderNumber`, `SalePlatform`": [("", gone("CustomOrderNumber"), None), ("", renamed("SalePlatform", "salePlatform"), None),
                                                ("", put("customOrderId", "another"), "customOrderId: differs")]},
    "kakaclo-custom": {
        '`phone` is "int[32]"': [("", put(f"{A2}.phone", 782246793), None), ("", put(f"{A2}.phone", "07 82 24 67 93"), None),
                                 ("", put(f"{A2}.phone", "0" * 33), "phone: must be at most 32 characters"),
                                 ("", put(f"{A2}.phone", 10 ** 33), "phone: must be at most 32 characters")],
        '`importImage` is "string[100] Array"': [("", put(f"{I2}.importImage", ["x" * 500]), None)],
        "`channelType`": [("", put("channelType", "by camel"), None)],
        "`uniqueCodeType`": [("", put(f"{I2}.uniqueCodeType", "5"), None)],
        "`quantity`": [("", put(f"{I2}.quantity", 0), "quantity: must be at least 1")],
        "`importImage` is required": [("", put(f"{I2}.importImage", []), "importImage: must not be empty")]},
    "s2": {
        "`item` in the table": [("", renamed("items", "item"), None), ("", again("items", "item"), "is given twice")],
        "the request's items have no table": [("", gone("items.0.meta"), "meta: is required")],
        '"Pass an empty string, 0': [("", put("items.0.unitPrice", 0), None), ("", put("items.0.productId", ""), None),
                                     ("", put("items.0.productId", None), "productId: must be a string, not null")],
        "`billingAddress`": [("", put("billingAddress", None), None), ("", gone("billingAddress"), None),
                             ("", gone("billingAddress.phone"), "billingAddress.phone: is required")],
        "`meta`": [("", put("meta", []), None), ("", put("meta", {}), None), ("", put("meta", ""), "meta: must be an object or an array")],
        "`attachments[]`": [("", put("attachments", [{}]), None), ("", put("attachments", [{"path": 1}]), "path: must be a string")],
        "`countryId`": [("", put("shippingAddress.countryId", ""), None),
                        ("", put("shippingAddress.countryId", "USA"), "countryId: must be at most 2 characters")],
        "`channelOrderDate`": [("", put("channelOrderDate", v), None) for v in ("2024-04-24T06:00Z", "2024-04-24T06:00:33.123456789+00:00")]
        + [("", put("channelOrderDate", v), "channelOrderDate: must be") for v in
           ("2024-04-24T06:00:33", "2024-04-24 06:00:33Z", "2024-04-24T06:00:33+0000", "2024-04-24T06:00:60Z", "2024-04-24T06:00+02:00")],
        "`quantity`": [("", put("items.0.quantity", 0), None), ("", put("items.0.quantity", -1), "quantity: must be at least 0")]},
    "vu": {
        "`b2b`": [("", gone("order.b2b"), "b2b: is required when sales_channel is b2b"), ("", put("order.b2b", {
            "individual": {"first_name": "a", "id": 1, "last_name": "b"}, "organization": {"id": 2, "name": "c", "organization_group": {}}}), None)],
        "the example is printed without its first": [("", text("{", ""), "the { before it is missing")],
        "`currency`": [("", put("order.currency", "USD"), None)],
        "`price`": [("", put(f"{VL}.price", v), None) for v in (70, 9.99)] + [("", put(f"{VL}.price", "70.0"), "price: must be a number")],
        "`quantity`": [("", put(f"{VL}.quantity", 0), "quantity: must be at least 1")],
        "`order_date`": [("", put("order.order_date", v), None) for v in (
            "2022-10-31T01:54Z", "2022-10-31T01:54:56+0000", "2022-10-31T01:54:56,5+02", "20221031T015456Z", "2022-10-31T01:54:56")]
        + [("", put("order.order_date", "31.10.2022"), "order_date: must be a date and time")],
        "`country`": [("", put("order.ship_to.country", "USA"), "country: must be at most 2"), ("", put("order.ship_to.country", ""), "must not be empty")],
        "`sales_order_number`": [("", gone("order.sales_order_number"), None)],
        "422": [("", same, None)]},  # tests/e2e/test_lookup.py, tests/unit/test_classify.c
}


def rows(section):
    body = DOC.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    table = re.search(rf"(?m)^\| {SECTIONS[section]} \| chosen \|\n\|---\|---\|\n((?:\|.*\n)+)", body)[1]
    return [re.match(r"\| (.*?) \| ", line)[1] for line in table.splitlines()]


def faults(provider, change):
    made = PROVIDERS[provider].order("KEY-1")
    if getattr(change, "of_text", False):
        made = change(json.dumps(made))
    else:
        change(made)
        made = json.dumps(made)
    return subprocess.run([DRAY, "validate", provider, "-"], input=made, capture_output=True, text=True, timeout=30,
                          env=clean_env()).stdout


@pytest.mark.parametrize("section", SECTIONS)
def test_every_row_has_its_case(section):
    cases = CASES[section]
    for row in rows(section):
        assert len([c for c in cases if row.startswith(c)]) >= 1, f"{section}: no case for the row {row!r}"
    for case in cases:
        assert any(row.startswith(case) for row in rows(section)), f"{section}: no row for the case {case!r}"


@pytest.mark.parametrize("section,row", [(s, r) for s in SECTIONS for r in CASES[s]])
def test_a_row_holds(section, row):
    for provider, change, wanted in CASES[section][row]:
        said = faults(provider or section, change)
        assert (said == "") if wanted is None else (wanted in said and said.count("\n") == 1), (provider or section, said)
