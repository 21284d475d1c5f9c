"""What the API's description cannot say in JSON Schema, told to schemathesis."""

import schemathesis


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """With the built-in origin there is no other server whose statuses come through: what is not listed is a fault."""
    for path in raw_schema["paths"].values():
        for operation in path.values():
            operation["responses"].pop("default", None)


def level(body):
    """Makes entity columns equally long, as the shortest, in a body that is otherwise as the schema says."""
    entities = body.get("entities") if isinstance(body, dict) else None
    if not isinstance(entities, dict) or not all(isinstance(column, list) for column in entities.values()):
        return body
    rows = min(map(len, entities.values()), default=0)
    return {**body, "entities": {name: column[:rows] for name, column in entities.items()}}


def unhurried(body):
    """A read that allows the origin a millisecond gets a 504 by right: a deadline that is one is made long enough to keep."""
    deadline = body.get("deadline_ms") if isinstance(body, dict) else None
    if type(deadline) not in (int, float) or not 1 <= deadline < 1_000:
        return body
    return {**body, "deadline_ms": 1_000}


@schemathesis.hook
def map_body(context, body):
    return unhurried(level(body))


@schemathesis.hook
def before_call(context, case, kwargs):
    """The coverage phase makes bodies without `map_body`."""
    case.body = unhurried(level(case.body))
