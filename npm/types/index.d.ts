/** Serves machine-learning features from memory, from a store, or from where they come from: one engine for every JavaScript host. */

/** A key of an entity. `bigint` carries whole numbers that a `number` does not hold. */
export type EntityKey = string | number | bigint;

/** Anything that JSON can hold: the value of a feature. */
export type FeatureValue = null | boolean | number | string | FeatureValue[] | { [key: string]: FeatureValue };

/** Entities by column, as in Feast's requests: all columns have the same length. */
export type EntityColumns = Record<string, readonly (EntityKey | boolean | null | FeatureValue)[]>;

/** Statuses of values, as Feast names them. */
export type Status = "INVALID" | "PRESENT" | "NULL_VALUE" | "NOT_FOUND" | "OUTSIDE_MAX_AGE";

/** Where a value came from. */
export type Tier = "l1_memory" | "l2_distributed" | "l3_storage" | "l4_compute";

/** What is told of each value beside itself. */
export type Include = "status" | "age" | "tier" | "event_timestamp";

/** What a request says beside what it asks for. */
export interface ServingOptions {
	/** Comes back in the answer; made up where it is left out. */
	request_id?: string;
	/** Comes back in the answer's `metadata`. */
	timestamp?: string;
	/** How much the caller insists on fresh values. */
	consistency_level?: "eventual" | "bounded" | "strong";
	/** How old a value may be; 300 where it is left out. */
	max_staleness_seconds?: number;
	/** Who goes first, and who is refused last. */
	priority?: "low" | "normal" | "high" | "critical";
	/** How long it may take. */
	deadline_ms?: number;
	/** Which requests belong together, so that what comes next can be learned and fetched ahead: any text that those of one user or session share. */
	session_id?: string;
	/** What is told of each value. */
	include?: readonly Include[];
}

/** Which entities are asked for: values of the column `native.entity_column`, or columns. */
export type AskedEntities =
	| { entity_ids: readonly EntityKey[]; entities?: never }
	| { entities: EntityColumns; entity_ids?: never };

/** Which features are asked for: by reference, `view:feature` or `feature`, or as a feature service. */
export type AskedFeatures =
	| { feature_names: readonly string[]; feature_service?: never }
	| { feature_service: string; feature_names?: never };

/** A request for features, as `POST /v1/features` takes it. */
export type ServingRequest = ServingOptions & AskedEntities & AskedFeatures;

/** A value with what was asked by `include`. */
export interface DescribedValue {
	value: FeatureValue;
	status?: Status;
	age_ms?: number;
	tier?: Tier;
	event_timestamp?: string;
}

