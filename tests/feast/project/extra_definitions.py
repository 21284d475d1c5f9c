"""Feature views beside those of `feast init`: what a Feast answer can hold and the template does not show.

Composite keys, text keys, every value type, views without an entity, renamed views and join keys, on-demand views in
Python mode, and one view in two versions. `prepare.py` writes the data and copies this file into the project.
"""

import os
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import (
    Array,
    Bool,
    Bytes,
    Float32,
    Float64,
    Int32,
    Int64,
    String,
    UnixTimestamp,
)

from feature_definitions import driver, driver_stats_fv


def source(name):
    return FileSource(name=f"{name}_source", path=f"data/{name}.parquet", timestamp_field="event_timestamp")


customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)

customer_profile = FeatureView(
    name="customer_profile",
    entities=[customer],
    ttl=timedelta(days=365),
    schema=[
        Field(name="customer_id", dtype=String),
        Field(name="full_name", dtype=String),
        Field(name="tier", dtype=Int32),
        Field(name="vip", dtype=Bool),
        Field(name="joined_at", dtype=UnixTimestamp),
    ],
    source=source("customer_profile"),
)

driver_customer_affinity = FeatureView(
    name="driver_customer_affinity",
    entities=[driver, customer],
    ttl=timedelta(0),
    schema=[
        Field(name="driver_id", dtype=Int64),
        Field(name="customer_id", dtype=String),
        Field(name="affinity", dtype=Float64),
        Field(name="rides", dtype=Int64),
    ],
    source=source("driver_customer_affinity"),
)

every_type = FeatureView(
    name="every_type",
    entities=[driver],
    ttl=timedelta(days=365),
    schema=[
        Field(name="driver_id", dtype=Int64),
        Field(name="an_int32", dtype=Int32),
        Field(name="an_int64", dtype=Int64),
        Field(name="a_float32", dtype=Float32),
        Field(name="a_float64", dtype=Float64),
        Field(name="a_bool", dtype=Bool),
        Field(name="a_string", dtype=String),
        Field(name="some_bytes", dtype=Bytes),
        Field(name="a_time", dtype=UnixTimestamp),
        Field(name="int64s", dtype=Array(Int64)),
        Field(name="float32s", dtype=Array(Float32)),
        Field(name="float64s", dtype=Array(Float64)),
        Field(name="strings", dtype=Array(String)),
        Field(name="bools", dtype=Array(Bool)),
        Field(name="conv_rate", dtype=Float32),
    ],
    source=source("every_type"),
)

global_rates = FeatureView(
    name="global_rates",
    entities=[],
    ttl=timedelta(days=365),
    schema=[Field(name="surge", dtype=Float64), Field(name="currency", dtype=String)],
    source=source("global_rates"),
)

# `prepare.py` applies the project twice: as version 0 with one feature, then as version 1 with two.
versioned_stats = FeatureView(
    name="versioned_stats",
    entities=[driver],
    ttl=timedelta(days=365),
    schema=[Field(name="driver_id", dtype=Int64), Field(name="trips", dtype=Int64)]
    + ([Field(name="score", dtype=Float64)] if os.environ.get("FEATHEREDGE_VIEW_VERSION", "1") == "1" else []),
    source=source("versioned_stats"),
)

trip_request = RequestSource(
    name="trip_request", schema=[Field(name="distance_km", dtype=Float64), Field(name="city", dtype=String)]
)


@on_demand_feature_view(
    sources=[driver_customer_affinity, trip_request],
    schema=[Field(name="fare", dtype=Float64), Field(name="label", dtype=String)],
    mode="python",
)
def trip_fare(inputs):
    rides = [rides or 0 for rides in inputs["rides"]]
    return {
        "fare": [2.5 + 1.25 * km + many for km, many in zip(inputs["distance_km"], rides)],
        "label": [f"{city}/{many}" for city, many in zip(inputs["city"], rides)],
    }


trip_v1 = FeatureService(
    name="trip_v1",
    features=[driver_stats_fv[["acc_rate", "conv_rate"]], customer_profile, driver_customer_affinity[["affinity"]]],
)

renamed_v1 = FeatureService(
    name="renamed_v1",
    features=[
        driver_stats_fv[["conv_rate"]].with_name("first").with_join_key_map({"driver_id": "first_driver_id"}),
        driver_stats_fv[["acc_rate"]].with_name("second").with_join_key_map({"driver_id": "second_driver_id"}),
    ],
)

# Two views of one feature name: an answer without full names is refused by Feast.
collision_v1 = FeatureService(name="collision_v1", features=[driver_stats_fv[["conv_rate"]], every_type[["conv_rate"]]])
