// The error messages of stores, for the operator.

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../support/wait.mjs";
import { engineFor, namingOrigin, TestStore } from "./harness.mjs";

/** An engine whose store fails with these errors, the lines that it tells, and a way to ask it for a row that nobody has. */
async function failing(t, { read, write, ...store }) {
	const lines = [];
	const world = { now: 1_800_000_000_000, lines };
	const l2 = {
		async getMany(keys) {
			const error = read?.();
			if (error) throw error;
			return keys.map(() => undefined);
		},
		async setMany() {
			if (write) throw write();
		},
		...store,
	};
	const engine = await engineFor(t, {
		l2,
		origin: namingOrigin(),
		clock: () => world.now,
		onError: (line) => lines.push(line),
		config: { breaker: { enabled: false } },
	});
	let id = 0;
	world.ask = async () => {
		id += 1;
		const { features } = await engine.serve({ entity_ids: [`e${id}`], feature_names: ["score"] });
		assert.equal(features[`e${id}`].score, `score of e${id}`);
	};
	return world;
}

test("an error is told once in a minute, with how often it came since", async (t) => {
	let count = 0;
	const world = await failing(t, { read: () => new Error(`connection ${count++} is gone`) });
	for (let round = 0; round < 5; round++) await world.ask();
	assert.deepEqual(world.lines, ["featheredge: reading from l2_distributed failed: connection 0 is gone"]);
	world.now += 60_000;
	await world.ask();
	assert.equal(world.lines.length, 2);
	const [, number, times] = /connection (\d+) is gone \(repeated (\d+) times since this was last logged\)$/.exec(
		world.lines[1],
	);
	assert.ok(number >= 5);
	assert.equal(Number(times), number - 1, "each of them counts");
});

test("errors of reading and of writing are told apart, and so are different ones", async (t) => {
	let isReadable = false;
	let text = "full";
	const world = await failing(t, { read: () => !isReadable && new Error("slow"), write: () => new Error(text) });
	await world.ask();
	isReadable = true;
	for (text of ["full", "full", "fuller"]) {
		const { length } = world.lines;
		await world.ask();
		if (text !== "full" || length === 1) await until(() => world.lines.length > length);
	}
	assert.deepEqual(
		world.lines.map((line) => line.replace("featheredge: ", "")),
		[
			"reading from l2_distributed failed: slow",
			"writing to l2_distributed failed: full",
			"writing to l2_distributed failed: fuller",
		],
	);
});

test("the reason why a store did not take entries is logged", async (t) => {
	const world = await failing(t, { setMany: async () => ({ failed: 1, error: new Error("OOM") }) });
	await world.ask();
	await until(() => world.lines.length === 1);
	assert.deepEqual(world.lines, ["featheredge: writing to l2_distributed failed: OOM"]);
});

test("a store that is late, or answers something else, is told of", async (t) => {
	for (const [fault, told] of [
		["hang", /no response within \d+ ms/],
		["short", /the store returned no list of 1 values/],
	]) {
		const store = new TestStore();
		store.fault = fault;
		const world = await failing(t, { getMany: (...args) => store.getMany(...args) });
		await world.ask();
		assert.match(world.lines[0], told);
	}
});

test("whatever is thrown, and whatever the log throws, the request is answered and the engine ends", async (t) => {
	const nothing = Object.create(null);
	const throwing = () => {
		throw nothing;
	};
	for (const l2 of [
		{ getMany: throwing, setMany: async () => {} },
		{ getMany: async (keys) => keys.map(() => undefined), setMany: async () => ({ failed: 1, error: nothing }) },
	]) {
		for (const onError of [() => {}, throwing]) {
			const engine = await engineFor(t, { l2, onError, origin: namingOrigin() });
			const { features } = await engine.serve({ entity_ids: ["e1"], feature_names: ["a"] });
			assert.equal(features.e1.a, "a of e1");
			await engine.close();
		}
	}
	const engine = await engineFor(t, { origin: throwing });
	await assert.rejects(engine.serve({ entity_ids: ["e1"], feature_names: ["a"] }));
	await engine.close();
});

test("no line tells credentials, breaks, or grows without bound", async (t) => {
	const world = await failing(t, {
		read: () =>
			new Error(
				`redis://user:hunter2@cache:6379 failed\nAuthorization: Bearer hunter2 password=hunter2 {"token":"hunter2"}\u001b[31m${"x".repeat(10_000)}`,
			),
	});
	await world.ask();
	const [line] = world.lines;
	assert.doesNotMatch(line, /hunter2/);
	assert.match(line, /redis:\/\/\[redacted\]@cache:6379 failed/);
	// biome-ignore lint/suspicious/noControlCharactersInRegex: just these must not be there
	assert.doesNotMatch(line, /[\u0000-\u001f]/);
	assert.ok(line.length < 700, `${line.length}`);
});

test("ever new errors do not fill the log", async (t) => {
	const letters = (count) => String.fromCharCode(...[...String(count)].map((digit) => 97 + Number(digit)));
	let count = 0;
	const world = await failing(t, { read: () => new Error(letters(count++)) });
	for (let round = 0; round < 100; round++) await world.ask();
	assert.equal(world.lines.length, 16);
	world.now += 60_000;
	await world.ask();
	assert.ok(world.lines.length > 16, "and then they are told again");
});
