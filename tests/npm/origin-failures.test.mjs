// What callers and the operator learn of an origin that fails.

import assert from "node:assert/strict";
import { test } from "node:test";
import { feastOrigin, OriginError, RequestError } from "../../build/package/dist/node.js";
import { engineFor } from "./harness.mjs";

const asked = (...entity_ids) => ({ entity_ids, feature_names: ["a"] });
const ones = ({ entity_id }) => ({ a: entity_id.map(() => 1) });

/** An engine whose origin throws `error` for entities from 600 on. */
async function failing(t, error, options) {
	const lines = [];
	let calls = 0;
	const engine = await engineFor(t, {
		...options,
		origin: (entities) => {
			calls += 1;
			if (entities.entity_id.some((id) => id >= 600)) throw error;
			return ones(entities);
		},
		onError: (line, cause) => lines.push({ line, cause }),
	});
	return { engine, lines, calls: () => calls };
}

const post = (path, body) =>
	new Request(`http://localhost${path}`, {
		method: "POST",
		headers: { "content-type": "application/json" },
		body: JSON.stringify(body),
	});

test("what a function throws reaches the operator, and no HTTP caller", async (t) => {
	const secret = new Error("secret of the database");
	const { engine, lines } = await failing(t, secret);
	for (const request of [
		post("/v1/features", asked(600)),
		post("/get-online-features", { features: ["features:a"], entities: { entity_id: [601] } }),
		new Request("http://localhost/v1/features", {
			...{ method: "POST", headers: { accept: "application/x-ndjson" }, body: JSON.stringify(asked(602)) },
		}),
	]) {
		const response = await engine.fetch(request);
		const text = await response.text();
		assert.equal(response.status, 500);
		assert.match(text, /the origin's function failed/);
		assert.doesNotMatch(text + JSON.stringify([...response.headers]), /secret/);
	}
	assert.match(lines[0].line, /^featheredge: the origin's function failed: secret of the database$/);
	assert.equal(lines[0].cause, secret);
});

test("all callers that wait for one call get its exception as their cause", async (t) => {
	const fault = new Error("down");
	let fail;
	const engine = await engineFor(t, {
		origin: () =>
			new Promise((_, reject) => {
				fail = () => reject(fault);
			}),
		onError: () => {},
	});
	const results = Promise.allSettled([1, 2, 3].map(() => engine.serve(asked(600))));
	while (fail === undefined) await new Promise(setImmediate);
	fail();
	for (const { reason } of await results) {
		assert.ok(reason instanceof OriginError);
		assert.equal(reason.cause, fault);
		assert.equal(reason.message, "the origin's function failed: down");
	}
});

test("a function that goes on throwing opens the breaker", async (t) => {
	const { engine, calls } = await failing(t, new Error("down"));
	const codes = [];
	for (let id = 600; id < 700; id++) await engine.serve(asked(id)).catch(({ code }) => codes.push(code));
	assert.equal(codes.at(-1), "origin-circuit-open");
	assert.ok(calls() <= 25, `${calls()} calls`);
});

test("a RequestError that a function throws is the caller's, and says nothing of the origin's health", async (t) => {
	const { engine, calls, lines } = await failing(t, new RequestError("invalid-request", "no such user", 404));
	for (let id = 600; id < 700; id++) {
		await assert.rejects(engine.serve(asked(id)), (error) => {
			assert.ok(error instanceof OriginError || error instanceof RequestError);
			assert.equal(error.status, 404);
			assert.match(error.message, /no such user/);
			return true;
		});
	}
	assert.equal(calls(), 100);
	const response = await engine.fetch(post("/v1/features", asked(700)));
	assert.equal(response.status, 404);
	assert.match(await response.text(), /no such user/);
	assert.deepEqual(lines, []);
});

test("an answer that lacks values names them, with the cause", async (t) => {
	const fault = new Error("down");
	const { engine } = await failing(t, fault);
	await engine.serve(asked(1));
	const { features, errors } = await engine.serve({ ...asked(1, 600, 600), feature_names: ["a", "b"] });
	assert.equal(features[1].a, 1);
	assert.equal(features[600].a, null);
	const error = { code: "origin-error", detail: "the origin's function failed", cause: fault };
	assert.deepEqual(errors, [
		{ entity: 1, features: ["b"], ...error },
		{ entity: 600, features: ["a", "b"], ...error },
	]);
	assert.equal((await engine.serve(asked(1))).errors, undefined);
});

test("a value that is served stale is none that lacks", async (t) => {
	let now = 1_000_000_000_000;
	let isDown = false;
	const engine = await engineFor(t, {
		clock: () => now,
		config: { freshness: { ttl_seconds: 10, stale_while_revalidate_seconds: 0, stale_if_error_seconds: 600 } },
		origin: (entities) => {
			if (isDown) throw new Error("down");
			return ones(entities);
		},
		onError: () => {},
	});
	await engine.serve(asked(1));
	isDown = true;
	now += 60_000;
	const { features, errors } = await engine.serve(asked(1), { partial: "reject" });
	assert.deepEqual([features[1].a, errors], [1, undefined]);
	assert.equal((await engine.columns(asked(1), { partial: "reject" })).columns.a.values[0], 1);
	await assert.rejects(engine.serve(asked(1, 2), { partial: "reject" }), OriginError);
	assert.deepEqual(
		(await engine.serve(asked(1, 2))).errors.map(({ entity }) => entity),
		[2],
	);
});

/** A body that the core cannot interpret, so that it passes through. */
const passedThrough = (id) => ({ features: ["features:a"], entities: { entity_id: [id] }, full_feature_names: "x" });

test("what a function throws for a request that passes through is reported in the same way", async (t) => {
	const fault = new Error("secret of the database");
	const { engine, lines } = await failing(t, fault);
	const response = await engine.fetch(post("/get-online-features", passedThrough(600)));
	const text = await response.text();
	assert.equal(response.status, 500);
	assert.match(text, /"detail":"the origin's function failed"/);
	assert.doesNotMatch(text, /secret/);
	assert.equal(lines[0].cause, fault);
	const bytes = new TextEncoder().encode(JSON.stringify(passedThrough(600)));
	await assert.rejects(engine.serveBytes(bytes, { protocol: "feast" }), (error) => {
		assert.ok(error instanceof OriginError);
		assert.deepEqual([error.code, error.cause], ["origin-error", fault]);
		return true;
	});
});

test("a RequestError for a request that passes through is the caller's", async (t) => {
	const { engine, lines } = await failing(t, new RequestError("invalid-request", "no such user", 404));
	const response = await engine.fetch(post("/get-online-features", passedThrough(600)));
	assert.deepEqual([response.status, await response.text()], [404, "no such user"]);
	assert.deepEqual(lines, []);
});

test("an HTTP origin that a request passing through cannot reach is an OriginError", async (t) => {
	const engine = await engineFor(t, { origin: feastOrigin("http://127.0.0.1:9"), onError: () => {} });
	const bytes = new TextEncoder().encode(JSON.stringify(passedThrough(1)));
	await assert.rejects(engine.serveBytes(bytes, { protocol: "feast" }), (error) => {
		assert.ok(error instanceof OriginError);
		assert.equal(error.code, "origin-unreachable");
		return true;
	});
});

test("over HTTP the errors have no text of the function", async (t) => {
	const { engine } = await failing(t, new Error("secret"));
	await engine.serve(asked(1));
	const response = await engine.fetch(post("/v1/features", asked(1, 600)));
	const text = await response.text();
	assert.equal(response.status, 200);
	assert.doesNotMatch(text, /secret/);
	assert.deepEqual(JSON.parse(text).errors, [
		{ entity: 600, features: ["a"], code: "origin-error", detail: "the origin's function failed" },
	]);
});

test('`partial: "reject"` holds where the breaker is open, and the answer is there at once', async (t) => {
	const { engine } = await failing(t, new Error("down"));
	await engine.serve(asked(1));
	const options = { partial: "reject" };
	let code;
	for (let id = 1_000; code !== "origin-circuit-open"; id++) {
		assert.ok(id < 1_100, `the breaker opens: ${code}`);
		code = (await engine.serve(asked(1, id))).errors[0].code;
	}
	const open = { name: "OriginError", code: "origin-circuit-open" };
	const body = new TextEncoder().encode(JSON.stringify(asked(1, 601)));
	await assert.rejects(engine.serve(asked(1, 602), options), open);
	await assert.rejects(engine.columns(asked(1, 603), options), open);
	await assert.rejects(async () => engine.serveBytes(body, options), open);
	assert.equal((await engine.serve(asked(1), options)).features[1].a, 1, "memory has all");
});

test('`partial: "reject"` wants all values or none', async (t) => {
	const fault = new Error("down");
	const { engine } = await failing(t, fault);
	const options = { partial: "reject" };
	await engine.serve(asked(1), options);
	const bytes = new TextEncoder().encode(JSON.stringify(asked(1, 600)));
	for (const call of [
		() => engine.serve(asked(1, 600), options),
		() => engine.columns(asked(1, 600), options),
		() => engine.serveBytes(bytes, options),
	]) {
		await assert.rejects(
			async () => call(),
			(error) => {
				assert.ok(error instanceof OriginError);
				assert.equal(error.code, "origin-error");
				assert.equal(error.cause, fault);
				return true;
			},
		);
	}
	assert.equal((await engine.columns(asked(1, 600))).columns.a.statuses[1], 0);
	await assert.rejects(engine.serve(asked(1), { partial: "no" }), { code: "invalid-configuration" });
});

for (const [name, config, more, message] of [
	["the request's deadline", {}, { deadline_ms: 40 }, /within 40 ms \(the request's `deadline_ms`\)/],
	["the deadline by configuration", { deadlines: { default_ms: 30 } }, {}, /within 30 ms \(`deadlines.default_ms`\)/],
	["the origin's timeout", { origin: { timeout_ms: 20 } }, {}, /did not answer within 20 ms \(`origin.timeout_ms`\)/],
	[
		"a real-time request's deadline",
		{ routing: { real_time_deadline_ms: 25 } },
		{ priority: "high" },
		/within 25 ms \(`routing.real_time_deadline_ms`\)/,
	],
]) {
	test(`a timeout names the limit that was hit: ${name}`, async (t) => {
		const engine = await engineFor(t, { config, origin: () => new Promise(() => {}), onError: () => {} });
		await assert.rejects(engine.serve({ ...asked(1), ...more }), (error) => {
			assert.equal(error.code, "origin-timeout");
			assert.match(error.message, message);
			return true;
		});
	});
}
