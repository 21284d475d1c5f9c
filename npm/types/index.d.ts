/**
 * Serves machine-learning features from memory, from stores or from their origin: one engine for
 * every JavaScript host.
 */

/** A key of an entity. `bigint` carries integers that a `number` cannot hold. */
export type EntityKey = string | number | bigint;

/** The value of a feature: anything that JSON can hold. */
export type FeatureValue = null | boolean | number | string | FeatureValue[] | { [key: string]: FeatureValue };

/** Entities by column, as in Feast's requests. All columns have the same length. */
export type EntityColumns = Record<string, readonly (EntityKey | boolean | null | FeatureValue)[]>;

/** The status of a value, as Feast names it. */
export type Status = "INVALID" | "PRESENT" | "NULL_VALUE" | "NOT_FOUND" | "OUTSIDE_MAX_AGE";

/** The tier that had a value; `l4_compute` is the origin. */
export type Tier = "l1_memory" | "l2_distributed" | "l3_storage" | "l4_compute";

/** What is returned with each value. */
export type Include = "status" | "age" | "tier" | "event_timestamp";

/** The optional fields of a request. */
export interface ServingOptions {
	/** Returned in the response; generated if omitted. */
	request_id?: string;
	/** The time of the request, returned in the response's `metadata`. */
	timestamp?: string;
	/** How fresh values must be. See the consistency levels of the HTTP API. */
	consistency_level?: "eventual" | "bounded" | "strong";
	/** The maximum age of a value; 300 if omitted. */
	max_staleness_seconds?: number;
	/** The priority. Requests of low priority are shed first. */
	priority?: "low" | "normal" | "high" | "critical";
	/** The deadline, at most `deadlines.default_ms`. */
	deadline_ms?: number;
	/**
	 * The session of the request, for prefetch: any string that the requests of one user or session
	 * share.
	 */
	session_id?: string;
	/** What is returned with each value. */
	include?: readonly Include[];
}

/** The entities of a request: values of the column `native.entity_column`, or columns. */
export type AskedEntities =
	| { entity_ids: readonly EntityKey[]; entities?: never }
	| { entities: EntityColumns; entity_ids?: never };

/** The features of a request: references `view:feature` or `feature`, or a feature service. */
export type AskedFeatures =
	| { feature_names: readonly string[]; feature_service?: never }
	| { feature_service: string; feature_names?: never };

/** A request for features: the body of `POST /v1/features`. */
export type ServingRequest = ServingOptions & AskedEntities & AskedFeatures;

/** A value with what `include` asks for. */
export interface DescribedValue {
	value: FeatureValue;
	status?: Status;
	age_ms?: number;
	tier?: Tier;
	event_timestamp?: string;
}

/** Values that are missing because the origin failed. */
export interface ServingFailure {
	/** The entity as in the request; an object for several columns. */
	entity: FeatureValue;
	/** The features without a value, under the names of the request; none for a feature service. */
	features: string[];
	/** The type of the problem in `docs/reference/problems.md`, without its prefix. */
	code: string;
	/** The explanation. */
	detail: string;
	/** What the origin's function threw. HTTP callers never see it. */
	cause?: unknown;
}

/** The response of `POST /v1/features`. */
export interface ServingResponse {
	request_id: string;
	/** By entity and feature: values, or with `include` a {@link DescribedValue} each. */
	features: Record<string, Record<string, FeatureValue>>;
	metadata: {
		serving_strategy: "batch_serving" | "real_time_serving" | "streaming_serving" | "hybrid_serving";
		/** Whether the engine met its SLO in the current window; updated about once a second. */
		sla_status: "compliant" | "violation" | "no_data";
		/** By `latency_ms`: under 10, 50 or 100, or above. */
		performance_tier: "excellent" | "good" | "acceptable" | "poor";
		consistency_level: "eventual" | "bounded" | "strong";
		timestamp?: string;
		/** The latency objective of the request's priority, and whether the response met it. */
		slo: { target_ms: number; met: boolean };
		entities: number;
		features: number;
	};
	latency_ms: number;
	/** Rows, one for each entity and view. */
	cache_stats: {
		l1_hits: number;
		l1_misses: number;
		l2_hits: number;
		l2_misses: number;
		l3_hits: number;
		l3_misses: number;
		compute_requests: number;
	};
	quality_metrics: {
		completeness: number;
		freshness_score: number;
		features_served: number;
		features_requested: number;
		error_rate: number;
	};
	/** By entity, why values are missing. Omitted if none is. */
	errors?: ServingFailure[];
}

