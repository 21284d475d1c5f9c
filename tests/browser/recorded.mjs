// A run as an export has it: every case that Results must show, in known figures.

/** The numbers of some buckets of the framework's histogram. */
const BUCKETS = { fast: [300, 320, 340], slow: [1100, 1150, 1200], wide: [500, 900, 1300] };

const point = (at_ms, p50_ms) => ({
	at_ms,
	p50_ms,
	p95_ms: p50_ms * 2,
	p99_ms: p50_ms * 3,
	throughput: 400,
	tiers: [300, 40, 10, 50],
	failed: 0,
});

function repeat(buckets, shift, more = {}) {
	const micros = 10_000;
	return {
		elapsed_us: 500_000 + shift * 1_000,
		latencies: {
			sum_us: 100 * micros,
			sum_of_squares: 100 * micros * micros,
			min_us: 20,
			max_us: 400_000,
			bucket: buckets.map((bucket) => bucket + shift),
			count: [60, 35, 5],
		},
		failures: [],
		slow: { over_ms: 100, count: 0, slowest: [] },
		l1: { rows: 900, max_rows: 1_000, bytes: 1_048_576, max_bytes: 67_108_864, evictions: 1_234 },
		rows: [
			{ hits: 80, misses: 20 },
			{ hits: 5, misses: 15 },
			{ hits: 0, misses: 0 },
			{ hits: 15, misses: 0 },
		],
		origin_calls: 15,
		answers: [80, 5, 0, 15],
		answer_us: [800, 50_000, 0, 150_000],
		parts: { network_ms: 10, cache_ms: 50, computation_ms: 150, serialization_ms: 5 },
		timeline: Array.from({ length: 10 }, (_, slice) => point(slice * 50, 0.5 + slice / 10)),
		...more,
	};
}

const scenario = (name, more = {}) => ({
	name,
	description: "Recorded",
	request_count: 100,
	entities_per_request: 5,
	features_per_request: 10,
	concurrency: 20,
	priority: "normal",
	popularity: "sequential",
	warm_up_requests: 0,
	seed: 1,
	...more,
});

const measured = (name, caches, buckets, more, served_by = "featheredge") => ({
	scenario: scenario(name),
	caches,
	served_by,
	repeats: [0, 1, 2].map((shift) => repeat(BUCKETS[buckets], shift, more)),
});

const FAILED = {
	failures: [{ kind: "origin-timeout", count: 7, cause: "The origin did not answer within 5,000 ms." }],
	slow: {
		over_ms: 100,
		count: 12,
		slowest: [{ number: 42, at_ms: 310.5, latency_ms: 215, tier: "origin" }],
	},
};
const NOTHING = {
	latencies: { sum_us: 0, sum_of_squares: 0, min_us: 0, max_us: 0, bucket: [], count: [] },
	failures: [{ kind: "unreachable", count: 20, cause: "Failed to fetch" }],
	stopped: "all_failed",
	rows: Array.from({ length: 4 }, () => ({ hits: 0, misses: 0 })),
	origin_calls: 0,
	answers: [0, 0, 0, 0],
	answer_us: [0, 0, 0, 0],
	parts: { network_ms: 0, cache_ms: 0, computation_ms: 0, serialization_ms: 0 },
	timeline: [],
};

/** @param {any} [changes] of the run's own fields */
export const recorded = ({ buckets = "slow", ...changes } = {}) => ({
	schema: "featheredge-benchmark",
	version: 2,
	id: "recorded-1",
	started_at: "2026-11-30T10:00:00Z",
	product_version: "0.1.0",
	environment: {
		host: "Chrome 150",
		machine: "Linux",
		cores: 4,
		target: "engine",
		settings: [
			{ name: "l2", value: "indexeddb" },
			{ name: "delay_ms", value: "10" },
		],
	},
	targets: { p50_ms: 20, p95_ms: 50, p99_ms: 100, availability: 0.999, error_rate: 0.001 },
	scenarios: [
		measured("popular_load", "warm", "fast"),
		measured("popular_load", "cold", "slow", {}, "origin"),
		measured("low_latency_individual", "cold", buckets, FAILED),
		measured("low_latency_individual", "warm", "fast"),
		measured("mixed_workload", "cold", "wide"),
		measured("stress_test", "cold", "slow", NOTHING),
	],
	...changes,
});

/** A run as a file for a file input. */
export const fileOf = (run, name = "run.json") => ({
	name,
	mimeType: "application/json",
	buffer: Buffer.from(typeof run === "string" ? run : JSON.stringify(run)),
});
