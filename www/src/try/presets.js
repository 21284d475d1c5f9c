// The examples. They are texts, not objects, so that the editor shows them as a person would write them.

export const NATIVE = "/v1/features";
export const FEAST = "/get-online-features";

export const ENDPOINTS = [NATIVE, FEAST];

export const PRESETS = [
	{
		id: "native",
		name: "Native",
		endpoint: NATIVE,
		body: `{
  "request_id": "try-1",
  "entity_ids": ["entity_0", "entity_1"],
  "feature_names": [
    "risk_score",
    "purchase_count",
    "segment"
  ],
  "consistency_level": "eventual",
  "max_staleness_seconds": 300,
  "priority": "high",
  "include": ["status", "age", "tier"]
}`,
	},
	{
		id: "feast",
		name: "Feast",
		endpoint: FEAST,
		body: `{
  "features": [
    "driver_hourly_stats:conv_rate",
    "driver_hourly_stats:acc_rate",
    "driver_hourly_stats:avg_daily_trips"
  ],
  "entities": {
    "driver_id": [1001]
  }
}`,
	},
	{
		id: "feast-batch",
		name: "Feast, batch",
		endpoint: FEAST,
		body: `{
  "features": [
    "driver_hourly_stats:conv_rate",
    "driver_hourly_stats:acc_rate",
    "driver_hourly_stats:avg_daily_trips"
  ],
  "entities": {
    "driver_id": [1001, 1002, 1003, 1004, 1005]
  },
  "full_feature_names": true
}`,
	},
	{
		id: "embedding",
		name: "Embedding",
		endpoint: NATIVE,
		body: `{
  "entity_ids": ["item_17", "item_42"],
  "feature_names": [
    "content_embedding",
    "quality_score"
  ],
  "include": ["status", "age", "tier"]
}`,
	},
	{
		id: "stream",
		name: "Stream",
		endpoint: NATIVE,
		isStream: true,
		body: `{
  "entity_ids": [
    "entity_0", "entity_1",
    "entity_2", "entity_3",
    "entity_4", "entity_5"
  ],
  "feature_names": ["risk_score"],
  "include": ["tier"]
}`,
	},
];
