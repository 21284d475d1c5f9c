// `featheredge/benchmark`: scenarios, suites, targets, events, comparisons and budgets, from the packed package's own files.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
	BenchmarkError,
	createBenchmark,
	engineTarget,
	functionTarget,
	memoryStore,
	originTarget,
	summarySentence,
	syntheticOrigin,
	toCsv,
	toJson,
	toMarkdown,
	urlTarget,
} from "../../build/package/dist/benchmark-node.js";
import { createEngine } from "../../build/package/dist/node.js";

const SMALL = {
	...{ name: "small", request_count: 40, entities_per_request: 2, features_per_request: 3, concurrency: 4 },
};

let benchmark;
before(async () => {
	benchmark = await createBenchmark();
});

const isError = (code, message) => (error) => {
	assert.ok(error instanceof BenchmarkError, error.stack);
	assert.equal(error.code, code);
	assert.match(error.message, message);
	return true;
};

/** A server that responds by `answer`, and records requests. */
async function serverOf(t, answer) {
	const seen = [];
	const server = createServer(async (request, response) => {
		let body = "";
		for await (const part of request) body += part;
		seen.push({ path: request.url, headers: request.headers, body: JSON.parse(body || "null") });
		await answer(request, response, seen.length);
	});
	await once(server.listen(0, "127.0.0.1"), "listening");
	const url = `http://127.0.0.1:${server.address().port}`;
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	return { url, seen };
}

const NATIVE = JSON.stringify({
	features: {},
	cache_stats: { l1_hits: 2, l1_misses: 0, l2_hits: 0, l2_misses: 0, l3_hits: 0, l3_misses: 0, compute_requests: 0 },
	quality_metrics: { error_rate: 0 },
});
const json = (response, status, body) => response.writeHead(status, { "content-type": "application/json" }).end(body);

describe("scenarios", () => {
	test("the built-in ones come first, and a registered one is known by its name to this benchmark alone", async () => {
		const own = await createBenchmark();
		assert.equal(own.scenarios()[0].name, "popular_load");
		assert.equal(own.scenarios().length, 5);
		const complete = own.register(SMALL);
		assert.deepEqual([complete.timeout_ms, complete.popularity, complete.seed], [5_000, "sequential", 0]);
		assert.deepEqual(own.scenario("small"), complete);
		assert.throws(() => own.register(SMALL), isError("duplicate-scenario", /`small` already/));
		assert.throws(
			() => benchmark.scenario("small"),
			isError("unknown-scenario", /popular_load, low_latency_individual/),
		);
	});

	test("a composed scenario changes fields, drops those that are undefined, and is not registered", () => {
		const composed = benchmark.compose("stress_test", {
			...{ name: "ramp", request_count: undefined },
			stages: [{ duration_ms: 100, rate_per_second: 50 }],
		});
		assert.deepEqual([composed.name, composed.request_count, composed.concurrency], ["ramp", undefined, 100]);
		assert.throws(() => benchmark.scenario("ramp"), isError("unknown-scenario", /ramp/));
	});

	for (const [change, message] of [
		[{ concurrency: 0 }, /`concurrency` is 0/],
		[{ concurrency: "4" }, /`concurrency` is a text, not a whole number/],
		[{ concurency: 4 }, /`concurency` is not known/],
		[{ request_count: undefined }, /neither `request_count` nor `duration_ms`/],
		[{ stages: [{ duration_ms: 1, rate_per_second: 1 }] }, /leave `request_count`/],
		[{ popularity: { zipf: { population: 1, exponent: 1 } } }, /`population` is less than the 2 entities/],
	]) {
		test(`an invalid one is refused in plain words: ${JSON.stringify(change)}`, () => {
			assert.throws(() => benchmark.compose(SMALL, change), isError("invalid-scenario", message));
		});
	}
});

