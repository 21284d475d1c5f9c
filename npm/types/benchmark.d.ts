import type { createEngine, FeatureFunction, Origin, ServingRequest, Store } from "./index.js";

/**
 * Measures what a load costs: scenarios against an engine, a URL or a function, progress by
 * events, results in a versioned schema, a history, comparisons and budgets.
 */

/** How often each entity is requested. */
export type Popularity =
	| "sequential"
	| { uniform: { population: number } }
	| { zipf: { population: number; exponent: number } }
	| { recorded: { entities: readonly string[] } };

/** A part of an open loop, in which the rate changes linearly to this one. */
export interface Stage {
	duration_ms: number;
	rate_per_second: number;
}

/** A load, bounded by `request_count`, by `duration_ms`, by whichever is first of both, or by `stages`. */
export interface ScenarioOptions {
	name: string;
	description?: string;
	/** How many requests are measured. */
	request_count?: number;
	/** How long requests are begun, in milliseconds. */
	duration_ms?: number;
	entities_per_request: number;
	features_per_request: number;
	/** The most concurrent requests. */
	concurrency: number;
	/** Requests a second, begun whether or not others have ended (open loop). */
	rate_per_second?: number;
	/** An open loop with ramps, in place of `request_count` and `duration_ms`. */
	stages?: readonly Stage[];
	/** How long a response is waited for, in milliseconds; 5,000 if omitted. Sent as `deadline_ms`. */
	timeout_ms?: number;
	priority?: "low" | "normal" | "high" | "critical";
	popularity?: Popularity;
	/** Requests that run first and are not measured. */
	warm_up_requests?: number;
	/** Determines all random draws. */
	seed?: number;
}

/** A complete scenario. */
export type Scenario = ScenarioOptions &
	Required<
		Pick<ScenarioOptions, "description" | "timeout_ms" | "priority" | "popularity" | "warm_up_requests" | "seed">
	>;

/** The caches when measuring begins: empty, or after the same requests had been made once. */
export type Caches = "cold" | "warm";

/** What responds: Featheredge, or the origin without it. */
export type ServedBy = "featheredge" | "origin";

/** The objectives. */
export interface Targets {
	p50_ms: number;
	p95_ms: number;
	p99_ms: number;
	/** The least share of requests that succeed. */
	availability: number;
	/** The largest share of requests that fail. */
	error_rate: number;
}

/** Failed requests of one kind. */
export interface Failures {
	kind: string;
	count: number;
	/** The text of the first of them. */
	cause?: string;
}

/** The requests that took longer than `over_ms`. */
export interface Slow {
	over_ms: number;
	count: number;
	/** The slowest of them. */
	slowest: { number: number; at_ms: number; latency_ms: number; tier: string }[];
}

/** L1 of the target after a repetition. */
export interface L1Usage {
	rows: number;
	max_rows: number;
	bytes: number;
	max_bytes: number;
	evictions: number;
}

/** Hits and misses of a tier, in rows. */
export interface RowCounts {
	hits: number;
	misses: number;
}

/** The parts of a latency, in milliseconds. */
export interface LatencyParts {
	network_ms: number;
	cache_ms: number;
	computation_ms: number;
	serialization_ms: number;
}

/** A slice of a repetition. */
export interface TimelinePoint {
	at_ms: number;
	p50_ms: number | null;
	p95_ms: number | null;
	p99_ms: number | null;
	throughput: number;
	tiers: [l1: number, l2: number, l3: number, origin: number];
	failed: number;
}

/** The results of one repetition. */
export interface Repeat {
	elapsed_us: number;
	/** A sparse H2 histogram of grouping power 7, in microseconds. */
	latencies: {
		sum_us: number;
		sum_of_squares: number;
		min_us: number;
		max_us: number;
		bucket: number[];
		count: number[];
	};
	failures: Failures[];
	slow: Slow;
	l1?: L1Usage;
	/** The first requests all failed, and no more were sent. */
	stopped?: "all_failed";
	rows: [l1: RowCounts, l2: RowCounts, l3: RowCounts, origin: RowCounts];
	origin_calls: number;
	answers: [l1: number, l2: number, l3: number, origin: number];
	answer_us: [l1: number, l2: number, l3: number, origin: number];
	parts: LatencyParts;
	timeline: TimelinePoint[];
}

