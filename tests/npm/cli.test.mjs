// The command line as a person runs it: the built program, in a process of its own.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parquetWriteBuffer } from "hyparquet-writer";
import { Redis } from "ioredis";
import { createEngine } from "../../build/package/dist/node.js";
import { redisStore } from "../../build/package/dist/redis.js";
import { answerFeatures, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startProgram } from "../support/program.mjs";
import { startRedis } from "../support/redis.mjs";
import { paths } from "../support/root.mjs";
import { until } from "../support/wait.mjs";

const folder = mkdtempSync(join(tmpdir(), "featheredge-cli-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const start = (...args) =>
	startProgram(process.execPath, [join(paths.package, "cli/featheredge.js"), ...args.map(String)], {
		cwd: folder,
		env: { FEATHEREDGE_OPERATOR_TOKEN: "of-the-operator" },
	});

/** Runs a command to its end. */
async function run(...args) {
	const program = start(...args);
	const code = await program.ends(60_000);
	return { code, output: program.output(), json: () => JSON.parse(program.output()) };
}

const file = (name, contents) => {
	writeFileSync(join(folder, name), contents);
	return name;
};

test("get shows one request's answer as a table, and as JSON", async () => {
	const shown = await run("get", "-e", "a,b", "-f", "score,label");
	assert.equal(shown.code, 0, shown.output);
	assert.match(shown.output, /│ a +│ score +│ 0\.\d+ +│ PRESENT/);
	const printed = await run("get", "-e", 'driver_id="1001","1002"', "-f", "stats:score", "--json");
	assert.equal(Object.keys(printed.json().features).length, 2);
});

test("warm says by which columns a view is keyed, where the rows have others", async (t) => {
	const config = file("keyed.toml", '[views.stats]\njoin_keys = ["driver_id"]');
	const from = file("foreign.ndjson", '{"user_id":1,"rate":0.5}');
	const how = ["warm", "--from", from, "--view", "stats", "--keys", "user_id"];
	const program = start("serve", "--port", 0, "--config", config, "--json");
	t.after(() => program.stop());
	const [, url] = await program.prints(/"url":"([^"]+)"/);
	const sent = await run(...how, "--url", url);
	assert.equal(sent.code, 4, sent.output);
	assert.match(sent.output, /the entities have `user_id`; `stats` is keyed by `driver_id`/);
	const written = await run(...how, "--kv-bulk", "foreign", "--config", config);
	assert.equal(written.code, 2, written.output);
	assert.match(written.output, /`stats` is keyed by `driver_id` in the configuration, not by `user_id`/);
	assert.equal(existsSync(join(folder, "foreign-00000.json")), false);
});

test("exit codes tell usage, configuration, refusals and failures apart", async () => {
	const codes = async (...args) => (await run(...args)).code;
	assert.equal(await codes("get"), 2);
	assert.equal(await codes("nonsense"), 2);
	assert.equal(await codes("get", "-e", "a"), 2);
	assert.equal(await codes("--version"), 0);
	assert.equal(await codes("get", "-e", "a", "-f", "f", "--config", file("bad.toml", "[l2]\nttl = 1")), 3);
	assert.equal(await codes("get", "-e", "a", "-f", "f", "--origin", "http://127.0.0.1:9"), 4);
	assert.equal(await codes("get", "-e", "a", "-f", "f", "--url", "http://127.0.0.1:9"), 1);
	assert.equal(await codes("stats", "--url", "http://127.0.0.1:9"), 1);
	assert.equal(await codes("top", "--url", "http://127.0.0.1:9"), 1);
	assert.equal(await codes("serve", "--port", "65536"), 2);
	assert.equal(await codes("warm", "--from", "none.csv", "--view", "v", "--keys", "k", "--kv-bulk", "o"), 1);
	assert.equal(await codes("warm", "-e", "a", "--view", "v", "--fetch", "f", "--kv-bulk", "o"), 2);
});

test("with --json an error is JSON too", async () => {
	const { code, json } = await run("get", "-e", "a", "-f", "f", "--url", "http://127.0.0.1:9", "--json");
	assert.equal(code, 1);
	assert.equal(json().exit_code, 1);
	assert.match(json().error, /cannot reach/);
});

describe("with Redis", () => {
	let redis;
	before(async () => {
		redis = await startRedis();
	});
	after(async () => {
		await redis.stop();
		redis.remove();
	});
	const url = () => `redis://127.0.0.1:${redis.port}`;

	test("serve answers HTTP from Redis and the origin, until it is told to end", async (t) => {
		const origin = await startOrigin(answerFeatures);
		t.after(() => origin.stop());
		const body = JSON.stringify({ entities: { driver_id: [1, 2] }, feature_names: ["stats:rate"] });
		for (const asked of [1, 0]) {
			origin.reset();
			const program = start("serve", "--port", 0, "--origin", origin.url, "--redis", url(), "--json");
			const [, at] = await program.prints(/"url":"([^"]+)"/);
			const response = await fetch(`${at}/v1/features`, { method: "POST", body });
			assert.equal((await response.json()).features[1]["stats:rate"], "rate of 1");
			const got = await run("get", "--url", at, "-e", "driver_id=1", "-f", "stats:rate", "--json");
			assert.equal(got.json().features[1]["stats:rate"].value, "rate of 1");
			assert.equal(await program.stop(), 0);
			assert.equal(origin.requests.length, asked);
		}
	});

	test("stats and top show what a server measured", async (t) => {
		const program = start("serve", "--port", 0, "--json");
		t.after(() => program.stop());
		const [, at] = await program.prints(/"url":"([^"]+)"/);
		await run("get", "--url", at, "-e", "a", "-f", "score");
		const once = await run("stats", "--url", at);
		assert.equal(once.code, 0, once.output);
		assert.match(once.output, /│ origin +│ 1 +│ 0 /);
		const again = await run("top", "--url", at, "--interval", 1, "--count", 2, "--json");
		assert.equal(again.code, 0, again.output);
		const lines = again.output.trim().split("\n").map(JSON.parse);
		assert.equal(lines.length, 2);
		assert.equal(lines[1].stats.overall.requests, 1);
		assert.equal((await run("stats", "--url", at, "--scope", "deployment")).code, 4);
	});

	/** What an engine finds in the store, with an origin that knows nothing. */
	async function stored(ids, names, view = "stats") {
		const client = new Redis({ port: redis.port });
		const engine = await createEngine({
			l2: redisStore(client),
			origin: () => ({}),
			config: { views: { [view]: { join_keys: ["driver_id"] } } },
		});
		const feature_names = names.map((name) => `${view}:${name}`);
		const answer = await engine.serve({ entities: { driver_id: ids }, feature_names, include: ["event_timestamp"] });
		await engine.close();
		client.disconnect();
		assert.equal(answer.cache_stats.l2_hits, ids.length);
		return answer.features;
	}

	const rows = (count) =>
		range(count).map((number) => ({
			driver_id: 1_000 + number,
			rate: number / 7,
			name: `n"${number}`,
			vector: [number, 0.5],
			at: `2026-01-02T03:04:${String(number % 60).padStart(2, "0")}Z`,
		}));

	const WARM = ["--view", "stats", "--keys", "driver_id", "--event-time", "at", "--json"];

	test("warm fills the store from lines of JSON, and engines find the rows", async () => {
		await redis.call("FLUSHALL");
		const from = file(
			"rows.ndjson",
			rows(2_500)
				.map((row) => JSON.stringify(row))
				.join("\n"),
		);
		const { code, json, output } = await run("warm", "--from", from, "--redis", url(), ...WARM);
		assert.equal(code, 0, output);
		const summary = json();
		assert.equal(summary.rows, 2_500);
		assert.equal(summary.kv_dollars, 0.0125);
		assert.ok(summary.bytes > 100_000);
		assert.equal(await redis.call("DBSIZE"), 2_500);
		const found = await stored([1_000, 3_499], ["rate", "name", "vector"]);
		assert.deepEqual(found[3_499]["stats:rate"], { value: 2_499 / 7, event_timestamp: "2026-01-02T03:04:39Z" });
		assert.deepEqual(found[3_499]["stats:vector"].value, [2_499, 0.5]);
		assert.equal(found[1_000]["stats:name"].value, 'n"0');
	});

	test("warm reads CSV, where numbers are numbers unless they are said to be texts", async () => {
		await redis.call("FLUSHALL");
		const lines = ["driver_id,rate,code,at", "1001,0.5,0042,2026-01-02T03:04:05Z", '1002,,"7",2026-01-02T03:04:05Z'];
		const from = file("rows.csv", `${lines.join("\r\n")}\r\n`);
		const { code, output } = await run("warm", "--from", from, "--redis", url(), ...WARM, "--text", "code");
		assert.equal(code, 0, output);
		const found = await stored([1_001, 1_002], ["rate", "code"]);
		assert.deepEqual(
			[found[1_001]["stats:rate"].value, found[1_002]["stats:rate"].value, found[1_002]["stats:code"].value],
			[0.5, null, "7"],
		);
		assert.equal(found[1_001]["stats:code"].value, "0042");
	});

	test("warm reads Parquet", async () => {
		await redis.call("FLUSHALL");
		const data = rows(1_500);
		const buffer = parquetWriteBuffer({
			columnData: [
				{ name: "driver_id", data: data.map((row) => BigInt(row.driver_id)), type: "INT64" },
				{ name: "rate", data: data.map((row) => row.rate), type: "DOUBLE" },
				{ name: "at", data: data.map((row) => row.at), type: "STRING" },
			],
		});
		const from = file("rows.parquet", new Uint8Array(buffer));
		const { code, json, output } = await run("warm", "--from", from, "--redis", url(), ...WARM);
		assert.equal(code, 0, output);
		assert.equal(json().rows, 1_500);
		const found = await stored([2_499], ["rate"]);
		assert.equal(found[2_499]["stats:rate"].value, 1_499 / 7);
	});

	test("warm goes on where it was interrupted", async () => {
		await redis.call("FLUSHALL");
		const from = file(
			"long.ndjson",
			rows(3_000)
				.map((row) => JSON.stringify(row))
				.join("\n"),
		);
		const bad = `${readFileSync(join(folder, from), "utf8")}`.split("\n");
		// The 2,001st row is none, as after a disk that was full.
		file("long.ndjson", [...bad.slice(0, 2_000), "{", ...bad.slice(2_001)].join("\n"));
		const broken = await run("warm", "--from", from, "--redis", url(), ...WARM, "--batch", 500);
		assert.equal(broken.code, 1);
		assert.match(broken.output, /row 2001/);
		assert.ok(existsSync(join(folder, "long.ndjson.featheredge-warm")));
		// The same file by size and time goes on; so the test keeps both.
		const again = await run("warm", "--from", from, "--redis", url(), ...WARM, "--batch", 500);
		assert.equal(again.code, 1);
		assert.equal(await redis.call("DBSIZE"), 2_000);
		// What was written of other columns, or sealed by other keys, is no part of this run's.
		await redis.call("FLUSHALL");
		await run("warm", "--from", from, "--redis", url(), ...WARM, "--batch", 500);
		assert.equal(await redis.call("DBSIZE"), 0);
		await run("warm", "--from", from, "--redis", url(), ...WARM, "--batch", 500, "--features", "rate");
		assert.equal(await redis.call("DBSIZE"), 2_000);
		await redis.call("FLUSHALL");
		const whole = file("whole.ndjson", bad.join("\n"));
		const program = start("warm", "--from", whole, "--redis", url(), ...WARM, "--batch", 10);
		await until(() => existsSync(join(folder, "whole.ndjson.featheredge-warm")), { everyMs: 1 });
		const code = await program.stop("SIGINT");
		assert.equal(code, 130, program.output());
		const finished = await run("warm", "--from", whole, "--redis", url(), ...WARM, "--batch", 10);
		assert.equal(finished.code, 0, finished.output);
		assert.ok(finished.json().skipped > 0);
		assert.equal(finished.json().rows + finished.json().skipped, 3_000);
		assert.equal(await redis.call("DBSIZE"), 3_000);
		assert.equal(existsSync(join(folder, "whole.ndjson.featheredge-warm")), false);
	});

	test("warm sends rows to a server, in halves where it takes fewer, or lets it fetch them", async (t) => {
		await redis.call("FLUSHALL");
		const origin = await startOrigin(answerFeatures);
		t.after(() => origin.stop());
		const config = file("server.toml", '[limits]\nwarm_rows = 300\n[views.stats]\njoin_keys = ["driver_id"]');
		const program = start("serve", "--port", 0, "--origin", origin.url, "--redis", url(), "--config", config, "--json");
		t.after(() => program.stop());
		const [, at] = await program.prints(/"url":"([^"]+)"/);
		const lines = (all) => all.map((row) => JSON.stringify(row)).join("\n");
		const from = file("sent.ndjson", lines(rows(1_000)));
		const { code, json, output } = await run("warm", "--from", from, "--url", at, ...WARM);
		assert.equal(code, 0, output);
		const summary = json();
		assert.deepEqual([summary.rows, summary.loaded, summary.stored], [1_000, 1_000, 1_000]);
		assert.equal(await redis.call("DBSIZE"), 1_000);
		const found = await stored([1_000, 1_999], ["rate", "vector"]);
		assert.deepEqual(found[1_999]["stats:rate"], { value: 999 / 7, event_timestamp: "2026-01-02T03:04:39Z" });
		assert.equal(origin.requests.length, 0);

		const keys = file("keys.ndjson", lines(range(250).map((id) => ({ driver_id: id }))));
		const fetched = await run("warm", "--from", keys, "--url", at, ...WARM.slice(0, 4), "--fetch", "trips", "--json");
		assert.equal(fetched.code, 0, fetched.output);
		assert.deepEqual([fetched.json().rows, fetched.json().fetched], [250, 250]);
		assert.equal(origin.requests.length, 1);
	});

	test("warm takes entities in place of a file, and a store's rows from an origin", async (t) => {
		await redis.call("FLUSHALL");
		const origin = await startOrigin(answerFeatures);
		t.after(() => origin.stop());
		const how = [
			"warm",
			"-e",
			"driver_id=1,2",
			"-e",
			"driver_id=3",
			"--view",
			"stats",
			"--fetch",
			"rate,trips",
			"--json",
		];
		const stores = await run(...how, "--redis", url(), "--origin", origin.url);
		assert.equal(stores.code, 0, stores.output);
		assert.deepEqual([stores.json().rows, origin.requests.length], [3, 1]);
		assert.equal((await stored([1, 2, 3], ["rate", "trips"]))[3]["stats:rate"].value, "rate of 3");

		const config = file("entities.toml", '[views.stats]\njoin_keys = ["driver_id"]');
		const program = start("serve", "--port", 0, "--origin", origin.url, "--config", config, "--json");
		t.after(() => program.stop());
		const [, at] = await program.prints(/"url":"([^"]+)"/);
		const served = await run(...how, "--url", at);
		assert.equal(served.code, 0, served.output);
		assert.deepEqual([served.json().rows, served.json().fetched], [3, 3]);
	});

	test("warm into a store tells when the origin gave some rows and not others, and does not pass over them", async (t) => {
		let calls = 0;
		const origin = await startOrigin((request) => {
			calls += 1;
			return calls === 2 ? { status: 500, body: "{}" } : answerFeatures(request);
		});
		t.after(() => origin.stop());
		const from = file(
			"some.ndjson",
			range(1_000)
				.map((id) => JSON.stringify({ driver_id: id }))
				.join("\n"),
		);
		const config = file("parts.toml", "[routing]\nbatch_min_entities = 10\nbatch_min_features = 1");
		const how = ["--from", from, "--view", "stats", "--keys", "driver_id", "--fetch", "rate", "--config", config];
		const { code, output } = await run("warm", ...how, "--redis", url(), "--origin", origin.url);
		assert.equal(code, 1, output);
		assert.match(output, /did not return all rows/);
		assert.equal(existsSync(join(folder, "some.ndjson.featheredge-warm")), false, "it begins anew");
	});

	test("warm tells why a server refuses, and where rows can go", async (t) => {
		const from = file("refused.ndjson", '{"driver_id":1,"rate":1}\n');
		const program = startProgram(
			process.execPath,
			[join(paths.package, "cli/featheredge.js"), "serve", "--port", "0", "--json"],
			{ cwd: folder, env: { FEATHEREDGE_OPERATOR_TOKEN: "another" } },
		);
		t.after(() => program.stop());
		const [, at] = await program.prints(/"url":"([^"]+)"/);
		const refused = await run("warm", "--from", from, "--url", at, "--view", "stats", "--keys", "driver_id");
		assert.equal(refused.code, 4);
		assert.match(refused.output, /answered 403/);
		for (const more of [[], ["--redis", url(), "--url", at], ["--redis", url(), "--fetch", "rate"]]) {
			assert.equal((await run("warm", "--from", from, "--view", "stats", "--keys", "driver_id", ...more)).code, 2);
		}
	});

	test("warm names a column that is not there", async () => {
		const from = file("few.ndjson", '{"driver_id":1}\n');
		const { code, output } = await run("warm", "--from", from, "--redis", url(), "--view", "v", "--keys", "user_id");
		assert.equal(code, 2);
		assert.match(output, /no column `user_id`/);
	});
});

