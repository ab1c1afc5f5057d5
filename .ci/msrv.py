"""Reads `cargo metadata`; fails if a dependency of a package claims a newer Rust than that package."""
import json
import sys

metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
edges = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}


def version(package):
    numbers = [int(n) for n in (package["rust_version"] or "1").split(".")]
    return numbers + [0] * (3 - len(numbers))


def dependencies(root):
    needed, todo = set(), [root]
    while todo:
        package = todo.pop()
        if package not in needed:
            needed.add(package)
            todo += [dep["pkg"] for dep in edges[package]
                     if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
    return needed - {root}


failed = False
for root in map(packages.get, metadata["workspace_members"]):
    if root["rust_version"] is None:
        print(f"{root['name']} takes the stable Rust")
        continue
    needed = dependencies(root["id"])
    newer = sorted(f"{packages[p]['name']} {packages[p]['version']} wants Rust {packages[p]['rust_version']}"
                   for p in needed if version(packages[p]) > version(root))
    print(f"{root['name']}, Rust {root['rust_version']}: {len(needed)} dependencies, of which "
          + ("none claims a newer one" if not newer else "; ".join(newer)))
    failed |= bool(newer)
sys.exit(failed)