/** An objective, and whether it was met; `null` if nothing was measured. */
export interface Verdict {
	name: keyof Targets;
	target: number;
	actual: number | null;
	is_met: boolean | null;
	/** Why it was missed, in a sentence. */
	reason: string | null;
}

/** The summary of repetitions. What was not measured is `null`. */
export interface Summary {
	requests: number;
	succeeded: number;
	failed: number;
	mean_ms: number | null;
	median_ms: number | null;
	p95_ms: number | null;
	p99_ms: number | null;
	p999_ms: number | null;
	min_ms: number | null;
	max_ms: number | null;
	std_ms: number | null;
	/** Successful responses a second. */
	throughput: number | null;
	error_rate: number | null;
	failures: Failures[];
	slow: Slow;
	l1: L1Usage | null;
	is_stopped: boolean;
	rows: [l1: RowCounts, l2: RowCounts, l3: RowCounts, origin: RowCounts];
	origin_calls: number;
	/** Responses by the furthest tier that served them. */
	answers: [l1: number, l2: number, l3: number, origin: number];
	verdicts: Verdict[];
	/** The means of the parts of latency, and what caching saves. */
	model: {
		parts: LatencyParts;
		hit_ratio: number | null;
		hit_ms: number | null;
		miss_ms: number | null;
		saved_ms: number | null;
		saved_ms_per_second: number | null;
	};
	/** The cost of a million requests, in US dollars. */
	cost: {
		store_reads_usd: number;
		store_writes_usd: number;
		origin_calls_usd: number;
		total_usd: number;
		origin_calls_per_thousand: number;
	};
	/** The histogram: the middle of each bucket in milliseconds, and its count. */
	latencies: [middle_ms: number, count: number][];
	/** The percentile curve: percentiles, and their latencies in milliseconds. */
	curve: [percentile: number, latency_ms: number][];
}

/** What was measured of a scenario. */
export interface Measured {
	scenario: Scenario;
	caches: Caches;
	served_by: ServedBy;
	repeats: Repeat[];
	summary: Summary;
}

/** Where a run was made. */
export interface Environment {
	host: string;
	machine: string;
	cores: number;
	target: string;
	settings: { name: string; value: string }[];
}

/** A run: the versioned schema of exports. */
export interface Run {
	schema: "featheredge-benchmark";
	version: 2;
	id: string;
	started_at: string;
	product_version: string;
	name?: string;
	notes?: string;
	environment: Environment;
	targets: Targets;
	scenarios: Measured[];
	/** The summary of all that Featheredge served. */
	overall: Summary;
}

/** The results so far. */
export interface Live {
	progress: { share: number; left_ms: number | null; succeeded: number; failed: number };
	timeline: TimelinePoint[];
	latencies: [middle_ms: number, count: number][];
	tiers: [l1: number, l2: number, l3: number, origin: number];
}

interface About {
	/** Which entry of `run.scenarios`. */
	index: number;
	repeat: number;
	scenario: string;
	caches: Caches;
	served_by: ServedBy;
}

/** What happens during a run. */
export type BenchmarkEvent =
	| { type: "checked" }
	| ({ type: "scenario-started"; total: number } & About)
	| ({
			type: "progress";
			/** Of the whole run, from 0 to 1. */
			share: number;
			left_ms?: number;
			live: Live;
	  } & About)
	| ({ type: "scenario-ended"; result: Repeat } & About)
	| { type: "stopped"; reason: string };

/** A scenario with what is measured of it. */
export interface SuiteEntry {
	scenario: string | ScenarioOptions;
	/** `["cold"]` if omitted. Warm follows cold on the same caches. */
	caches?: readonly Caches[];
	/** `["featheredge"]` if omitted. */
	served_by?: readonly ServedBy[];
}