/** An answer, as `POST /v1/features` gives it. */
export interface ServingResponse {
	request_id: string;
	/** By entity and feature: values, or with `include` each a {@link DescribedValue}. */
	features: Record<string, Record<string, FeatureValue>>;
	metadata: {
		serving_strategy: "batch_serving" | "real_time_serving" | "streaming_serving" | "hybrid_serving";
		/** Whether the engine kept its service level in the present window, as `sla()` last knew it. */
		sla_status: "compliant" | "violation" | "no_data";
		/** By `latency_ms`: under 10, 50, 100 ms, and above. */
		performance_tier: "excellent" | "good" | "acceptable" | "poor";
		consistency_level: "eventual" | "bounded" | "strong";
		timestamp?: string;
		/** The latency target of the request's priority, and whether this answer met it. */
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
}

/** What {@link Engine.stream} gives: a line for each entity as it becomes complete, and a last one about all of them. */
export type StreamedLine = StreamedEntity | StreamedSummary;

export interface StreamedEntity {
	/** The entity as the request has it; for several columns an object of them. */
	entity: FeatureValue;
	/** By feature: values, or with `include` each a {@link DescribedValue}. */
	features: Record<string, FeatureValue>;
}

/** The answer without its features, and what was wrong where some values could not be had. */
export interface StreamedSummary extends Omit<ServingResponse, "features"> {
	entity?: never;
	features?: never;
	problem?: { type: string; title: string; status: number; detail?: string };
}

/** How a call is made. */
export interface CallOptions {
	/** Ends the call for its caller, with the signal's reason; what others wait for goes on. */
	signal?: AbortSignal;
	/** Takes what goes on behind the answer, such as writes to stores, on hosts that would end it: `(p) => ctx.waitUntil(p)`. */
	waitUntil?: (promise: Promise<unknown>) => void;
}

export interface BytesOptions extends CallOptions {
	/** What the body is: a {@link ServingRequest} (`native`, the default), or a body of Feast's `/get-online-features` (`feast`). */
	protocol?: "native" | "feast";
	/** Which requests belong together, as `session_id` of a {@link ServingRequest} says it; Feast's body has no place for it. */
	session?: string;
	/** Whether the reply's headers are wanted too: `Cache-Status`, `Age` and `Server-Timing` say where it came from and what it took. */
	headers?: boolean;
}

/** A reply with its headers, whose names are in lower case. */
export interface BytesReply {
	body: Uint8Array;
	headers: [name: string, value: string][];
}

/** The type of an array of numbers. */
export type NumberType = "float32" | "float64";

export interface ColumnsOptions extends CallOptions {
	/** For numbers that stand alone; `float64` where it is left out. */
	scalars?: NumberType;
	/** For the elements of vectors; `float64` where it is left out. */
	vectors?: NumberType;
}

/** The values of one feature, entity by entity. */
export interface Column {
	/**
	 * Numbers, or vectors of equal length one behind the other, as typed arrays, in which NaN stands for what is missing; anything else
	 * as JavaScript has it.
	 */
	values: Float64Array | Float32Array | FeatureValue[];
	/** How many numbers a vector has; 0 where values are no vectors. */
	dimension: number;
	/** An index of {@link STATUSES} for each value. */
	statuses: Uint8Array;
	/** How long ago each was fetched from the origin, in milliseconds; NaN where nothing is known. */
	agesMs: Float64Array;
}

/** An answer in columns. */
export interface Columns {
	/** How many entities, in the request's order. */
	rows: number;
	/** By feature, as it was asked for. */
	columns: Record<string, Column>;
}

/** What is to be fetched again: rows, all rows of a view, or all. */
export type Invalidation = { view: string; entities?: EntityColumns } | { everything: true };

/** What was reached, by view: how many rows, or `all`. */
export interface Invalidated {
	invalidated: "everything" | Record<string, number | "all">;
}

/** Values of rows, by feature: one for each row, of which `null` is the value null. */
export type RowValues = Record<string, readonly FeatureValue[]>;

/** What is warmed: rows that are fetched where no tier has them, or rows that bring their values. */
export type WarmRequest = AskedEntities &
	(
		| (AskedFeatures & { values?: never; event_timestamps?: never })
		| {
				values: RowValues;
				/** When the event behind each row happened. */
				event_timestamps?: readonly string[];
				feature_names?: never;
				feature_service?: never;
		  }
	);

/** What became of the rows of a {@link WarmRequest}, entities times views; the counts behind `rows` add up to it. */
export interface Warmed {
	rows: number;
	/** The origin gave them. */
	fetched: number;
	/** Some tier had them. */
	fresh: number;
	/** The origin does not know them. */
	not_found: number;
	/** They brought their values. */
	loaded: number;
	/** They could not be had. */
	failed: number;
	/** They were not begun within `deadlines.warm_ms`: warm them again. */
	remaining: number;
	origin_calls: number;
	/** What was written to each store. */
	stores: Record<"l2_distributed" | "l3_storage", { rows: number; failed: number; bytes: number }>;
}

/** What became of a write to a {@link Store}. */
export interface Written {
	/** How many entries it did not take. */
	failed: number;
	/** How many of these are written too often by themselves: that says nothing of the store. */
	rateLimited?: number;
	/** Where a quota is used up, when it is new, in milliseconds since 1970: until then, a day at most, nothing is written, and all is read. */
	quotaResetsAt?: number;
	/** Whether the host lets the present request make no further call: the next one goes on. */
	isRequestSpent?: boolean;
	/** Why the first of the entries was not taken, for `onError`. */
	error?: unknown;
}

/** A store of bytes by key. What it throws, leaves unanswered or answers wrongly counts as a miss. */
export interface Store {
	/**
	 * For each key in order its bytes, or nothing. At most 100 keys at a time. Where what they hold is too much for one read, it throws an
	 * error whose `isTooLarge` is `true`, and is asked again by halves.
	 */
	getMany(keys: string[], options: { signal: AbortSignal }): Promise<(Uint8Array | ArrayBuffer | null | undefined)[]>;
	/** Keeps entries for `ttl` seconds. May resolve with how many it did not take, or with what became of them. */
	setMany(
		entries: [key: string, value: Uint8Array][],
		options: { ttl: number; signal: AbortSignal },
		// biome-ignore lint/suspicious/noConfusingVoidType: most stores resolve with nothing
	): Promise<Written | number | void>;
	/** Whether it shows nobody an entity, by its keys or by its values: `pseudonymize_keys` of the configuration wants that (see `featheredge/sealed`). */
	readonly hidesKeys?: boolean;
}

/** A column that a function has computed, with what is known of each value. */
export interface ComputedColumn {
	values: ArrayLike<unknown>;
	statuses?: ArrayLike<Status>;
	/** When the event behind each value happened. */
	eventTimestamps?: ArrayLike<string | number | Date | null | undefined>;
}

/**
 * Computes features. `features` are references as they were asked for: `view:feature`, or `feature` of the view `native.default_view`.
 * The result is keyed by these, or by the feature's name alone; in it `null` is a null and `undefined` an entity that is not known.
 * A feature that is left out is not found.
 */
export type FeatureFunction = (
	// biome-ignore lint/suspicious/noExplicitAny: the values are whatever the caller's requests hold
	entities: Record<string, any[]>,
	features: string[],
	context: { signal: AbortSignal; service?: string },
) => ComputedColumns | Promise<ComputedColumns>;

export type ComputedColumns = Record<string, ArrayLike<unknown> | ComputedColumn>;

export interface OriginOptions {
	/** Sent with each request, such as `Authorization`; a function is asked each time. */
	headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>);
	/** How long one call may take, in milliseconds. */
	timeout?: number;
	/** In place of the global `fetch`. */
	fetch?: typeof fetch;
}