/**
 * A line of {@link Engine.stream}: one for each entity, when it is complete, and a last one about
 * all of them.
 */
export type StreamedLine = StreamedEntity | StreamedSummary;

export interface StreamedEntity {
	/** The entity as in the request; an object for several columns. */
	entity: FeatureValue;
	/** By feature: values, or with `include` a {@link DescribedValue} each. */
	features: Record<string, FeatureValue>;
}

/** The response without its features, with the problem if some values are missing. */
export interface StreamedSummary extends Omit<ServingResponse, "features"> {
	entity?: never;
	features?: never;
	problem?: { type: string; title: string; status: number; detail?: string };
}

/** Options of a call. */
export interface CallOptions {
	/** Cancels the call with the signal's reason. Work that other calls wait for continues. */
	signal?: AbortSignal;
	/**
	 * Receives work that continues after the response, such as writes to stores, for hosts that
	 * would end it: `(p) => ctx.waitUntil(p)`.
	 */
	waitUntil?: (promise: Promise<unknown>) => void;
}

/** Options of a call that serves values. */
export interface ServeOptions extends CallOptions {
	/**
	 * What happens if the origin fails and some values are there: `serve` (the default) serves them,
	 * and `reject` rejects with an {@link OriginError}.
	 */
	partial?: "serve" | "reject";
}

export interface BytesOptions extends ServeOptions {
	/**
	 * The form of the body: a {@link ServingRequest} (`native`, the default), or a body of
	 * `/get-online-features` (`feast`).
	 */
	protocol?: "native" | "feast";
	/**
	 * The session, as `session_id` of a {@link ServingRequest}. Feast's body has no field for it.
	 */
	session?: string;
	/** Returns the headers too: `Cache-Status`, `Age` and `Server-Timing`. */
	headers?: boolean;
}

/** A response with its headers, whose names are in lower case. */
export interface BytesReply {
	body: Uint8Array;
	headers: [name: string, value: string][];
}

/** The element type of an array of numbers. */
export type NumberType = "float32" | "float64";

export interface ColumnsOptions extends ServeOptions {
	/** The type of single numbers; `float64` if omitted. */
	scalars?: NumberType;
	/** The type of the elements of vectors; `float64` if omitted. */
	vectors?: NumberType;
}

/** The values of one feature, in the order of the entities. */
export interface Column {
	/**
	 * Typed arrays of numbers, or of the concatenated elements of vectors of equal length, with NaN
	 * for missing values. Other values are a JavaScript array.
	 */
	values: Float64Array | Float32Array | FeatureValue[];
	/** The length of a vector; 0 if the values are not vectors. */
	dimension: number;
	/** An index into {@link STATUSES} for each value. */
	statuses: Uint8Array;
	/** The time since each value was fetched from the origin, in milliseconds; NaN if unknown. */
	agesMs: Float64Array;
}

/** A response in columns. */
export interface Columns {
	/** The number of entities, in the request's order. */
	rows: number;
	/** By feature, under the name of the request. */
	columns: Record<string, Column>;
}

/** What to invalidate: rows, all rows of a view, or everything. */
export type Invalidation = { view: string; entities?: EntityColumns } | { everything: true };

/** What was invalidated, by view: the number of rows, or `all`. */
export interface Invalidated {
	invalidated: "everything" | Record<string, number | "all">;
}

/** Values of rows by feature, one for each row; `null` is the value null. */
export type RowValues = Record<string, readonly FeatureValue[]>;

/** What to warm: rows to fetch if no tier has them, or rows with their values. */
export type WarmRequest = AskedEntities &
	(
		| (AskedFeatures & { values?: never; event_timestamps?: never })
		| {
				values: RowValues;
				/** The event time of each row. */
				event_timestamps?: readonly string[];
				feature_names?: never;
				feature_service?: never;
		  }
	);

/**
 * The result of a {@link WarmRequest}, in rows: entities times views. `rows` is the sum of the
 * counts after it.
 */
export interface Warmed {
	rows: number;
	/** Fetched from the origin. */
	fetched: number;
	/** Present in a tier. */
	fresh: number;
	/** Unknown to the origin. */
	not_found: number;
	/** Loaded with their values. */
	loaded: number;
	/** Not available. */
	failed: number;
	/** Not begun within `deadlines.warm_ms`. Warm them again. */
	remaining: number;
	origin_calls: number;
	/** What was written to each store. */
	stores: Record<"l2_distributed" | "l3_storage", { rows: number; failed: number; bytes: number }>;
}

