"""Makes a Feast project in a folder: `feast init`, more views, data, `feast apply`, `feast materialize`.

One process does it all, since importing Feast takes seconds. The data of the views that are added is the same in every
run but for the event times, which are relative to now; the template's own data is random.

usage: python prepare.py FOLDER     (prints the path of the feature repository)
"""

import os
import shutil
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent

CONFIG = """\
project: demo
registry:
    registry_type: file
    path: data/registry.db
    enable_online_feature_view_versioning: true
provider: local
online_store:
    type: sqlite
    path: data/online_store.db
entity_key_serialization_version: 3
auth:
    type: no_auth
"""


def write_data(data_dir: Path, now: datetime) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def times(*ages_in_seconds):
        return [now - timedelta(seconds=age) for age in ages_in_seconds]

    def write(name, frame, **types):
        columns = {column: pa.array(values, type=types.get(column)) for column, values in frame.items()}
        pq.write_table(pa.table(columns), data_dir / f"{name}.parquet")

    write(
        "customer_profile",
        {
            "customer_id": ["c1", "c2", "zoë", 'quote"\\slash', "1001", "line\nbreak", "a:b,c=d"],
            "full_name": ["Ada", 'back\\slash "quoted"', "Zoë Ångström 日本 🚕", "tab\tnewline\n", "", None, "\u2028\u0001"],
            "tier": [1, -2, 2147483647, 0, None, 3, 4],
            "vip": [True, False, None, True, False, True, False],
            "joined_at": [datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone.utc)] * 7,
            "event_timestamp": times(3600, 3600.5, 3600.123, 3600.123456, 60, 61, 62),
        },
        tier=pa.int32(),
    )
    pairs = [(driver, customer) for driver in (1001, 1002, 9007199254740993) for customer in ("c1", "c2", "zoë")]
    write(
        "driver_customer_affinity",
        {
            "driver_id": [driver for driver, _ in pairs],
            "customer_id": [customer for _, customer in pairs],
            "affinity": [index + 0.1 for index in range(len(pairs))],
            "rides": [9007199254740993 + index for index in range(len(pairs))],
            "event_timestamp": times(*(100 + index * 0.25 for index in range(len(pairs)))),
        },
    )
    write(
        "every_type",
        {
            "driver_id": [1001, 1002, 1003, -5],
            "an_int32": [1, -2147483648, None, 0],
            "an_int64": [9007199254740993, -9223372036854775808, None, 0],
            "a_float32": [0.1, 1.0, None, 3.4028234663852886e38],
            "a_float64": [0.1, 1.0, 1e22, 5e-324],
            "a_bool": [True, False, None, True],
            "a_string": ["plain", 'q"\\/\b\f\n\r\t', None, "é日本🚕\u0000\u001f\u007f\u2028"],
            "some_bytes": [b"", b"\x00\xff\xfe", None, b"bytes"],
            "a_time": [datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone.utc), now, None, now],
            "int64s": [[1, 2, 9007199254740993], [], None, [-1]],
            "float32s": [[0.1, 1.0, 2.5], [], None, [0.0, -0.0]],
            "float64s": [[0.1, 1.0, 1e-7], [1e300], None, [123456789.0]],
            "strings": [["a", "", "é\n\""], [], None, ["x"]],
            "bools": [[True, False], [], None, [True]],
            "conv_rate": [0.25, 0.5, None, 0.75],
            "event_timestamp": times(10, 10.5, 10.25, 10.000001),
        },
        an_int32=pa.int32(),
        a_float32=pa.float32(),
        float32s=pa.list_(pa.float32()),
        conv_rate=pa.float32(),
    )
    write("global_rates", {"surge": [1.5], "currency": ["€"], "event_timestamp": times(5)})
    write(
        "versioned_stats",
        {"driver_id": [1001, 1002], "trips": [10, 20], "score": [0.5, 1.0], "event_timestamp": times(7, 8)},
    )


def apply(repo: Path, version: str, materialize_only=None) -> None:
    from feast import FeatureStore
    from feast.repo_config import load_repo_config
    from feast.repo_operations import apply_total

    os.environ["FEATHEREDGE_VIEW_VERSION"] = version
    for module in ("extra_definitions", "feature_definitions"):
        sys.modules.pop(module, None)
    # Twice: Feast numbers a changed view only after it has made the tables, so the second pass makes the new version's.
    for _ in range(2):
        apply_total(load_repo_config(repo, repo / "feature_store.yaml"), repo, skip_source_validation=False)
    store = FeatureStore(repo_path=str(repo))
    now = datetime.now(timezone.utc)
    store.materialize(now - timedelta(days=30), now, feature_views=materialize_only)


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    from feast.repo_operations import init_repo

    init_repo("demo", "local")
    repo = folder / "demo" / "feature_repo"
    (repo / "test_workflow.py").unlink()
    (repo / "feature_store.yaml").write_text(CONFIG)
    shutil.copy(HERE / "project" / "extra_definitions.py", repo)
    write_data(repo / "data", datetime.now(timezone.utc))
    os.chdir(repo)
    sys.path.insert(0, str(repo))
    apply(repo, "0", materialize_only=["versioned_stats"])
    apply(repo, "1")
    print(repo)


if __name__ == "__main__":
    main()