export interface FeastOptions extends OriginOptions {
	/** Feast's registry server with its REST API, which tells how views are keyed. */
	registry?: { url: string; project?: string; ttl_seconds?: number };
}

/** An HTTP server that features come from. */
export interface Origin {
	readonly url: string;
}

/** A Feast server, with all its paths. */
export function feastOrigin(url: string | URL, options?: FeastOptions): Origin;

/** One URL that answers to `POST` as Feast's `/get-online-features` does. */
export function httpOrigin(url: string | URL, options?: OriginOptions): Origin;

/** What every report says of itself. */
export interface Report {
	scope: "isolate" | "deployment";
	project: string;
	/** When it was made, by RFC 3339. */
	at: string;
}

/** A request that will probably come next. */
export interface Prediction {
	features: string[];
	entities: EntityColumns;
	/** What says so: the same entity in another shape of request, the entity that comes next, or features that are asked for together. */
	source: "same_entity" | "next_entity" | "related_features";
	/** What would be done about it, and why. */
	decision: "prefetch" | "probe" | "below_min_precision" | "not_worth_cost" | "in_memory" | "unknown_view";
	/** How probable it is by what was learned. */
	probability: number;
	/** How many of the rows that were fetched by predictions of its kind were used. */
	precision: number;
}

/** What would be fetched ahead after a request, as `GET /v1/predictions` gives it. */
export interface Predictions {
	/** The most probable first. */
	predictions: Prediction[];
	/** Below it, predictions of a kind are left alone. */
	min_precision: number;
	/** How long a request waits that misses a row. */
	miss_microseconds: number;
	/** What it costs to fetch a row. */
	row_nanodollars: number;
	/** What it is worth to wait a millisecond less. */
	latency_value_nanodollars_per_ms: number;
}

