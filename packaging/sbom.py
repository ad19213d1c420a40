#!/usr/bin/env python3
"""What the programs of a build are made of, as SPDX 2.3 in JSON:

    packaging/sbom.py build/release > marrow.spdx.json

Asks the build, and dpkg: the libraries that each program is linked with or may load, the packages whose headers were compiled, and the
compiler. Versions and licences are those of the installed packages. Two equal builds give equal files; SOURCE_DATE_EPOCH is their time.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent

# Debian's short names for licences, as SPDX has them.
SPDX_NAMES = {
    "apache-2.0": "Apache-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsl-1.0": "BSL-1.0",
    "expat": "MIT",
    "mit": "MIT",
    "gpl-2": "GPL-2.0-only",
    "gpl-2+": "GPL-2.0-or-later",
    "gpl-2.0+": "GPL-2.0-or-later",
    "gpl-3+": "GPL-3.0-or-later",
    "lgpl-2.1+": "LGPL-2.1-or-later",
    "lgpl-3+": "LGPL-3.0-or-later",
    "libpng": "libpng-2.0",
    "zlib": "Zlib",
    "zlib/libpng": "Zlib",
}
# Of source packages whose copyright file no program can read, or tells more than what is used of them.
READ_BY_PEOPLE = {
    "ffmpeg": "GPL-2.0-or-later",  # as Debian configures it
    "fmtlib": "MIT",  # with an exception for compiled programs
    "freetype": "FTL OR GPL-2.0-or-later",
    "gcc-12": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "glibc": "LGPL-2.1-or-later",
    "libjpeg-turbo": "IJG AND BSD-3-Clause AND Zlib",
    "libpng1.6": "libpng-2.0",
    "libwebp": "BSD-3-Clause",
    "linux": "GPL-2.0-only WITH Linux-syscall-note",
    "openmpi": "BSD-3-Clause",
    "openssl": "Apache-2.0",
    "protobuf": "BSD-3-Clause",
    "tiff": "libtiff",
    "yaml-cpp": "MIT",  # which Debian calls X11
}


def said(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def owners(paths):
    """The Debian package of every path that one owns."""
    found = {}
    names = {}
    for path in paths:
        # dpkg knows a file by the name that it was packed with, in /lib or in /usr/lib.
        real = os.path.realpath(path)
        for name in {path, real, real.removeprefix("/usr")}:
            names[name] = path
    listed = subprocess.run(["dpkg-query", "-S", *names], capture_output=True, text=True, check=False).stdout
    for line in listed.splitlines():
        packages, _, name = line.rpartition(": ")
        if name in names and not line.startswith("diversion"):
            found[names[name]] = packages.split(", ")[0].split(":")[0]
    return found


def licence(package, source):
    """An SPDX expression, or NOASSERTION; and the names in Debian's copyright file."""
    path = Path("/usr/share/doc") / package / "copyright"
    text = path.read_text(errors="replace") if path.exists() else ""
    named = sorted({name.strip() for name in re.findall(r"^License: *(\S.*)$", text, re.M)})
    if source in READ_BY_PEOPLE:
        return READ_BY_PEOPLE[source], named
    whole = [part for part in re.split(r"\n\s*\n", text) if re.search(r"^Files: *\*\s*$", part, re.M)]
    name = re.search(r"^License: *(\S.*)$", whole[0], re.M) if whole else None
    words = re.split(r" (and|or) ", name[1].strip().lower()) if name else [""]
    expression = [SPDX_NAMES.get(word, "NOASSERTION") if i % 2 == 0 else word.upper() for i, word in enumerate(words)]
    return "NOASSERTION" if "NOASSERTION" in expression else " ".join(expression), named


def identifier(name):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)


def linked(program):
    """The libraries that a program names as needed, and those whose names stand in it otherwise: it may load them."""
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", said("readelf", "-d", program)))
    named = {name.decode() for name in re.findall(rb"lib[A-Za-z0-9_+.-]+\.so\.[0-9.]+", Path(program).read_bytes())}
    return needed, named - needed


def library_paths():
    paths = {}
    for line in said("/sbin/ldconfig", "-p").splitlines():
        name, _, path = line.partition(" => ")
        if path:
            paths.setdefault(name.split()[0], path)
    return paths


def headers_by_object(build):
    """The system's headers that each object of the build was compiled with."""
    headers, current = {}, None
    for line in said("ninja", "-C", str(build), "-t", "deps").splitlines():
        if not line.startswith(" "):
            current = headers.setdefault(line.partition(": #deps")[0], set())
        elif line.strip().startswith("/usr/"):
            current.add(line.strip())
    return headers


