"""Prints what the template gives each function, as JSON: its memory in MB and its environment variables.

Whatever starts a function without a deployment reads them here, so the template alone declares them. Parameters have
their defaults. A reference to a queue is an address, and one to another resource is its logical id.
"""

from __future__ import annotations

import argparse
import json
import sys

from localstack import arguments, template

# A parameter without a default: the SHA-256 of no token.
_PARAMETERS = {"TokenSha256": "0" * 64}
_QUEUE_ADDRESS = "http://localhost/000000000000/"


def declared(read: dict, given: dict[str, str]) -> dict[str, dict]:
    """The memory and the environment variables of each function, by its logical id."""
    values = template.parameter_values(read, {**_PARAMETERS, **given})

    def reference(name: str) -> str:
        is_queue = read["Resources"].get(name, {}).get("Type") == "AWS::SQS::Queue"
        return _QUEUE_ADDRESS + name if is_queue else name

    resolver = template.Resolver(read, values, reference, lambda name, part: f"{name}.{part}", exported=str)
    functions = {name: resolver.properties(name) for name in template.functions(read)}
    return {
        name: {"memory_mb": properties["MemorySize"], "environment": properties["Environment"]["Variables"]}
        for name, properties in functions.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_parameters(parser)
    chosen = parser.parse_args()
    json.dump(declared(template.load(arguments.TEMPLATE), arguments.parameters(chosen)), sys.stdout, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(arguments.run(main))