describe("a run", () => {
	test("measures cold and warm on the same caches, and straight at the same origin", async () => {
		let calls = 0;
		const computes = syntheticOrigin({ delay_ms: 2 });
		const origin = (...given) => {
			calls += 1;
			return computes(...given);
		};
		const run = await benchmark.run({
			suite: [{ scenario: SMALL, caches: ["warm", "cold"], served_by: ["featheredge", "origin"] }],
			...{ repeats: 2, target: engineTarget({ createEngine, origin, l2: memoryStore }), origin: originTarget(origin) },
			...{ name: "a name", notes: "a note", targets: { p50_ms: 0.001 } },
		});
		assert.deepEqual([run.schema, run.version, run.name, run.notes], ["featheredge-benchmark", 2, "a name", "a note"]);
		const [cold, warm, straight] = run.scenarios;
		assert.deepEqual(
			run.scenarios.map(({ caches, served_by, repeats }) => [caches, served_by, repeats.length]),
			[
				["cold", "featheredge", 2],
				["warm", "featheredge", 2],
				["cold", "origin", 2],
				["warm", "origin", 2],
			],
		);
		assert.deepEqual([cold.summary.model.hit_ratio, warm.summary.model.hit_ratio], [0, 1]);
		assert.equal(straight.summary.model.hit_ratio, null, "an origin has no tiers");
		assert.equal(warm.summary.origin_calls, 0);
		assert.ok(cold.summary.median_ms >= 1.5 && straight.summary.median_ms >= 1.5);
		assert.deepEqual([straight.summary.origin_calls, straight.summary.requests], [80, 80]);
		// Both checks call it once; nothing else is made up.
		assert.equal(calls, cold.summary.origin_calls + 2 * 80 + 2);
		const [p50] = cold.summary.verdicts;
		assert.deepEqual([p50.name, p50.is_met], ["p50_ms", false]);
		assert.match(p50.reason, /Every response came from the origin, which took [\d.]+ ms on average, waiting included/);
		assert.equal(cold.summary.l1.rows > 0 && cold.summary.l1.max_rows > 0, true);
	});

	test("reports its progress by events", async () => {
		const events = [];
		const scenario = { ...SMALL, request_count: undefined, duration_ms: 600 };
		await benchmark.run({
			suite: [scenario],
			target: functionTarget("sleeper", () => delay(5)),
			onEvent: (event) => events.push(event),
		});
		const types = events.map(({ type }) => type);
		assert.deepEqual([types[0], types[1], types.at(-1)], ["checked", "scenario-started", "scenario-ended"]);
		const shares = events.filter(({ type }) => type === "progress").map(({ share }) => share);
		assert.ok(shares.length >= 2 && shares.every((share, at) => at === 0 || share >= shares[at - 1]), `${shares}`);
		assert.equal(shares.at(-1), 1);
	});

	test("sends its patience as the deadline, and names what took more than 100 ms", async (t) => {
		let served = 0;
		const { url, seen } = await serverOf(t, async ({ url: path }, response) => {
			served += path === "/v1/features" ? 1 : 0;
			// The check is the first.
			if (served === 3) await delay(150);
			json(response, 200, NATIVE);
		});
		const run = await benchmark.run({
			suite: [{ ...SMALL, concurrency: 1, request_count: 5, timeout_ms: 4_000, priority: "high" }],
			target: urlTarget(url),
		});
		assert.deepEqual(
			[
				...new Set(
					seen
						.slice(1)
						.filter(({ body }) => body)
						.map(({ body }) => body.deadline_ms),
				),
			],
			[4_000],
		);
		const { slow, failed } = run.scenarios[0].summary;
		assert.equal(failed, 0);
		// A busy machine may be slow to others too.
		assert.ok(
			slow.slowest.some(({ number, latency_ms }) => number === 1 && latency_ms >= 150),
			JSON.stringify(slow),
		);
	});

	test("stops when the first requests all fail, and says why", async () => {
		let calls = 0;
		const target = functionTarget("breaks", async () => {
			calls += 1;
			if (calls > 1) throw Object.assign(new Error("no model is loaded"), { code: "no-model" });
		});
		const events = [];
		const run = await benchmark.run({
			suite: [{ ...SMALL, request_count: 10_000, warm_up_requests: 100 }, "mixed_workload"],
			...{ target, onEvent: (event) => events.push(event) },
		});
		assert.ok(calls < 100, `${calls} calls`);
		const [{ summary, repeats }, never] = run.scenarios;
		assert.equal(repeats[0].stopped, "all_failed");
		assert.deepEqual(summary.failures, [{ kind: "no-model", count: summary.failed, cause: "no model is loaded" }]);
		assert.deepEqual([summary.median_ms, summary.throughput], [null, null]);
		assert.equal(
			summary.verdicts.some(({ is_met }) => is_met === true),
			false,
		);
		assert.equal(never.repeats.length, 0);
		assert.match(events.find(({ type }) => type === "stopped").reason, /no-model \(no model is loaded\)/);
	});

	test("is cancelled at once, whatever is in flight", async (t) => {
		const { url } = await serverOf(t, (_, response, number) => number === 1 && json(response, 200, NATIVE));
		const controller = new AbortController();
		let begin;
		const begun = new Promise((resolve) => {
			begin = resolve;
		});
		const running = benchmark.run({
			...{ suite: [SMALL], target: urlTarget(url), signal: controller.signal },
			onEvent: ({ type }) => type === "scenario-started" && begin(),
		});
		await begun;
		const cancelledAt = performance.now();
		controller.abort(new Error("enough"));
		await assert.rejects(running, /enough/);
		assert.ok(performance.now() - cancelledAt < 1_000);
	});

	test("counts failures by kind and cause while a server goes away in the middle", async (t) => {
		const { url } = await serverOf(t, (request, response, number) => {
			if (number <= 10) json(response, 200, NATIVE);
			else request.socket.destroy();
		});
		const run = await benchmark.run({ suite: [{ ...SMALL, concurrency: 1 }], target: urlTarget(url) });
		const { succeeded, failures } = run.scenarios[0].summary;
		assert.ok(succeeded > 0);
		assert.deepEqual(
			failures.map(({ kind }) => kind),
			["unreachable"],
		);
		assert.match(failures[0].cause, /fetch failed/);
	});

	test("finds the highest rate that keeps the targets", async () => {
		// It takes some 400 requests a second, and 50 at once: it refuses what is more.
		let [room, at] = [50, performance.now()];
		const target = functionTarget("limited", () => {
			const now = performance.now();
			[room, at] = [Math.min(50, room + (now - at) * 0.4) - 1, now];
			if (room < 0) throw new Error("too many");
		});
		const patient = { p50_ms: 10_000, p95_ms: 10_000, p99_ms: 10_000 };
		const {
			rate_per_second: rate,
			is_limited_by_max: isLimited,
			steps,
			run,
		} = await benchmark.findHighestRate({
			...{ scenario: SMALL, target, targets: patient, min_rate: 50, max_rate: 6_400, step_ms: 300 },
		});
		assert.ok(rate >= 50 && rate < 1_000, `${rate}`);
		assert.equal(isLimited, false);
		assert.ok(steps.some(({ missed }) => missed.includes("error_rate")));
		assert.equal(run.scenarios.length, steps.length);
	});
});

