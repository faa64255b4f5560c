"""Makes the files of a release: a zip for each function, and the template that names them.

    python -m localstack.release --artifacts .aws-sam/build --out .local/release/0.1.0

`cargo xtask release` calls it. Equal functions give equal zips, byte for byte. The zips are not compressed, since a
compressor's output depends on its version.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from localstack import arguments, package, template
from localstack.cloud import Failure

# The lines of a function that give its code's folder and its build method.
_CODE = re.compile(r"^(?P<indent> +)CodeUri: (?P<folder>\S+)$", re.MULTILINE)
_BUILD = re.compile(r"^ +Metadata:\n +BuildMethod: makefile\n", re.MULTILINE)


def zips(artifacts: Path, functions: list[str], out: Path) -> None:
    for name in functions:
        package.check(artifacts / name)
        (out / f"{name}.zip").write_bytes(package.zipped(artifacts / name))


def packaged(source: Path) -> str:
    """The template with each function's zip in place of its folder. All other text stays, comments included."""
    text = source.read_text(encoding="utf-8")
    before = template.load(source)
    by_folder = {before["Resources"][name]["Properties"]["CodeUri"]: name for name in template.functions(before)}
    found = [match["folder"] for match in _CODE.finditer(text)]
    if sorted(found) != sorted(by_folder):
        raise Failure(f"{source} has CodeUri lines for {found}: write each function's CodeUri once, on its own line")
    text = _CODE.sub(lambda match: f"{match['indent']}CodeUri: {by_folder[match['folder']]}.zip", text)
    return _BUILD.sub("", text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m localstack.release", description=__doc__.splitlines()[0])
    parser.add_argument("--template", type=Path, default=arguments.TEMPLATE, help="the SAM template")
    parser.add_argument("--artifacts", type=Path, required=True, help="has a folder for each function (`sam build`)")
    parser.add_argument("--out", type=Path, required=True, help="the folder to fill")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    zips(chosen.artifacts, template.functions(template.load(chosen.template)), chosen.out)
    (chosen.out / "template.yaml").write_text(packaged(chosen.template), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(arguments.run(main))
