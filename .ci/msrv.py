"""Reads `cargo metadata`; fails if a dependency of the library claims a newer Rust than the library."""
import json
import sys

metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
edges = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}
root = metadata["resolve"]["root"]


def version(package):
    numbers = [int(n) for n in (package["rust_version"] or "1").split(".")]
    return numbers + [0] * (3 - len(numbers))


needed, todo = set(), [root]
while todo:
    package = todo.pop()
    if package not in needed:
        needed.add(package)
        todo += [dep["pkg"] for dep in edges[package]
                 if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]

limit = version(packages[root])
newer = sorted(f"{packages[p]['name']} {packages[p]['version']} wants Rust {packages[p]['rust_version']}"
               for p in needed if version(packages[p]) > limit)
print(f"{len(needed) - 1} dependencies, at most Rust {packages[root]['rust_version']}: "
      + ("none claims a newer one" if not newer else "; ".join(newer)))
sys.exit(bool(newer))
