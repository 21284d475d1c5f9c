// A history in a file: what is kept, in which order, and what a torn or hostile file costs. The one in IndexedDB is tested in the page.

import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { BenchmarkError, fileHistory } from "../../build/package/dist/benchmark-node.js";

const folder = mkdtempSync(join(tmpdir(), "featheredge-history-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const path = () => join(folder, `deep/${++files}/history.jsonl`);

const run = (id, more = {}) => ({ id, started_at: "2026-01-01T00:00:00.000Z", scenarios: [], ...more });
const ids = (runs) => runs.map(({ id }) => id);

test("runs are listed by when they were saved, newest first, up to a limit", async () => {
	const history = fileHistory(path());
	assert.deepEqual(await history.history(), []);
	for (const id of ["a", "b", "c"]) await history.save(run(id));
	assert.deepEqual(ids(await history.history()), ["c", "b", "a"]);
	assert.deepEqual(ids(await history.history(2)), ["c", "b"]);
	await history.save(run("a", { name: "again" }));
	assert.deepEqual(ids(await history.history()), ["a", "c", "b"]);
	assert.equal((await history.get("a")).name, "again");
	assert.equal(await history.get("none"), undefined);
	await history.remove("c");
	assert.deepEqual(ids(await history.history()), ["a", "b"]);
	await assert.rejects(history.history(-1), BenchmarkError);
});

test("the hundred saved last are kept, an old run that is imported among them, and the baseline", async () => {
	const history = fileHistory(path());
	await history.save(run("base"));
	await history.update("base", { is_baseline: true });
	for (let number = 0; number < 105; number += 1) await history.save(run(`r${number}`));
	await history.save(run("old", { started_at: "2001-01-01T00:00:00.000Z" }));
	const kept = ids(await history.history());
	assert.deepEqual([kept[0], kept.length], ["old", 100]);
	assert.ok(!kept.includes("r0"));
	assert.equal((await history.baseline()).id, "base");
	// Names do not change what is old.
	await history.update("r104", { name: "a name", notes: "a note", is_baseline: true });
	const baseline = await history.baseline();
	assert.deepEqual(
		[baseline.id, baseline.name, baseline.notes, baseline.is_baseline],
		["r104", "a name", "a note", true],
	);
	assert.equal((await history.get("base"))?.is_baseline, undefined);
	await assert.rejects(history.update("none", {}), (error) => error.code === "unknown-run");
});

test("two histories of one file lose nothing of each other's", async () => {
	const file = path();
	const [one, other] = [fileHistory(file), fileHistory(file)];
	for (let number = 0; number < 400; number += 1) await one.save(run("same", { notes: String(number) }));
	await Promise.all(Array.from({ length: 40 }, (_, number) => (number % 2 ? one : other).save(run(`p${number}`))));
	assert.equal((await one.history()).length, 41);
	assert.ok(readFileSync(file, "utf8").split("\n").length < 350, "the file was written anew");
});

test("a torn or hostile line is skipped, and the others stay", async () => {
	const file = path();
	const history = fileHistory(file);
	await history.save(run("a"));
	const hostile = [
		"{",
		"null",
		"[]",
		'"x"',
		'{"id":1}',
		'{"id":"x","saved_at":1e999,"run":{"id":"x","scenarios":[]}}',
		"\u0000",
	];
	appendFileSync(file, `${hostile.join("\n")}\n{"id":"torn","saved_at":1,"run":{"id":"to`);
	await history.save(run("b"));
	assert.deepEqual(ids(await history.history()), ["b", "a"]);
});

test("only a run is saved, in a file of its owner", async () => {
	const file = path();
	const history = fileHistory(file);
	for (const wrong of [{}, run("../x"), { id: "a" }, run(7)]) {
		await assert.rejects(
			async () => history.save(wrong),
			(error) => error.code === "invalid-run",
		);
	}
	await history.save(run("a"));
	assert.equal(statSync(file).mode & 0o077, 0);
	writeFileSync(file, "");
	assert.deepEqual(await history.history(), []);
});
