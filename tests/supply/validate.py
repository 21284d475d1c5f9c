"""Says what of a bill of materials does not fit the schema of CycloneDX 1.6; nothing where all does."""

import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read())
    if fault is not None:
        print(f"{path}: {fault}")