/** Numbers by name; `docs/guide/monitoring.md` lists them. */
export type Figures = Record<string, number>;

/** What was measured, as `GET /v1/stats` gives it. */
export interface Stats extends Report {
	window_seconds: number;
	/** What the latencies cover. */
	latency_clock: string;
	overall: Figures;
	routes: Record<string, Figures>;
	priorities: Record<string, Figures>;
	views: Record<string, Figures>;
	/** The entities and the features that requests asked for. */
	sizes: Figures;
	quality: Figures;
	view_quality: Record<string, Figures>;
	tiers: Record<"l1" | "l2" | "l3" | "origin", Figures>;
	latency_model: Figures;
	stores: Record<string, Figures>;
	cost: Figures;
	prefetch: Figures;
	isolate: Figures;
	/** `bytes`, `max_bytes` and `evicted` of each share of the memory; `all` is the whole. */
	memory: Record<"all" | "rows" | "plans" | "prefetch" | "invalidations" | "records" | "pending", Figures>;
	/** What is decided by what was measured, and why. */
	optimizer: Record<string, unknown>;
}

/** How one series of requests stands. */
export interface SlaStatus {
	status: "no_data" | "compliant" | "violation";
	requests: number;
	/** `p50_compliant`, `current_p50`, `target_p50`, and the same of `p95`, `p99`, `availability` and `error_rate`. */
	details: Record<string, number | boolean>;
}

/** Whether the promise is kept, as `GET /v1/sla` gives it. */
export interface SlaReport extends Report, SlaStatus {
	window_seconds: number;
	latency_clock: string;
	routes: Record<string, SlaStatus>;
	priorities: Record<string, SlaStatus>;
	views: Record<string, SlaStatus>;
	/** What is left of the error budget, as a share. */
	error_budget_remaining: number;
	burn_rates: {
		long_window_seconds: number;
		short_window_seconds: number;
		rate: number;
		alerts_at: number;
		is_burning: boolean;
	}[];
}

/** Something that went wrong. */
export interface Alert {
	type: string;
	status: "open" | "resolved";
	severity: "medium" | "high";
	value: number;
	threshold: number;
	opened_at: string;
	resolved_at?: string;
}

/** What is wrong and what was, as `GET /v1/alerts` gives it. */
export interface AlertsReport extends Report {
	open: Alert[];
	/** At most 100, the latest first. */
	resolved: Alert[];
}

export interface EngineOptions {
	/** The table that docs/reference/configuration.md describes. */
	config?: Record<string, unknown>;
	/** The distributed store. Without one there is none. */
	l2?: Store;
	/** A second store behind the first: larger, slower, or one that keeps rows for longer. */
	l3?: Store;
	/** Where features come from; without one, and without `config.origin`, from the synthetic origin, which makes them up. */
	origin?: Origin | FeatureFunction;
	/** Milliseconds since 1970; where it is left out, `Date.now` as far as that never runs back. */
	clock?: () => number;
	/** What an operator shows to `fetch` as `Authorization: Bearer`; without one, no one may operate the engine over HTTP. */
	operatorToken?: string;
	/** What goes to the places that `alerts.webhook_url` and `telemetry.traces_url` name, as `Authorization`. */
	authorizations?: { webhook?: string; traces?: string };
	/** What stands before the API's paths where `fetch` is mounted below the root, such as `/api/features`. */
	basePath?: string;
	/** Told in words what stores fail with: one line for each kind of failure in a minute, without credentials. `console.error` without it. */
	onError?: (line: string) => void;
	/** The module, for hosts that must load it themselves. */
	wasm?: WebAssembly.Module | BufferSource | Promise<WebAssembly.Module | BufferSource>;
}