def compiled_headers(build, program, by_object):
    """Those of all objects that a program is made of."""
    inputs = said("ninja", "-C", str(build), "-t", "inputs", str(program.relative_to(build))).splitlines()
    return set().union(*(by_object.get(name, set()) for name in inputs))


def programs_of(build):
    programs = sorted(path for path in (build / "bin").iterdir() if path.name.startswith("marrow"))
    return programs + [path for path in build.glob("libmarrow.so.*.*.*")]


def describe(build):
    cache = (build / "CMakeCache.txt").read_text()
    version = re.search(r"^CMAKE_PROJECT_VERSION:STATIC=(.+)$", cache, re.M)[1]
    compiler = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.+)$", cache, re.M)[1]
    paths = library_paths()
    relations, used = [], {}  # used: by package, what for
    ours = programs_of(build)
    if not ours:
        raise SystemExit(f"{build}: there are no programs in it; build it first")
    links = {program: linked(str(program)) for program in ours}
    by_object = headers_by_object(build)
    headers = {program: compiled_headers(build, program, by_object) for program in ours}
    all_paths = set().union(*headers.values()) | {compiler} | {paths[n] for pair in links.values() for names in pair for n in names if n in paths}
    owner = owners(sorted(all_paths))
    linked_paths = {paths.get(name, name) for needed, _ in links.values() for name in needed}
    if foreign := sorted((set().union(*headers.values()) | linked_paths | {compiler}) - owner.keys()):
        raise SystemExit(f"{build}: no package of Debian has {', '.join(foreign[:5])}, which the programs are made of")
    for program, (needed, may_load) in links.items():
        for names, relation in ((needed, "DYNAMIC_LINK"), (may_load, "OPTIONAL_DEPENDENCY_OF")):
            for name in sorted(names):
                package = owner.get(paths.get(name))
                if package is None:
                    continue
                used.setdefault(package, set()).add(name)
                ends = (identifier(program.name), identifier(package))
                relations.append((ends[0], relation, ends[1]) if relation == "DYNAMIC_LINK" else (ends[1], relation, ends[0]))
    for program, names in headers.items():
        for package in sorted({owner[header] for header in names}):
            used.setdefault(package, set()).add("headers")
            relations.append((identifier(package), "BUILD_DEPENDENCY_OF", identifier(program.name)))
    used.setdefault(owner[compiler], set()).add("compiler")
    relations += [(identifier(owner[compiler]), "BUILD_TOOL_OF", identifier(program.name)) for program in ours]
    packages = [
        {
            "SPDXID": identifier(program.name),
            "name": program.name,
            "versionInfo": version,
            "supplier": "Organization: The Marrow developers",
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "Apache-2.0",
            "copyrightText": "NOASSERTION",
            "primaryPackagePurpose": "LIBRARY" if ".so" in program.name else "APPLICATION",
        }
        for program in ours
    ]
    packages += [debian_package(name, used[name]) for name in sorted(used)]
    return packages, [("SPDXRef-DOCUMENT", "DESCRIBES", identifier(p.name)) for p in ours] + sorted(set(relations)), version


def debian_package(name, parts):
    form = "${Version}\n${source:Package}\n${source:Version}\n${Architecture}\n${Homepage}\n"
    version, source, source_version, architecture, homepage = said("dpkg-query", "-W", "-f", form, name).split("\n")[:5]
    expression, named = licence(name, source)
    package = {
        "SPDXID": identifier(name),
        "name": name,
        "versionInfo": version,
        "supplier": "Organization: Debian",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "sourceInfo": f"Debian source package {source} {source_version}",
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": expression,
        "copyrightText": "NOASSERTION",
        "comment": "used: " + ", ".join(sorted(parts)),
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": f"pkg:deb/debian/{quote(name)}@{quote(version, safe='')}?arch={architecture}&distro=bookworm",
            }
        ],
    }
    if homepage:
        package["homepage"] = homepage
    if named:
        package["licenseComments"] = f"/usr/share/doc/{name}/copyright names: " + "; ".join(named)
    return package


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: packaging/sbom.py BUILD_FOLDER > marrow.spdx.json")
    packages, relations, version = describe(Path(sys.argv[1]).resolve())
    content = hashlib.sha256(json.dumps([packages, relations], sort_keys=True).encode()).hexdigest()
    moment = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"marrow-{version}",
        "documentNamespace": f"https://marrow.invalid/spdx/marrow-{version}-{content}",
        "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", moment), "creators": ["Tool: packaging/sbom.py"]},
        "packages": packages,
        "relationships": [
            {"spdxElementId": begin, "relationshipType": kind, "relatedSpdxElement": end} for begin, kind, end in relations
        ],
    }
    json.dump(document, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
