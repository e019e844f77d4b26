#!/usr/bin/env python3
"""Writes the bill of materials of a program as SPDX 2.3 JSON: which Debian packages hold the libraries that it links, in
which version. The same program on the same packages gives the same bytes (SOURCE_DATE_EPOCH is its time).

usage: sbom.py PROGRAM VERSION OUTPUT     needs readelf, ldd and dpkg"""

import json
import os
import re
import subprocess
import sys
import time
import uuid


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout


def linked(program):
    """The libraries that the program itself names, by the paths that the loader finds them at."""
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-d", program))
    found = dict(re.findall(r"^\s*(\S+) => (\S+) \(", run("ldd", program), re.M))
    return [found[name] for name in needed if name in found]


def owner(path):
    """The Debian package of a file. With merged /usr, dpkg knows it by one of two names."""
    real = os.path.realpath(path)
    for name in (path, real, real.removeprefix("/usr"), "/usr" + path):
        done = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.split(": ")[0].split(",")[0]
    raise SystemExit(f"{path} is of no Debian package")


def os_release():
    with open("/etc/os-release", encoding="utf-8") as f:
        fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', f.read(), re.M))
    return f"{fields['ID']}-{fields.get('VERSION_ID', 'unknown')}"


def package(name):
    fields = "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${Homepage}"
    binary, version, arch, source, homepage = run("dpkg-query", "-W", "-f", fields, name).split("\t")
    purl = f"pkg:deb/debian/{binary}@{version.replace('+', '%2B').replace(':', '%3A').replace('~', '~')}?arch={arch}&distro={os_release()}"
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", binary), "name": binary, "versionInfo": version,
        "supplier": "Organization: Debian", "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
        "sourceInfo": f"Debian source package {source}", **({"homepage": homepage} if homepage else {}),
        "primaryPackagePurpose": "LIBRARY",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}],
    }


def document(program, version):
    names = sorted({owner(path) for path in linked(program)})
    libraries = sorted((package(n) for n in names), key=lambda p: p["name"])
    made = int(os.environ.get("SOURCE_DATE_EPOCH") or os.path.getmtime(program))
    ours = {"SPDXID": "SPDXRef-dray", "name": "dray", "versionInfo": version, "supplier": "Organization: the dray authors",
            "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "MIT", "licenseDeclared": "MIT",
            "copyrightText": "Copyright (c) 2026 the dray authors", "primaryPackagePurpose": "APPLICATION"}
    content = json.dumps([version, libraries])
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"dray-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/dray-{version}-{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made)),
                         "creators": ["Tool: dray-deploy-generate-sbom.py"]},
        "packages": [ours, *libraries],
        "relationships": [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-dray"},
            *({"spdxElementId": "SPDXRef-dray", "relationshipType": "DYNAMIC_LINK", "relatedSpdxElement": p["SPDXID"]} for p in libraries)],
    }


def main(program, version, output):
    with open(output, "w", encoding="utf-8") as f:
        f.write(json.dumps(document(program, version), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