test("warm writes files for wrangler's bulk upload, in the Worker's form", async () => {
	const lines = range(12).map((number) => JSON.stringify({ user_id: number, score: number / 3 }));
	const from = file("kv.ndjson", lines.join("\n"));
	const { code, json, output } = await run(
		"warm",
		"--from",
		from,
		"--kv-bulk",
		"out.json",
		"--view",
		"v",
		"--keys",
		"user_id",
		"--batch",
		5,
		"--json",
	);
	assert.equal(code, 0, output);
	const pairs = json().files.flatMap((name) => JSON.parse(readFileSync(join(folder, name), "utf8")));
	assert.equal(pairs.length, 12);
	assert.ok(pairs.every(({ key, expiration_ttl: ttl }) => key.startsWith("features") && ttl === 3_600));
	const values = new Map(pairs.map(({ key, value }) => [key, Buffer.from(value, "base64")]));
	const engine = await createEngine({
		l2: { getMany: async (keys) => keys.map((key) => values.get(key)), setMany: async () => {} },
		origin: () => ({}),
		config: { views: { v: { join_keys: ["user_id"] } } },
	});
	const answer = await engine.serve({ entities: { user_id: [11] }, feature_names: ["v:score"] });
	await engine.close();
	assert.equal(answer.features[11]["v:score"], 11 / 3);
});