/** The result of a write to a {@link Store}. */
export interface Written {
	/** The number of entries that were not written. */
	failed: number;
	/**
	 * Of these, the entries refused because their own keys are written too often. They do not count
	 * as failures of the store.
	 */
	rateLimited?: number;
	/**
	 * The end of an exhausted quota, in milliseconds since 1970. Until then, at most a day, nothing
	 * is written; reads continue.
	 */
	quotaResetsAt?: number;
	/** The host allows the present request no further calls. The next request continues. */
	isRequestSpent?: boolean;
	/** The reason of the first failed entry, for `onError`. */
	error?: unknown;
}

/** A store of bytes by key. An exception, a timeout or an invalid result counts as a miss. */
export interface Store {
	/**
	 * Returns the bytes of each key in order, or nothing for a missing one. At most 100 keys at a
	 * time. If the result is too large for one read, throw an error whose `isTooLarge` is `true`;
	 * the read is repeated in halves.
	 */
	getMany(keys: string[], options: { signal: AbortSignal }): Promise<(Uint8Array | ArrayBuffer | null | undefined)[]>;
	/**
	 * Keeps entries for `ttl` seconds. May resolve with the number of failed entries, or with a
	 * {@link Written}.
	 */
	setMany(
		entries: [key: string, value: Uint8Array][],
		options: { ttl: number; signal: AbortSignal },
		// biome-ignore lint/suspicious/noConfusingVoidType: most stores resolve with nothing
	): Promise<Written | number | void>;
	/**
	 * Declares that the store reveals no entity, neither by keys nor by values. `pseudonymize_keys`
	 * requires it (see `featheredge/sealed`).
	 */
	readonly pseudonymizesKeys?: boolean;
}

/** A computed column, with the status and event time of each value. */
export interface ComputedColumn {
	values: ArrayLike<unknown>;
	statuses?: ArrayLike<Status>;
	/** The event time of each value. */
	eventTimestamps?: ArrayLike<string | number | Date | null | undefined>;
}

/**
 * Computes features. `features` are the references of the request: `view:feature`, or `feature` of
 * the view `native.default_view`. The result has them, or the features' names alone, as keys. In it
 * `null` is a null and `undefined` an unknown entity. An omitted feature is not found.
 */
export type FeatureFunction = (
	// biome-ignore lint/suspicious/noExplicitAny: the values are whatever the caller's requests hold
	entities: Record<string, any[]>,
	features: string[],
	context: { signal: AbortSignal; service?: string },
) => ComputedColumns | Promise<ComputedColumns>;

export type ComputedColumns = Record<string, ArrayLike<unknown> | ComputedColumn>;

export interface OriginOptions {
	/** Headers of each request, such as `Authorization`. A function is called each time. */
	headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>);
	/** The timeout of one call, in milliseconds. */
	timeout?: number;
	/** Replaces the global `fetch`. */
	fetch?: typeof fetch;
}

export interface FeastOptions extends OriginOptions {
	/** Feast's registry server with its REST API, which provides the join keys of views. */
	registry?: { url: string; project?: string; ttl_seconds?: number };
}

/** An HTTP origin. */
export interface Origin {
	readonly url: string;
}

/** A Feast server, with all its paths. */
export function feastOrigin(url: string | URL, options?: FeastOptions): Origin;

/** One URL that answers `POST` requests as Feast's `/get-online-features` does. */
export function httpOrigin(url: string | URL, options?: OriginOptions): Origin;

/** The fields of every report. */
export interface Report {
	scope: "isolate" | "deployment";
	project: string;
	/** The time of the report, by RFC 3339. */
	at: string;
}

/** A predicted next request. */
export interface Prediction {
	features: string[];
	entities: EntityColumns;
	/**
	 * The kind of the prediction: the same entity in another request shape, the next entity, or
	 * features that are requested together.
	 */
	source: "same_entity" | "next_entity" | "related_features";
	/** What prefetch would do, and why. */
	decision: "prefetch" | "probe" | "below_min_precision" | "not_worth_cost" | "in_memory" | "unknown_view";
	/** The probability by the model. */
	probability: number;
	/** The share of the prefetched rows of this kind that were used. */
	precision: number;
}

/** The response of `GET /v1/predictions`: what prefetch would fetch after a request. */
export interface Predictions {
	/** By falling probability. */
	predictions: Prediction[];
	/** The precision below which a kind of prediction is not acted on. */
	min_precision: number;
	/** The latency of a request that misses a row. */
	miss_microseconds: number;
	/** The cost of fetching a row. */
	row_nanodollars: number;
	/** The value of a millisecond of saved latency. */
	latency_value_nanodollars_per_ms: number;
}

