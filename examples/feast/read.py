"""Reads features with Feast's own SDK through Featheredge. The only thing that differs from reading from Feast is a URL.

usage: python read.py [URL of Featheredge] [folder of the project's feature_store.yaml]
"""

import sys
from pathlib import Path

from feast import FeatureStore, RepoConfig

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8787"
repo = Path(sys.argv[2] if len(sys.argv) > 2 else "build/feast/demo/feature_repo")

# The same as these lines in a client's feature_store.yaml:
#
#   online_store:
#     type: remote
#     path: http://127.0.0.1:8787
store = FeatureStore(
    config=RepoConfig(
        project="demo",
        provider="local",
        registry=str(repo / "data" / "registry.db"),
        online_store={"type": "remote", "path": url},
        entity_key_serialization_version=3,
    )
)

answer = store.get_online_features(
    features=[
        "driver_hourly_stats:conv_rate",
        "driver_hourly_stats:acc_rate",
        "transformed_conv_rate:conv_rate_plus_val1",
    ],
    entity_rows=[
        {"driver_id": 1001, "val_to_add": 1, "val_to_add_2": 10},
        {"driver_id": 1002, "val_to_add": 2, "val_to_add_2": 20},
    ],
)
for name, values in answer.to_dict().items():
    print(f"{name}: {values}")
