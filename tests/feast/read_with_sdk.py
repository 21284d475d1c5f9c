"""Reads and writes with the real Feast SDK, from each of several places, and prints what it got.

The first argument is a file: {"repo": folder, "sources": {name: URL, or null for the project's own online store},
"calls": {name: arguments}, "auth": settings of the SDK's client, or nothing}. The last line printed is {call: {source: what came, or the error}}; a value comes with its
Python type, to the last digit.

A call with "view" reads as releases before 0.64 read every view, and as other callers still do; one with "rows" writes.
"""

import json
import sys
import warnings
from pathlib import Path

import pandas as pd

from feast import FeatureStore, RepoConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

warnings.simplefilter("ignore")


def exact(value):
    return [type(value).__name__, repr(value)]


def open_store(repo, url, auth):
    if url is None:
        return FeatureStore(repo_path=repo)
    return FeatureStore(
        config=RepoConfig(
            project="demo",
            provider="local",
            registry=str(Path(repo) / "data" / "registry.db"),
            online_store={"type": "remote", "path": url, "connection_retries": 0},
            entity_key_serialization_version=3,
            **({"auth": auth} if auth else {}),
        )
    )


def read_features(store, arguments):
    arguments = dict(arguments)
    if "feature_service" in arguments:
        arguments["features"] = store.get_feature_service(arguments.pop("feature_service"))
    response = store.get_online_features(**arguments)
    columns = response.to_dict()
    names = list(response.proto.metadata.feature_names.val)
    with_times = response.to_dict(include_event_timestamps=True)
    return {
        "values": {name: [exact(value) for value in column] for name, column in columns.items()},
        "types": {
            name: [value.WhichOneof("val") for value in vector.values]
            for name, vector in zip(names, response.proto.results)
        },
        "statuses": {name: list(vector.statuses) for name, vector in zip(names, response.proto.results)},
        "event_times": {name: column for name, column in with_times.items() if name.endswith("__ts")},
    }


def read_view(store, view, join_key, values, features):
    table = store.get_feature_view(view)
    keys = [EntityKey(join_keys=[join_key], entity_values=[Value(int64_val=value)]) for value in values]
    rows = store._get_provider().online_read(store.config, table, keys, features)
    return [
        {
            "event_time": str(time and time.replace(tzinfo=None)),
            "values": {name: str(values[name]) if values and name in values else None for name in sorted(features)},
        }
        for time, values in rows
    ]


def write_rows(store, into, rows):
    frame = pd.DataFrame(rows)
    for column in ("event_timestamp", "created"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    store.write_to_online_store(into, frame)
    return "written"


def attempt(store, arguments):
    try:
        if "rows" in arguments:
            return write_rows(store, **arguments)
        return read_view(store, **arguments) if "view" in arguments else read_features(store, arguments)
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


def main():
    asked = json.loads(Path(sys.argv[1]).read_text())
    stores = {name: open_store(asked["repo"], url, asked.get("auth")) for name, url in asked["sources"].items()}
    print(
        json.dumps(
            {
                call: {source: attempt(store, arguments) for source, store in stores.items()}
                for call, arguments in asked["calls"].items()
            }
        )
    )


if __name__ == "__main__":
    main()
