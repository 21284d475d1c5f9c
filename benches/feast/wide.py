"""Adds a view of 50 features to a Feast project, with 100 entities in its online store.

With the address of a Redis, that becomes the project's online store, and gets the rows of the views that are there as well.

usage: python wide.py REPOSITORY [HOST:PORT]
"""

import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import yaml
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float32, Int64

FEATURES = 50
ENTITIES = 100

os.chdir(sys.argv[1])
settings = Path("feature_store.yaml")
if len(sys.argv) > 2:
    config = yaml.safe_load(settings.read_text())
    config["online_store"] = {"type": "redis", "connection_string": sys.argv[2]}
    settings.write_text(yaml.safe_dump(config))
store = FeatureStore(".")
names = [f"feature_{number}" for number in range(FEATURES)]
frame = pd.DataFrame({"item_id": range(ENTITIES)})
for at, name in enumerate(names):
    frame[name] = pd.Series([(row * FEATURES + at) / 7919 for row in range(ENTITIES)], dtype="float32")
frame["event_timestamp"] = datetime.now(timezone.utc) - timedelta(minutes=5)
frame.to_parquet("data/wide.parquet")
item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.INT64)
wide = FeatureView(
    name="wide",
    entities=[item],
    ttl=timedelta(days=365),
    schema=[Field(name="item_id", dtype=Int64), *(Field(name=name, dtype=Float32) for name in names)],
    source=FileSource(name="wide_source", path="data/wide.parquet", timestamp_field="event_timestamp"),
)
store.apply([item, wide])
store.write_to_online_store("wide", frame)
if len(sys.argv) > 2:
    now = datetime.now(timezone.utc)
    store.materialize(now - timedelta(days=30), now, feature_views=["driver_hourly_stats"])