test("bench runs the scenarios and prints what it measured", async () => {
	const { code, json, output } = await run("bench", "--scale", "0.02", "--repeats", 1, "--json");
	assert.equal(code, 0, output);
	// The popular load beside the origin, and four scenarios cold and warm.
	assert.equal(json().scenarios.length, 2 + 4 * 2);
});

test("bench takes a scenario's figures from its options, and tells how a run differs from an earlier one", async () => {
	const how = ["bench", "--only", "mixed_workload", "--entities", 2, "--features", 3, "--concurrency", 4];
	const more = ["--requests", 200, "--warm-up", 10, "--popularity", "zipf:50:1.1", "--repeats", 3];
	const first = await run(...how, ...more, "--save", "run.json", "--json");
	assert.equal(first.code, 0, first.output);
	const [{ scenario, repeats }] = first.json().scenarios;
	assert.deepEqual(
		[scenario.entities_per_request, scenario.features_per_request, scenario.concurrency, scenario.request_count],
		[2, 3, 4, 200],
	);
	assert.deepEqual(scenario.popularity, { zipf: { population: 50, exponent: 1.1 } });
	assert.equal(repeats.length, 3);
	const second = await run(...how, ...more, "--compare", "run.json", "--json");
	assert.equal(second.code, 0, second.output);
	const [compared] = second.json().compared.scenarios;
	assert.equal(compared.is_same_scenario, true);
	assert.ok(compared.metrics.every(({ verdict }) => verdict !== "unknown"));
	const shown = await run(...how, ...more, "--compare", "run.json");
	assert.match(shown.output, /│ mixed_workload, warm +│ median_ms /);
});