export interface RunOptions {
	/** The scenarios, in the order in which they are measured. */
	suite: readonly (string | ScenarioOptions | SuiteEntry)[];
	/** How often each is measured; 1 if omitted. Three and more estimate the noise. */
	repeats?: number;
	/** A share of the requests and durations, for a quick run. */
	scale?: number;
	target?: Target;
	/** What answers a load that is `served_by` the origin. */
	origin?: Target;
	targets?: Partial<Targets>;
	name?: string;
	notes?: string;
	/** What is recorded of the host. The setting `origin_call_usd_per_million` is a price of the cost. */
	environment?: Partial<Omit<Environment, "target">>;
	/** Ends the run within a tenth of a second, with the signal's reason. */
	signal?: AbortSignal;
	onEvent?: (event: BenchmarkEvent) => void;
}

export interface RateSearchOptions {
	scenario: string | ScenarioOptions;
	target: Target;
	targets?: Partial<Targets>;
	/** Requests a second; 50 if omitted. */
	min_rate?: number;
	/** Requests a second; 100,000 if omitted. */
	max_rate?: number;
	/** How long each rate is measured, in milliseconds; 2,000 if omitted. */
	step_ms?: number;
	environment?: Partial<Omit<Environment, "target">>;
	signal?: AbortSignal;
	onEvent?: (event: BenchmarkEvent & { rate_per_second?: number; step?: number }) => void;
}

/** The highest rate that kept the objectives. */
export interface HighestRate {
	/** Requests a second; `null` if not even the least rate kept them. */
	rate_per_second: number | null;
	/** No rate missed them: the true one may be higher. */
	is_limited_by_max: boolean;
	steps: {
		rate_per_second: number;
		is_met: boolean;
		/** The objectives that were missed. */
		missed: (keyof Targets)[];
		p99_ms: number | null;
		error_rate: number | null;
		throughput: number | null;
	}[];
	run: Run;
}

/** A figure of both runs. */
export interface ComparedMetric {
	name: "mean_ms" | "median_ms" | "p95_ms" | "p99_ms" | "p999_ms" | "throughput" | "error_rate" | "hit_ratio";
	baseline: number | null;
	current: number | null;
	difference: number | null;
	/** The difference as a share of the baseline's. */
	change: number | null;
	/** The 95 % confidence interval of the difference, with three repetitions and more. */
	interval: [low: number, high: number] | null;
	verdict: "better" | "worse" | "noise" | "unknown";
}

type Overall = "better" | "worse" | "mixed" | "noise" | "unknown";

/** Two runs compared. */
export interface Comparison {
	scenarios: {
		name: string;
		caches: Caches;
		served_by: ServedBy;
		is_same_scenario: boolean;
		metrics: ComparedMetric[];
		verdict: Overall;
	}[];
	/** What else differs, and may be the cause. */
	settings: { name: string; baseline: string | null; current: string | null }[];
	verdict: Overall;
}

interface Limits {
	median_ms?: number;
	p95_ms?: number;
	p99_ms?: number;
	p999_ms?: number;
	error_rate?: number;
	/** A minimum. */
	hit_ratio?: number;
	/** A minimum. */
	throughput?: number;
}

/** What a run may take at most, or must reach. */
export interface Budget {
	$schema?: string;
	scenarios: Record<
		string,
		Limits & {
			/** The last that was measured if omitted. */
			caches?: Caches;
			/** The largest relative change for the worse, such as `{ throughput: -0.1, p99_ms: 0.2 }`. */
			against_baseline?: Limits;
		}
	>;
}

/** A limit of a budget, and whether it was kept. What was not measured is not. */
export interface BudgetCheck {
	scenario: string;
	caches: Caches;
	name: string;
	limit: number;
	actual: number | null;
	is_met: boolean;
	words: string;
}