describe("a target is checked before it is measured", () => {
	const measure = (target) => benchmark.run({ suite: [SMALL], target });
	const html = (response) => response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><h1>Hi</h1>");

	for (const url of [
		"ftp://127.0.0.1/",
		"javascript:alert(1)",
		"not a url",
		"http://user:pass@127.0.0.1/",
		"data:,x",
	]) {
		test(`${url} is no URL that can be measured`, () => {
			assert.throws(() => urlTarget(url), isError("invalid-url", /Write a URL|Write one such|Give a token/));
		});
	}

	test("a dead host", () =>
		assert.rejects(measure(urlTarget("http://127.0.0.1:9")), isError("unreachable", /127.0.0.1:9 cannot be reached/)));

	for (const [name, answer, code, message] of [
		["a wrong token", (response) => json(response, 401, "{}"), "unauthorized", /does not accept the token/],
		["a token without the scope", (response) => json(response, 403, "{}"), "forbidden", /scope `read`/],
		["a web page", html, "not-featheredge", /responded with a web page/],
		["another API", (response) => json(response, 200, "[]"), "not-featheredge", /is not Featheredge/],
		["no such path", (response) => json(response, 404, "{}"), "not-featheredge", /has no \/v1\/features/],
		[
			"a redirect",
			(response) => response.writeHead(302, { location: "/x" }).end(),
			"not-featheredge",
			/redirects elsewhere/,
		],
		[
			"a server that is down",
			(response) => json(response, 503, '{"detail":"the origin is down"}'),
			"failed",
			/503: the origin is down/,
		],
	]) {
		test(name, async (t) => {
			const { url, seen } = await serverOf(t, (_, response) => answer(response));
			await assert.rejects(measure(urlTarget(url, { token: "secret-token" })), (error) => {
				assert.doesNotMatch(JSON.stringify(error, Object.getOwnPropertyNames(error)), /secret-token/);
				return isError(code, message)(error);
			});
			assert.equal(seen.length, 1, "nothing else was sent");
		});
	}

	test("a token that a server repeats stands in no error and in no result", async (t) => {
		const echo = ({ headers }, response) =>
			json(response, 401, JSON.stringify({ detail: `\u001b[2J no: ${headers.authorization}` }));
		const { url } = await serverOf(t, (request, response, number) =>
			number === 1 ? json(response, 200, NATIVE) : echo(request, response),
		);
		const run = await benchmark.run({ suite: [SMALL], target: urlTarget(url, { token: "secret-token" }) });
		const { cause } = run.scenarios[0].summary.failures[0];
		assert.ok(!toJson(run).includes("secret-token") && !cause.includes("\u001b"));
		assert.match(cause, /no: Bearer \*\*\*/);
		const { url: failing } = await serverOf(t, ({ headers }, response) =>
			json(response, 500, JSON.stringify({ detail: `\u001b[2J ${headers.authorization}` })),
		);
		await assert.rejects(
			measure(urlTarget(failing, { token: "secret-token" })),
			isError("failed", /500: \[2J Bearer \*\*\*/),
		);
	});

	test("a body without end takes no memory, and a request that hangs ends by its timeout", async (t) => {
		const chunk = Buffer.alloc(1 << 20);
		let number = 0;
		const { url } = await serverOf(t, ({ url: path }, response) => {
			number += path === "/v1/features" ? 1 : 0;
			if (number === 1) return json(response, 200, NATIVE);
			if (number % 2) return undefined;
			const write = () => {
				while (!response.destroyed && response.write(chunk));
				response.once("drain", write);
			};
			return write();
		});
		const before = process.memoryUsage().rss;
		const scenario = { ...SMALL, request_count: 6, concurrency: 6, timeout_ms: 500 };
		const run = await benchmark.run({ suite: [scenario], target: urlTarget(url) });
		assert.equal(run.scenarios[0].summary.failed, 6);
		assert.ok(run.scenarios[0].summary.failures.every(({ kind }) => /timeout|body-too-large/.test(kind)));
		assert.ok(process.memoryUsage().rss - before < 300 << 20);
	});

	test("without a token, one is asked for", async (t) => {
		const { url } = await serverOf(t, (_, response) => json(response, 401, "{}"));
		await assert.rejects(measure(urlTarget(url)), isError("unauthorized", /needs a bearer token/));
	});

	test("an engine whose origin is broken", () => {
		const origin = () => {
			throw new Error("no database");
		};
		return assert.rejects(measure(engineTarget({ createEngine, origin })), isError("failed", /no database/));
	});
});

describe("an export", () => {
	let run;
	before(async () => {
		const origin = syntheticOrigin({ delay_ms: 1 });
		run = await benchmark.run({
			suite: [
				{
					scenario: benchmark.compose("popular_load", { scale: 0.1 }),
					caches: ["warm"],
					served_by: ["featheredge", "origin"],
				},
			],
			...{ repeats: 3, target: engineTarget({ createEngine, origin }), origin: originTarget(origin), name: "=1+1|x" },
		});
	});

	test("is read again, and says in one sentence what was gained", () => {
		assert.deepEqual(benchmark.parse(toJson(run)), run);
		assert.match(
			summarySentence(run),
			/^[\d.]+ (µs|ms) instead of [\d.]+ (µs|ms); [\d.]+ % fewer calls to the origin; \$[\d.]+ (saved|more) per million requests$/,
		);
		assert.equal(summarySentence({ ...run, scenarios: run.scenarios.slice(0, 1) }), undefined);
	});

	test("is CSV that no spreadsheet runs, and a Markdown table", () => {
		const lines = toCsv(run).trimEnd().split("\r\n");
		assert.equal(lines.length, 3);
		assert.ok(lines.every((line) => line.split(",").length >= 16));
		const named = toCsv({ ...run, id: '=cmd|"x"' });
		assert.match(named, /"'=cmd\|""x"""/);
		const markdown = toMarkdown(run);
		assert.match(markdown, /^## =1\+1\\\|x/);
		assert.match(markdown, /\| popular_load \| warm \| origin \|/);
	});

	test("is bounded before memory is taken", () => {
		assert.throws(() => benchmark.parse("x".repeat(9 << 20)), isError("invalid-run", /more than 8 MiB/));
		assert.throws(() => benchmark.parse("{"), isError("invalid-run", /no JSON/));
		const many = { ...run, scenarios: Array(100_000).fill({ ...run.scenarios[0], repeats: [{}, {}] }) };
		assert.throws(() => benchmark.parse(many), isError("invalid-run", /200000 repetitions, and at most 1000/));
		const none = { ...run, scenarios: Array(65).fill({ ...run.scenarios[0], repeats: [] }) };
		assert.throws(() => benchmark.parse(none), isError("invalid-run", /`scenarios`: more than 64 elements/));
	});

	test("that is wrong anywhere is refused in plain words, or read", () => {
		const places = [];
		const walk = (value, path) => {
			places.push(path);
			if (typeof value === "object" && value !== null) {
				for (const key of Object.keys(value).slice(0, 30)) walk(value[key], [...path, key]);
			}
		};
		walk({ ...run, scenarios: run.scenarios.slice(0, 1) }, []);
		const hostile = [null, undefined, true, -1, 1.5, Number.NaN, 1e308, 2 ** 53, "", "x", [], {}, [[]], () => 1, 10n];
		for (const [index, path] of places.entries()) {
			const copy = structuredClone({ ...run, scenarios: run.scenarios.slice(0, 1) });
			const value = hostile[index % hostile.length];
			if (path.length === 0) continue;
			const parent = path.slice(0, -1).reduce((inner, key) => inner[key], copy);
			parent[path.at(-1)] = value;
			try {
				benchmark.parse(copy);
			} catch (error) {
				assert.ok(error instanceof BenchmarkError, `${path}: ${error.stack}`);
				assert.doesNotMatch(error.message, /invalid type|missing field|JsValue|struct |u64/, path.join("."));
			}
		}
		assert.ok(places.length > 200, "the generator reached the fields");
		// The module still works.
		assert.equal(benchmark.parse(toJson(run)).id, run.id);
	});

	test("is compared with a baseline in percent", () => {
		const slower = structuredClone(run);
		slower.id = "slower";
		slower.environment.host = "another";
		const { scenarios, settings, verdict } = benchmark.compare(run, slower);
		assert.equal(verdict, "noise");
		assert.deepEqual(settings, [{ name: "host", baseline: run.environment.host, current: "another" }]);
		assert.deepEqual(
			scenarios.map(({ caches, served_by, is_same_scenario }) => [caches, served_by, is_same_scenario]),
			[
				["warm", "featheredge", true],
				["warm", "origin", true],
			],
		);
		assert.ok(scenarios[0].metrics.every(({ change }) => change === 0 || change === null));
	});
});

describe("a budget", () => {
	const summary = (values) => ({
		...{ median_ms: 1, p95_ms: 2, p99_ms: 3, p999_ms: 4, error_rate: 0, throughput: 1_000, model: { hit_ratio: 0.97 } },
		...values,
	});
	const runOf = (values, caches = "warm") => ({
		scenarios: [{ scenario: { name: "load" }, caches, served_by: "featheredge", summary: summary(values) }],
	});
	const check = (limits, values, baseline) =>
		benchmark.checkBudget(runOf(values), { scenarios: { load: limits } }, baseline && runOf(baseline));

	test("has maxima and minima", () => {
		assert.equal(check({ p99_ms: 3, hit_ratio: 0.97, throughput: 1_000, error_rate: 0 }).is_met, true);
		const { is_met, checks } = check({ p99_ms: 2.9, hit_ratio: 0.98, throughput: 1_001 });
		assert.equal(is_met, false);
		assert.deepEqual(
			checks.map(({ is_met }) => is_met),
			[false, false, false],
		);
		assert.match(checks[0].words, /p99_ms 3 ms, at most 2.9 ms/);
	});

	test("is missed by what was not measured", () => {
		assert.equal(check({ p99_ms: 1_000 }, { p99_ms: null }).is_met, false);
	});

	test("bounds the change since a baseline, for the worse alone", () => {
		const against = { against_baseline: { throughput: -0.1, p99_ms: 0.2 } };
		assert.equal(check(against, { throughput: 900, p99_ms: 3.6 }, {}).is_met, true);
		assert.equal(check(against, { throughput: 5_000, p99_ms: 0.1 }, {}).is_met, true);
		const { checks } = check(against, { throughput: 890, p99_ms: 3.7 }, {});
		assert.deepEqual(
			checks.map(({ name, is_met }) => [name, is_met]),
			[
				["against_baseline.throughput", false],
				["against_baseline.p99_ms", false],
			],
		);
	});

	for (const [budget, message] of [
		[{}, /an object with `scenarios`/],
		[{ scenarios: {} }, /has no scenario: it would be met by anything/],
		[{ scenarios: { load: {} } }, /`scenarios.load` has no limit/],
		[{ scenarios: { load: { p99: 1 } } }, /`scenarios.load.p99` is not known: the limits are median_ms/],
		[{ scenarios: { load: { p99_ms: "5" } } }, /`scenarios.load.p99_ms` is no number/],
		[{ scenarios: { laod: { p99_ms: 5 } } }, /the run has no scenario `laod`/],
		[{ scenarios: { load: { against_baseline: { p99_ms: 0.1 } } } }, /needs a baseline/],
		[{ scenarios: { load: { caches: "hot" } } }, /neither "cold" nor "warm"/],
	]) {
		test(`that is wrong is refused: ${JSON.stringify(budget)}`, () => {
			assert.throws(() => benchmark.checkBudget(runOf({}), budget), isError("invalid-budget", message));
		});
	}
});
