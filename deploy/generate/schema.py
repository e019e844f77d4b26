#!/usr/bin/python3
"""Writes docs/schema/: JSON Schemas of job, result and dead letter (envelopes.py), of each provider's order, from the
tables that the worker checks it by, and the admin API's OpenAPI document. A test compares.

usage: deploy/generate/schema.py DRAY [FOLDER]     DRAY is the program: build/dray"""

import json
import os
import re
import subprocess
import sys

import envelopes
import openapi
from envelopes import ROOT

FOLDER = os.path.join(ROOT, "docs", "schema")

KINDS = {
    "string": {"type": "string"}, "integer": {"type": "integer"}, "number": {"type": "number"}, "boolean": {"type": "boolean"},
    "object": {"type": "object"}, "array": {"type": "array"}, "array of strings": {"type": "array", "items": {"type": "string"}},
    "string or integer": {"type": ["string", "integer"]}, "object or array": {"type": ["object", "array"]}, "any": {},
    "array of objects": {"type": "array", "items": {"type": "object", "properties": {}}},
}


def any_case(words):
    return "^(?:" + "|".join("".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else re.escape(c) for c in w) for w in words) + ")$"


def of_field(row):
    """One row of a provider's table."""
    schema = json.loads(json.dumps(KINDS[row["type"]]))
    text = schema["items"] if row["type"] == "array of strings" else schema
    if "max_characters" in row:
        text["maxLength"] = row["max_characters"]
    if not row["empty_allowed"]:
        schema["minItems" if schema.get("type") == "array" else "minLength"] = 1
    if "min" in row:
        schema["minimum"] = row["min"]
    if "allowed" in row:
        schema.update({"pattern": any_case(row["allowed"])} if row.get("any_case") else {"enum": row["allowed"]})
    if "max" in row:
        schema["maximum"] = row["max"]
    if row.get("trimmed"):
        schema["pattern"] = r"^\S(?:[\s\S]*\S)?$"
    if row.get("datetime") in ("rfc3339", "utc"):
        schema["format"] = "date-time"
    if row["nullable"] and "type" in schema:
        schema = envelopes.nullable(schema)
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    if row["note"]:
        schema["description"] = row["note"]
    return schema


def place(root, path):
    """The object that holds a path's last name."""
    here = root
    for part in path.split(".")[:-1]:
        here = here.setdefault("properties", {})[part.removesuffix("[]")]
        here = here["items"] if part.endswith("[]") else here
    return here


def require(holder, name, alias):
    if alias is None:
        holder.setdefault("required", []).append(name)
    else:
        holder.setdefault("allOf", []).append({"oneOf": [{"required": [name]}, {"required": [alias]}]})


def order(provider):
    root = {"type": "object", "properties": {}}
    for row in provider["fields"]:
        holder, name = place(root, row["path"]), row["path"].split(".")[-1]
        holder.setdefault("properties", {})[name] = schema = of_field(row)
        if row["alias"]:
            holder["properties"][row["alias"]] = schema  # one and the same object: what is inside goes to both
        if row["required"]:
            require(holder, name, row["alias"])
    return root


def documents(program):
    """file name → document"""
    listed = json.loads(subprocess.run([program, "providers", "--json"], capture_output=True, text=True, check=True).stdout)
    found = {}
    for name, make in envelopes.ENVELOPES.items():
        found[f"{name}.schema.json"] = {"$schema": envelopes.DIALECT, "$id": f"urn:dray:schema:{name}", "title": name, **make()}
    for p in listed:
        if p["fields"]:
            found[f"order-{p['name']}.schema.json"] = {
                "$schema": envelopes.DIALECT, "$id": f"urn:dray:schema:order-{p['name']}", "title": p["title"],
                "$comment": f"The order of a job for {p['name']}, by the table that `dray providers {p['name']}` shows. "
                            "`dray validate` knows rules beyond it.", **order(p)}
    version = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.split()[1]
    found["openapi.json"] = openapi.document(version)
    return found


def text(document):
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main(program, folder=FOLDER):
    os.makedirs(folder, exist_ok=True)
    for name, document in documents(program).items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text(document))


if __name__ == "__main__":
    main(*sys.argv[1:])