/** Scenarios, and runs of them. */
export interface Benchmark {
	readonly constants: {
		schema: string;
		version: number;
		history_limit: number;
		product_version: string;
		targets: Targets;
	};
	/** The built-in scenarios, `popular_load` first, and the registered ones. */
	scenarios(): Scenario[];
	scenario(name: string): Scenario;
	/** Adds a scenario, for this benchmark. */
	register(scenario: ScenarioOptions): Scenario;
	/** A changed scenario, which is not registered. A field that is `undefined` is left out. */
	compose(base: string | ScenarioOptions, changes?: Partial<ScenarioOptions> & { scale?: number }): Scenario;
	/** Measures a suite. A first request checks each target. */
	run(options: RunOptions): Promise<Run>;
	findHighestRate(options: RateSearchOptions): Promise<HighestRate>;
	compare(baseline: Run, run: Run): Comparison;
	/** Reads an export of any known version, within 8 MiB. */
	parse(exported: string | object): Run;
	/** Checks a budget before a run is made for it. */
	parseBudget(budget: string | object): Budget;
	checkBudget(run: Run, budget: Budget, baseline?: Run): { is_met: boolean; checks: BudgetCheck[] };
}

export interface BenchmarkOptions {
	/** The module `benchmark.wasm`, for hosts that must load it themselves. */
	wasm?: WebAssembly.Module | BufferSource | Promise<WebAssembly.Module | BufferSource>;
}

/** Loads the benchmark. */
export function createBenchmark(options?: BenchmarkOptions): Promise<Benchmark>;

/** What is measured. */
export interface Target {
	/** Without credentials. */
	readonly name: string;
}

/** An engine in this process, new for each repetition. */
export function engineTarget(options: {
	createEngine: typeof createEngine;
	config?: Record<string, unknown>;
	/** A synthetic origin of 10 ms if neither this nor `config.origin` is given. */
	origin?: Origin | FeatureFunction;
	/** Makes an empty store for each repetition. */
	l2?: () => Store | undefined | Promise<Store | undefined>;
}): Target;

/** A deployment, by `POST /v1/features`. */
export function urlTarget(url: string | URL, options?: { token?: string }): Target;

/** An origin without Featheredge: a Feast server, or the engine's origin function. */
export function originTarget(origin: string | URL | FeatureFunction, options?: { token?: string }): Target;

/** Anything that takes a request. What it returns is not read. */
export function functionTarget(
	name: string,
	serve: (request: ServingRequest, options: { signal: AbortSignal }) => unknown,
): Target;

/** An origin of known latency; 10 ms if omitted. */
export function syntheticOrigin(options?: { delay_ms?: number }): FeatureFunction;

/** An empty store in memory. */
export function memoryStore(): Store;

/** A run of a history; the baseline says so. */
export type StoredRun = Run & { is_baseline?: boolean };

/** Saved runs. The 100 that were saved last are kept, and the baseline. */
export interface History {
	/** The runs that were saved last, newest first. */
	history(limit?: number): Promise<StoredRun[]>;
	get(id: string): Promise<StoredRun | undefined>;
	save(run: Run): Promise<void>;
	/** Names a run, notes something about it, or makes it the baseline in place of another. */
	update(id: string, changes: { name?: string; notes?: string; is_baseline?: boolean }): Promise<void>;
	remove(id: string): Promise<void>;
	baseline(): Promise<StoredRun | undefined>;
}

/** A history in a file. */
export function fileHistory(path: string): History;

/** A history in IndexedDB, or in memory where a browser stores nothing. */
export function indexedDbHistory(name?: string): History;

export function toCsv(run: Run): string;
export function toMarkdown(run: Run): string;
export function toJson(run: Run): string;

/**
 * What `popular_load` gained, in one sentence; `undefined` without that load through Featheredge
 * and on the origin alone.
 */
export function summarySentence(run: Run): string | undefined;

/**
 * An error of the benchmark. Its message says what to do. Of a target: `invalid-url`,
 * `unreachable`, `unauthorized`, `forbidden`, `not-featheredge`, `failed`. Of what was given:
 * `invalid-scenario`, `unknown-scenario`, `duplicate-scenario`, `invalid-run`, `unknown-run`,
 * `invalid-budget`, `invalid-options`.
 */
export class BenchmarkError extends Error {
	readonly code: string;
}
