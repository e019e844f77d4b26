"""How real addresses fare: the table of docs/providers.md is what the program says of an order to each country, and what that page
advises for it is taken."""

import json
import re
import subprocess
import sys

import pytest

from lib.countries import COUNTRIES, KINDS, order, table
from lib.process import DRAY, ROOT, clean_env

DOC = f"{ROOT}/docs/providers.md"


def faults(provider, made):
    run = subprocess.run([DRAY, "validate", provider, "-", "--json"], input=json.dumps(made), capture_output=True, text=True,
                         timeout=30, env=clean_env())
    return [(f["path"], f["rule"]) for f in json.loads(run.stdout)["faults"]]


def test_the_table_is_what_the_program_says():
    with open(DOC, encoding="utf-8") as f:
        [block] = re.findall(r"<!-- 28 countries -->\n(.*?)<!-- end -->", f.read(), re.S)
    assert len(COUNTRIES) == 28
    assert block == table(faults), "PYTHONPATH=tests /usr/bin/python3 tests/conformance/test_countries.py build/dray writes it anew"


@pytest.mark.parametrize("provider", KINDS)
def test_what_the_page_advises_is_taken(provider):
    """The city where there is no province, "0000" where there is no postal code, "." for a missing family name; names are cut."""
    for code in COUNTRIES:
        made = order(provider, code)
        place = made.get("orderAddresses") or made.get("shippingAddress") or made["order"]["ship_to"]
        names = {"s2": ("state", "postalCode", "city"), "vu": ("state_region", "postal_code", "city")}
        province, postal, city = names.get(provider, ("province", "zip", "city"))
        place[province] = place[province] or place[city]
        place[postal] = place[postal] or "0000"
        if provider == "vu":
            place["last_name"] = place["last_name"] or "."
        if provider.startswith("kakaclo"):
            place["recipient"] = place["recipient"][:32 if provider != "kakaclo-custom" else 100]
        assert faults(provider, made) == [], code


if __name__ == "__main__":  # writes the table anew
    DRAY = sys.argv[1]
    with open(DOC, encoding="utf-8") as page:
        text = page.read()
    text = re.sub(r"(<!-- 28 countries -->\n).*?(<!-- end -->)", lambda m: m[1] + table(faults) + m[2], text, flags=re.S)
    with open(DOC, "w", encoding="utf-8") as page:
        page.write(text)