/** Figures by name; `docs/reference/metrics.md` lists them. */
export type Figures = Record<string, number>;

/** The response of `GET /v1/stats`: all figures. */
export interface Stats extends Report {
	window_seconds: number;
	/** What the latencies measure. */
	latency_clock: string;
	/** `telemetry.dashboard_url`, if it is set. */
	dashboard_url?: string;
	overall: Figures;
	routes: Record<string, Figures>;
	priorities: Record<string, Figures>;
	views: Record<string, Figures>;
	/** Entities and features in requests. */
	sizes: Figures;
	quality: Figures;
	view_quality: Record<string, Figures>;
	tiers: Record<"l1" | "l2" | "l3" | "origin", Figures>;
	latency_model: Figures;
	stores: Record<string, Figures>;
	cost: Figures;
	prefetch: Figures;
	isolate: Figures;
	/** `bytes`, `max_bytes` and `evicted` of each share of the memory; `all` is the total. */
	memory: Record<"all" | "rows" | "plans" | "prefetch" | "invalidations" | "records" | "pending", Figures>;
	/** The decisions of the optimizer, with their reasons. */
	optimizer: Record<string, unknown>;
}

/** The SLO of one series of requests. */
export interface SlaStatus {
	status: "no_data" | "compliant" | "violation";
	requests: number;
	/**
	 * `p50_compliant`, `current_p50`, `target_p50`, and the same of `p95`, `p99`, `availability`
	 * and `error_rate`.
	 */
	details: Record<string, number | boolean>;
}

/** The response of `GET /v1/sla`: whether the SLO is met. */
export interface SlaReport extends Report, SlaStatus {
	window_seconds: number;
	latency_clock: string;
	/** With fewer requests in the window, `status` opens no alert. */
	min_requests: number;
	routes: Record<string, SlaStatus>;
	priorities: Record<string, SlaStatus>;
	views: Record<string, SlaStatus>;
	/** The remaining share of the error budget. */
	error_budget_remaining: number;
	burn_rates: {
		long_window_seconds: number;
		short_window_seconds: number;
		rate: number;
		alerts_at: number;
		is_burning: boolean;
	}[];
}

/** An alert. */
export interface Alert {
	type: string;
	status: "open" | "resolved";
	/** The highest severity so far. */
	severity: "medium" | "high";
	/** The value that was measured last. */
	value: number;
	/** The threshold of `severity`. */
	threshold: number;
	/** The value of that severity that was the farthest from the threshold. */
	worst_value: number;
	/** When it was measured. */
	worst_at: string;
	opened_at: string;
	resolved_at?: string;
}

/** The response of `GET /v1/alerts`: open alerts, and resolved ones. */
export interface AlertsReport extends Report {
	open: Alert[];
	/** At most 100, the latest first. */
	resolved: Alert[];
}

export interface EngineOptions {
	/** The configuration, as `docs/reference/configuration.md` has it. */
	config?: Record<string, unknown>;
	/** The distributed store. None if omitted. */
	l2?: Store;
	/** A second, larger or slower store behind the first. */
	l3?: Store;
	/**
	 * The origin. If omitted, that of `config.origin`, or else the synthetic one, which computes
	 * features from their names.
	 */
	origin?: Origin | FeatureFunction;
	/**
	 * The clock, in milliseconds since 1970. If omitted, `Date.now`, held back from running
	 * backwards.
	 */
	clock?: () => number;
	/**
	 * The operator's token for `fetch`, sent as `Authorization: Bearer`. Without it nobody has the
	 * scope `admin` over HTTP.
	 */
	operatorToken?: string;
	/** The `Authorization` of requests to `alerts.webhook_url` and `telemetry.traces_url`. */
	authorizations?: { webhook?: string; traces?: string };
	/**
	 * The path before the API's paths, where `fetch` is mounted below the root, such as
	 * `/api/features`.
	 */
	basePath?: string;
	/**
	 * Receives failures of stores and of an origin's function as text without credentials: one line
	 * for each kind of failure in a minute, with what was thrown. `console.error` if omitted.
	 */
	onError?: (line: string, cause: unknown) => void;
	/** The wasm module, for hosts that must load it themselves. */
	wasm?: WebAssembly.Module | BufferSource | Promise<WebAssembly.Module | BufferSource>;
}

