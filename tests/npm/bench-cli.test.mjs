// `featheredge bench` and its history as a person runs them: the built program, in a process of its own.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { paths } from "../support/root.mjs";

const folder = mkdtempSync(join(tmpdir(), "featheredge-bench-cli-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `bench` to its end, with a history of its own. */
const bench = (history, ...args) =>
	spawnSync(process.execPath, [join(paths.package, "cli/featheredge.js"), "bench", ...args], {
		cwd: folder,
		encoding: "utf8",
		env: { ...process.env, FEATHEREDGE_BENCH_HISTORY: join(folder, history) },
	});

const QUICK = ["--only", "popular_load", "--duration", "0.1", "--repeats", "1"];

test("a run is saved, and the history prints, names and removes it", () => {
	assert.equal(bench("saved", ...QUICK).status, 0);
	const list = () => JSON.parse(bench("saved", "history", "--json").stdout);
	const [{ id }] = list();
	assert.equal(bench("saved", "history", "name", id, "first").status, 0);
	assert.equal(bench("saved", "history", "baseline", id).status, 0);
	assert.equal(JSON.parse(bench("saved", "history", "show", id, "--json").stdout).name, "first");
	assert.equal(list()[0].is_baseline, true);
	assert.equal(bench("saved", "history", "remove", id).status, 0);
	assert.deepEqual(list(), []);
});

test("--no-history saves neither a run nor a rate search", () => {
	assert.equal(bench("none", ...QUICK, "--no-history").status, 0);
	// No rate keeps a median of 0.
	assert.equal(bench("none", "--only", "popular_load", "--find-rate", "--targets", "p50=0", "--no-history").status, 1);
	assert.equal(existsSync(join(folder, "none")), false);
});

test("a missed budget has an exit code of its own, and names the limit", () => {
	const budget = join(folder, "budget.json");
	writeFileSync(budget, JSON.stringify({ scenarios: { popular_load: { throughput: 1e9 } } }));
	const { status, stderr } = bench("budget", ...QUICK, "--budget", budget);
	assert.equal(status, 5, stderr);
	assert.match(stderr, /the budget was missed: popular_load: .*1,000,000,000/);
});

test("an unreachable server is an error, and unknown options are the caller's", () => {
	assert.equal(bench("bad", ...QUICK, "--url", "http://127.0.0.1:9").status, 1);
	assert.equal(bench("bad", "--only", "nothing").status, 2);
	assert.equal(bench("bad", "--stages", "5x:1").status, 2);
	assert.equal(bench("bad", "--targets", "p42=1").status, 2);
});
