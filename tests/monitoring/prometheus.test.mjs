// The figures as Prometheus reads them: promtool's checks, a real Prometheus that scrapes the Worker, the example's rules over what it
// scraped, and every name that the rules and the dashboard use.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { answerFeatures, ask, range } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";
import { fromRoot } from "../support/root.mjs";
import { until } from "../support/wait.mjs";
import { startWorker } from "../support/worker.mjs";
import { freePort } from "../support/workerd.mjs";

const PATIENCE_MS = 60_000;
const EXAMPLES = fromRoot("examples/monitoring");
const example = (name) => readFileSync(join(EXAMPLES, name), "utf8");
/** What Featheredge and Feast's server call their figures. */
const NAMES = /\b(?:featheredge|feast)_\w+/g;

let origin;
let worker;
let folder;
let prometheus;
let url;

/** Waits until `look` sees something; one that throws has seen nothing yet. */
const eventually = (what, look) =>
	until(() => look().catch(() => undefined), { what, withinMs: PATIENCE_MS, everyMs: 200 });

const query = async (expression) => {
	const reply = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`);
	return (await reply.json()).data.result;
};

function promtool(args, input) {
	const result = spawnSync("promtool", args, { input, encoding: "utf8" });
	if (result.error?.code === "ENOENT") throw new Error("promtool is missing: apt-get install prometheus");
	return result;
}

before(async () => {
	origin = await startOrigin(answerFeatures);
	worker = await startWorker({ origin, vars: { views: { stats: { join_keys: ["driver_id"] } } } });
	for (const round of range(3)) {
		await (await worker.post("/get-online-features", ask(["a", "b"], range(5, round)))).arrayBuffer();
	}
	await (
		await worker.post("/v1/features", { entity_ids: ["x"], feature_names: ["stats:a"], priority: "high" })
	).arrayBuffer();
	folder = mkdtempSync(join(tmpdir(), "featheredge-prometheus-"));
	const config = example("prometheus.yml")
		.replace("127.0.0.1:8787", `127.0.0.1:${worker.port}`)
		.replaceAll("30s", "1s");
	writeFileSync(join(folder, "prometheus.yml"), config);
	writeFileSync(join(folder, "rules.yml"), example("rules.yml"));
	const port = await freePort();
	url = `http://127.0.0.1:${port}`;
	prometheus = spawn(
		"prometheus",
		[
			`--config.file=${join(folder, "prometheus.yml")}`,
			`--storage.tsdb.path=${join(folder, "data")}`,
			`--web.listen-address=127.0.0.1:${port}`,
		],
		{ stdio: "ignore" },
	);
	prometheus.on("error", () => {});
});
after(async () => {
	prometheus?.kill("SIGKILL");
	await worker?.stop();
	await origin?.stop();
	if (folder) rmSync(folder, { recursive: true, force: true });
});

test("promtool finds nothing wrong with the figures", async () => {
	const text = await (await fetch(`${worker.url}/metrics`)).text();
	const result = promtool(["check", "metrics"], text);
	assert.equal(result.status, 0, result.stdout + result.stderr);
});

test("promtool finds nothing wrong with the rules, and with the configuration that the README names", () => {
	const readme = readFileSync(fromRoot("examples/monitoring/README.md"), "utf8");
	const [, config] = /^prometheus --config\.file=(\S+)$/m.exec(readme);
	for (const args of [
		["check", "rules", join(EXAMPLES, "rules.yml")],
		["check", "config", fromRoot(config)],
	]) {
		const result = promtool(args);
		assert.equal(result.status, 0, result.stdout + result.stderr);
	}
});

test("the jobs for a deployed Worker keep what only an isolate reports, and it alone", () => {
	const [, keep] = /^# +regex: (.+)$/m.exec(example("prometheus.yml"));
	const kept = new RegExp(`^${keep}$`);
	const metrics = readFileSync(fromRoot("docs/reference/metrics.md"), "utf8");
	const listed = [...metrics.matchAll(/^- `(featheredge_\w+)(?:\{\w+\})?` \((\w+)(, isolate)?\)/gm)];
	assert.ok(listed.length > 80);
	for (const [, name, , isolate] of listed) assert.equal(kept.test(name), isolate !== undefined, name);
});

test("a real Prometheus scrapes the Worker and evaluates the rules", async () => {
	const [requests] = await eventually("a scrape", async () => {
		const found = await query("featheredge_requests_total");
		return found.length > 0 && found;
	});
	assert.equal(requests.value[1], "4");
	const [up] = await query('up{job="featheredge"}');
	assert.equal(up.value[1], "1");
	for (const buckets of [
		'feast_feature_server_request_latency_seconds_bucket{endpoint="/get-online-features"}',
		"featheredge_request_duration_seconds_bucket",
		'featheredge_view_request_duration_seconds_bucket{view="stats"}',
		'featheredge_tier_operation_duration_seconds_bucket{tier="origin"}',
	]) {
		const [quantile] = await query(`histogram_quantile(0.5, ${buckets})`);
		assert.ok(Number(quantile.value[1]) >= 0, buckets);
	}
	const groups = await eventually("rules", async () => {
		const { data } = await (await fetch(`${url}/api/v1/rules`)).json();
		const [group] = data.groups;
		return group?.rules.every(({ health }) => health === "ok") && data.groups;
	});
	assert.ok(groups[0].rules.length >= 10);
});

test("every figure that the rules and the dashboard use exists", async () => {
	const text = await (await fetch(`${worker.url}/metrics`)).text();
	const known = new Set([...text.matchAll(/^(\w+)(?:\{| )/gm)].map(([, name]) => name));
	const dashboard = JSON.parse(example("dashboard.json"));
	const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
	assert.ok(expressions.length > 15);
	for (const [used] of [...expressions, example("rules.yml")].join("\n").matchAll(NAMES)) {
		assert.ok(known.has(used), `${used} is not among the figures`);
	}
});