export interface Engine extends AsyncDisposable {
	/** Serves a request. */
	serve(request: ServingRequest, options?: ServeOptions): Promise<ServingResponse>;
	/**
	 * Serves a request from bytes to bytes, with values exactly as the origin wrote them.
	 * Synchronous if memory has all rows, else a promise.
	 */
	serveBytes(body: Uint8Array, options: BytesOptions & { headers: true }): BytesReply | Promise<BytesReply>;
	serveBytes(body: Uint8Array, options?: BytesOptions): Uint8Array | Promise<Uint8Array>;
	/** Serves a request in columns of numbers, without JSON. */
	columns(request: ServingRequest, options?: ColumnsOptions): Promise<Columns>;
	/**
	 * Serves a request entity by entity, each as soon as it is complete, with a last line about all
	 * of them. Backpressure: nothing more is begun until the lines have been read.
	 */
	stream(request: ServingRequest, options?: CallOptions): AsyncGenerator<StreamedLine, void, void>;
	/**
	 * Serves the HTTP API. Further arguments are the host's; one with `waitUntil` receives the work
	 * that continues after the response.
	 */
	fetch(request: Request, ...context: unknown[]): Promise<Response>;
	/**
	 * Fetches what a request needs into memory, for callers who know the next request. It has the
	 * lowest priority and is shed first.
	 */
	prefetch(request: ServingRequest, options?: CallOptions): Promise<void>;
	/**
	 * Explains what prefetch would fetch after a request. It fetches nothing and does not train the
	 * model.
	 */
	predictions(request: ServingRequest): Promise<Predictions>;
	/** Invalidates what was fetched before. */
	invalidate(what: Invalidation): Promise<Invalidated>;
	/**
	 * Loads rows into memory and stores ahead of requests, as `POST /v1/warm` does, and resolves
	 * when the stores have answered. Consecutive requests of one shape are processed together. All
	 * together have at most `limits.warm_rows` rows.
	 */
	warm(what: WarmRequest | Iterable<WarmRequest>, options?: CallOptions): Promise<Warmed>;
	/** All figures, as `GET /v1/stats` returns them. */
	stats(): Promise<Stats>;
	/** Whether the SLO is met, as `GET /v1/sla` returns it. */
	sla(): Promise<SlaReport>;
	/** Open and resolved alerts, as `GET /v1/alerts` returns them. */
	alerts(): Promise<AlertsReport>;
	/** All metrics in Prometheus' text format, as `GET /metrics` returns them. */
	metrics(): Promise<string>;
	/** Resolves if the origin can be reached, and rejects otherwise. */
	ready(): Promise<{ ready: true }>;
	/**
	 * Ends calls in progress with {@link ClosedError}, writes pending rows to the stores, and frees
	 * the memory.
	 */
	close(): Promise<void>;
}

/** Creates an engine with its own memory. */
export function createEngine(options?: EngineOptions): Promise<Engine>;

/** The names of statuses, by the numbers in {@link Column.statuses}. */
export const STATUSES: readonly ["INVALID", "PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"];

/** Any error of this package. */
export class FeatheredgeError extends Error {
	/** The error's name for programs. */
	readonly code: string;
}

/** The configuration or another option is invalid: `invalid-configuration`. */
export class ConfigError extends FeatheredgeError {}

/** The engine was closed: `closed`. */
export class ClosedError extends FeatheredgeError {}

/**
 * The core failed and was replaced. The next request is served by a new one with empty memory:
 * `internal`.
 */
export class FaultError extends FeatheredgeError {}

/**
 * An error response of the engine. `code` is the problem's type in `docs/reference/problems.md`,
 * without its prefix.
 */
export class ResponseError extends FeatheredgeError {
	/** The status and body that the HTTP API would have sent. */
	readonly status: number;
	readonly body: Uint8Array;
}

/**
 * The request is at fault: `malformed-json`, `invalid-field`, `over-limit` and others. An origin's
 * function may throw one for its caller, by `new RequestError(code, message, status)`. The message
 * and the status, 422 if omitted, reach callers.
 */
export class RequestError extends ResponseError {
	constructor(code: string, message: string, status?: number);
}

/**
 * The origin failed, and no tier had the values: `origin-error`, `origin-timeout` and others.
 * `cause` is what a function threw.
 */
export class OriginError extends ResponseError {}

/** The request was shed: `overloaded`. */
export class OverloadedError extends ResponseError {
	readonly retryAfterSeconds: number;
}
