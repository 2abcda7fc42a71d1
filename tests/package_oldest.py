"""Print the oldest versions that pyproject.toml allows, one requirement a line: what `make test-oldest` installs.

Everything that users get, and from the tests' own needs what their models come from; tools of the tests stay new.
"""

import re
import tomllib
from pathlib import Path

EXTRAS = ("images", "captum", "scale", "demo")
MODELS = ("transformers", "shap", "zennit")


def oldest(requirement: str) -> str:
    """`name>=1.2,<2` as `name==1.2`."""
    found = re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)(?:,<[\d.]+)?", requirement)
    if found is None:
        raise ValueError(f"{requirement!r} has no lowest version")
    return f"{found[1]}=={found[2]}"


def requirements() -> list[str]:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    tools = [one for one in extras["test"] if one.startswith(MODELS)]
    return sorted(
        {oldest(one) for one in (*project["dependencies"], *(x for name in EXTRAS for x in extras[name]), *tools)}
    )


if __name__ == "__main__":
    print(*requirements(), sep="\n")
