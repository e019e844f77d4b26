"""What can be said of the Debian package without building one (tests/deb does): it asks for what the build needs, and the
list of what is linked is SPDX, names the libraries' packages, and comes out the same twice."""

import json
import os
import re
import shutil
import subprocess

import pytest

from lib.process import DRAY, ROOT

SBOM = os.path.join(ROOT, "deploy", "generate", "sbom.py")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def test_it_asks_for_what_the_build_needs():
    wanted = set(re.search(r'packages_build="([^"]*)"', read("deploy", "packages.sh")).group(1).split())
    asked = set(re.findall(r"[a-z0-9+.-]+", re.search(r"^Build-Depends:(.*?)^\S", read("deploy", "debian", "control"), re.S | re.M).group(1)))
    assert wanted - {"gcc", "libc6-dev"} <= asked, wanted - asked


def test_the_licence_is_one():
    licence = [line.strip() for line in read("LICENSE").splitlines()[4:]]
    copyright = [line.strip() for line in read("deploy", "debian", "copyright").split("License: Expat\n")[-1].splitlines()]
    assert [line if line != "." else "" for line in copyright] == licence


@pytest.mark.skipif(not shutil.which("readelf") or not shutil.which("dpkg-query"), reason="needs readelf and dpkg")
def test_the_list_of_what_is_linked(tmp_path):
    env = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    texts = []
    for n in range(2):
        subprocess.run([SBOM, DRAY, "1.2.3", str(tmp_path / f"{n}.json")], check=True, env=env)
        texts.append((tmp_path / f"{n}.json").read_text())
    assert texts[0] == texts[1]
    spdx = json.loads(texts[0])
    assert (spdx["spdxVersion"], spdx["dataLicense"], spdx["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT")
    assert spdx["creationInfo"]["created"] == "2023-11-14T22:13:20Z" and spdx["documentNamespace"].startswith("https://")
    packages = {p["SPDXID"]: p for p in spdx["packages"]}
    assert len(packages) == len(spdx["packages"]) and packages["SPDXRef-dray"]["versionInfo"] == "1.2.3"
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", i) for i in packages)
    names = [p["name"] for p in packages.values()]
    for library in ("libcurl", "libhiredis", "libuv", "libmicrohttpd", "libc6"):
        assert any(n.startswith(library) for n in names), (library, names)
    for p in packages.values():
        if p["name"] != "dray":
            installed = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", p["name"]], capture_output=True, text=True)
            assert installed.stdout == p["versionInfo"]
    ends = {(r["spdxElementId"], r["relationshipType"], r["relatedSpdxElement"]) for r in spdx["relationships"]}
    assert ends == {("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-dray")} | {
        ("SPDXRef-dray", "DYNAMIC_LINK", i) for i in packages if i != "SPDXRef-dray"}