test("bench fails where no request is answered, and tells why", async () => {
	const { code, output } = await run("bench", "--url", "http://127.0.0.1:9", "--scale", "0.01", "--repeats", 1);
	assert.equal(code, 1);
	assert.match(output, /127\.0\.0\.1:9 cannot be reached: the connection was refused|127\.0\.0\.1:9 cannot be reached/);
});

test("bench begins requests at a rate for a while", async () => {
	const how = ["bench", "--only", "low_latency_individual", "--rate", 500, "--duration", 0.4, "--repeats", 1, "--json"];
	const { code, json, output } = await run(...how);
	assert.equal(code, 0, output);
	const [{ scenario, summary }] = json().scenarios;
	assert.deepEqual([scenario.rate_per_second, scenario.duration_ms, scenario.request_count], [500, 400, undefined]);
	// On a machine that is busy some are begun after the end of the while, and are not counted.
	assert.ok(summary.succeeded > 20 && summary.succeeded <= 202, String(summary.succeeded));
});

test("bench says what is wrong with its options", async () => {
	file("other.json", '{"schema":"another"}');
	file("ids.json", '{"not":"ids"}');
	for (const wrong of [
		["--only", "nonsense"],
		["--popularity", "zipf:10"],
		["--popularity", "uniform:2", "--entities", 3],
		["--popularity", "ids.json"],
		["--rate", 0],
		["--compare", "other.json"],
	]) {
		const { code, output } = await run("bench", ...wrong);
		assert.equal(code, 2, `${wrong}: ${output}`);
	}
	assert.equal((await run("bench", "--compare", "nowhere.json")).code, 1);
});