export interface Engine extends AsyncDisposable {
	/** Serves a request. */
	serve(request: ServingRequest, options?: CallOptions): Promise<ServingResponse>;
	/** Serves a request from bytes to bytes, values exactly as the origin wrote them: at once where memory has all of it, else by a promise. */
	serveBytes(body: Uint8Array, options: BytesOptions & { headers: true }): BytesReply | Promise<BytesReply>;
	serveBytes(body: Uint8Array, options?: BytesOptions): Uint8Array | Promise<Uint8Array>;
	/** Serves a request in columns of numbers, with no JSON in between. */
	columns(request: ServingRequest, options?: ColumnsOptions): Promise<Columns>;
	/**
	 * Serves a request entity by entity, each as soon as it is complete, and what is said of all of them last. Nothing more is begun until
	 * what is there has been read.
	 */
	stream(request: ServingRequest, options?: CallOptions): AsyncGenerator<StreamedLine, void, void>;
	/** Serves the HTTP API. Further arguments are the host's; one that has `waitUntil` is used for what goes on behind the answer. */
	fetch(request: Request, ...context: unknown[]): Promise<Response>;
	/**
	 * Brings what a request needs into memory ahead of it, for callers who know what comes next: it goes behind all others, and is the first
	 * to be refused under load.
	 */
	prefetch(request: ServingRequest, options?: CallOptions): Promise<void>;
	/** What would be fetched ahead after a request, and why. It asks for nothing and teaches nothing. */
	predictions(request: ServingRequest): Promise<Predictions>;
	/** Lets nothing be served any more that was fetched before. */
	invalidate(what: Invalidation): Promise<Invalidated>;
	/**
	 * Brings rows into memory and stores before anybody asks for them, as `POST /v1/warm` does; resolves when the stores have answered. Of
	 * several requests, those of one shape that follow each other are done together. All have at most `limits.warm_rows` rows.
	 */
	warm(what: WarmRequest | Iterable<WarmRequest>, options?: CallOptions): Promise<Warmed>;
	/** What was measured, as `GET /v1/stats` gives it. */
	stats(): Promise<Stats>;
	/** Whether the promise is kept, as `GET /v1/sla` gives it. */
	sla(): Promise<SlaReport>;
	/** What is wrong and what was, as `GET /v1/alerts` gives it. */
	alerts(): Promise<AlertsReport>;
	/** All figures in Prometheus' text format, as `GET /metrics` gives them. */
	metrics(): Promise<string>;
	/** Whether the origin can be reached; rejects where it cannot. */
	ready(): Promise<{ ready: true }>;
	/** Ends what is under way with {@link ClosedError}, writes what was put off, and frees the memory. */
	close(): Promise<void>;
}

/** Makes an engine, with a memory of its own. */
export function createEngine(options?: EngineOptions): Promise<Engine>;

/** The names of statuses, by the numbers that {@link Column.statuses} holds. */
export const STATUSES: readonly ["INVALID", "PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"];

/** Any error of this package. */
export class FeatheredgeError extends Error {
	/** Names the error for programs. */
	readonly code: string;
}

/** The configuration, or another option, cannot be used: `configuration`. */
export class ConfigError extends FeatheredgeError {}

/** The engine was closed: `closed`. */
export class ClosedError extends FeatheredgeError {}

/** The core met a fault and was replaced; the next request is served by a new one, whose memory is empty: `internal`. */
export class FaultError extends FeatheredgeError {}

/** The engine answered with an error. `code` is the problem's type in docs/reference/http-api.md, without its prefix. */
export class ResponseError extends FeatheredgeError {
	/** The status and body that the HTTP API would have sent. */
	readonly status: number;
	readonly body: Uint8Array;
}

/** The request is at fault: `malformed-json`, `invalid-field`, `over-limit`, and the like. */
export class RequestError extends ResponseError {}

/** The origin failed, and no tier could help: `origin-error`, `origin-timeout`, and the like. What a function threw is the `cause`. */
export class OriginError extends ResponseError {}

/** Too many requests wait: `overloaded`. */
export class OverloadedError extends ResponseError {
	readonly retryAfterSeconds: number;
}
