// Who may do what, in each mode, with real keys; and that nobody gets what another was answered.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, describe, test } from "node:test";
import { DEFAULTS } from "../../npm/src/worker/access.js";
import { answerFeatures, ask, column, range, valueFor } from "../support/features.mjs";
import { forgeries, startIdentity } from "../support/identity.mjs";
import { startOrigin } from "../support/origin.mjs";
import { startWorker } from "../support/worker.mjs";

const FEAST = "/get-online-features";
const OPERATOR = "of-the-operator";
const VIEWS = { stats: { join_keys: ["driver_id"], sources: [] } };
const PUSH = { feature_view_name: "stats", df: { driver_id: [1], a: [1] } };

/** Features, and to all else a word. */
const answer = (request) => (request.path === FEAST ? answerFeatures(request) : { json: null });

/** @type {import("../support/origin.mjs").Origin} */
let origin;
before(async () => {
	origin = await startOrigin(answer);
});
beforeEach(() => {
	origin.reset();
	origin.answer(answer);
});
after(() => origin?.stop());

const bearer = (token) => (token === undefined ? {} : { authorization: `Bearer ${token}` });
const read = (worker, token, driver = 1) => worker.post(FEAST, ask(["a"], [driver]), bearer(token));
const write = (worker, token) => worker.post("/write-to-online-store", PUSH, bearer(token));
const operate = (worker, token) => worker.post("/v1/invalidate", { everything: true }, bearer(token));

/** What a caller with this token gets from reading, writing, operating, and from a path that only the origin knows. */
async function rights(worker, token) {
	const replies = [await read(worker, token), await write(worker, token), await operate(worker, token)];
	replies.push(await worker.post("/materialize", {}, bearer(token)));
	for (const reply of replies) {
		const text = await reply.text();
		if (reply.status < 400) continue;
		assert.equal(reply.headers.get("content-type"), "application/problem+json");
		assert.equal(JSON.parse(text).status, reply.status);
		if (token?.length > 8) assert.ok(!text.includes(token), "no token in an error");
		assert.equal(reply.headers.has("www-authenticate"), reply.status === 401);
	}
	return replies.map(({ status }) => status);
}

/** Runs `use` with a Worker of these settings. */
async function withWorker(auth, use, options = {}) {
	const vars = { views: VIEWS, auth };
	const worker = await startWorker({ origin, operatorToken: OPERATOR, vars, ...options });
	try {
		await use(worker);
	} finally {
		await worker.stop();
	}
}

test("the entry takes the defaults that the documentation has", () => {
	const rows = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8").split("\n");
	const cells = rows.filter((row) => row.startsWith("| `auth.")).map((row) => row.split(" | "));
	const documented = cells.map(([key, value]) => [key.slice("| `auth.".length, -1), value.replaceAll("`", "")]);
	const set = documented.filter(([, value]) => value !== "-").map(([key, value]) => [key, JSON.parse(value)]);
	assert.deepEqual(Object.fromEntries(set), DEFAULTS);
});

describe("mode none", () => {
	test("anyone reads; writes and operations are the operator's, and its token goes no further", async () => {
		await withWorker({}, async (worker) => {
			assert.deepEqual(await rights(worker, undefined), [200, 403, 403, 403]);
			assert.deepEqual(await rights(worker, "of-somebody"), [200, 403, 403, 403]);
			origin.reset();
			assert.deepEqual(await rights(worker, OPERATOR), [200, 200, 200, 200]);
			assert.ok(origin.requests.length > 0);
			for (const { headers } of origin.requests) assert.equal(headers.authorization, undefined);
		});
	});

	test("what is open needs nothing, and nothing else is", async () => {
		await withWorker({ open: ["write"] }, async (worker) => {
			assert.deepEqual(await rights(worker, undefined), [403, 200, 403, 403]);
			assert.equal((await fetch(`${worker.url}/health`)).status, 200);
			assert.equal((await fetch(`${worker.url}/ready`)).status, 200);
		});
	});
});

describe("mode tokens", () => {
	const digest = (token) => createHash("sha256").update(token).digest("hex");
	const tokens = (table) => ({
		secrets: { FEATHEREDGE_TOKENS: JSON.stringify(table) },
		authorization: "Bearer of-the-deployment",
	});

	test("each token has its rights, and the origin is shown the deployment's own credentials", async () => {
		const table = {
			reader: { sha256: digest("reads-only"), scopes: ["read"] },
			writer: { sha256: digest("reads-and-writes").toUpperCase(), scopes: ["read", "write"] },
			keeper: { sha256: digest("operates-only"), scopes: ["operate"] },
		};
		await withWorker(
			{ mode: "tokens" },
			async (worker) => {
				assert.deepEqual(await rights(worker, undefined), [401, 401, 401, 401]);
				for (const unknown of [
					"reads-onlY",
					"reads-only2",
					"reads-onl",
					"",
					digest("reads-only"),
					"x".repeat(20_000),
				]) {
					assert.deepEqual(await rights(worker, unknown), [401, 401, 401, 401], unknown.slice(0, 70));
				}
				assert.deepEqual(origin.requests, []);
				assert.deepEqual(await rights(worker, "reads-only"), [200, 403, 403, 403]);
				assert.deepEqual(await rights(worker, "reads-and-writes"), [200, 200, 403, 403]);
				assert.deepEqual(await rights(worker, "operates-only"), [403, 403, 200, 200]);
				assert.deepEqual(await rights(worker, OPERATOR), [200, 200, 200, 200]);
				for (const { headers } of origin.requests) assert.equal(headers.authorization, "Bearer of-the-deployment");
				assert.equal((await fetch(`${worker.url}/health`)).status, 200, "health needs no token");
			},
			tokens(table),
		);
	});

	test("projects share no row, in memory or in KV", async () => {
		const table = {
			one: { sha256: digest("first"), scopes: ["read"], project: "one" },
			same: { sha256: digest("second"), scopes: ["read"], project: "one" },
			other: { sha256: digest("third"), scopes: ["read"], project: "two" },
			none: { sha256: digest("fourth"), scopes: ["read"] },
		};
		await withWorker(
			{ mode: "tokens" },
			async (worker) => {
				for (const [token, calls] of [
					["first", 1],
					["second", 1],
					["third", 2],
					["fourth", 3],
					["first", 3],
				]) {
					assert.equal((await read(worker, token)).status, 200);
					assert.equal(origin.requests.length, calls, `after ${token}`);
				}
				const { keys } = await (await worker.kv()).list();
				assert.equal(new Set(keys.map(({ name }) => name)).size, 3);
			},
			tokens(table),
		);
	});

	for (const [name, secret] of [
		["no JSON", "{of-somebody"],
		["a token without a digest", JSON.stringify({ a: { scopes: ["read"] } })],
		["a token in clear", JSON.stringify({ a: { sha256: "of-somebody", scopes: ["read"] } })],
		["an unknown scope", JSON.stringify({ a: { sha256: digest("of-somebody"), scopes: ["admin"] } })],
	]) {
		test(`a secret that is ${name}: 503 that says so, and not what it is`, async () => {
			await withWorker(
				{ mode: "tokens" },
				async (worker) => {
					const reply = await read(worker, "of-somebody");
					const text = await reply.text();
					assert.equal(reply.status, 503);
					assert.match(text, /FEATHEREDGE_TOKENS/);
					assert.ok(!text.includes("of-somebody"), text);
					assert.deepEqual(origin.requests, []);
				},
				{ secrets: { FEATHEREDGE_TOKENS: secret } },
			);
		});
	}
});

describe("mode oidc", () => {
	/** @type {import("../support/identity.mjs").Identity} */
	let identity;
	let worker;
	before(async () => {
		identity = await startIdentity();
		const auth = { mode: "oidc", issuer: identity.url, audience: "features", project_claim: "tenant" };
		worker = await startWorker({ origin, vars: { views: VIEWS, auth: { ...auth, clock_skew_seconds: 5 } } });
	});
	after(async () => {
		await worker?.stop();
		await identity?.stop();
	});
	const signed = (claims, options) => identity.token({ tenant: "one", ...claims }, options);

	test("a token that the issuer has signed reads, by either algorithm, and its keys are fetched once", async () => {
		for (const key of identity.keys) assert.equal((await read(worker, signed({}, { key }))).status, 200, key.alg);
		for (const _ of range(5)) await read(worker, signed());
		assert.equal(identity.asked, 1);
		for (const { headers } of origin.requests)
			assert.equal(headers.authorization, undefined, "the token goes no further");
	});

	test("its scopes say what else it may do", async () => {
		assert.deepEqual(await rights(worker, signed()), [200, 403, 403, 403]);
		assert.deepEqual(await rights(worker, signed({ scope: "openid featheredge:write" })), [200, 200, 403, 403]);
		assert.deepEqual(await rights(worker, signed({ scope: ["featheredge:operate"] })), [200, 403, 200, 200]);
		assert.deepEqual(await rights(worker, signed({ scope: "write operate admin" })), [200, 403, 403, 403]);
	});

	test("the project that it names has rows of its own", async () => {
		const calls = [];
		for (const tenant of ["three", "four", "three"]) {
			await read(worker, signed({ tenant }), 40);
			calls.push(origin.requests.length);
		}
		assert.deepEqual(calls, [1, 2, 2]);
	});

	test("whatever is wrong with a token, it is refused, and the origin is not asked", async () => {
		const now = Math.floor(Date.now() / 1000);
		const [rsa, ec] = identity.keys;
		const stranger = { ...identity.makeKey("RS256"), kid: rsa.kid };
		const good = signed();
		const parts = good.split(".");
		const bad = {
			...forgeries(identity),
			"no token": "x",
			"two parts": parts.slice(0, 2).join("."),
			"an empty signature": `${parts[0]}.${parts[1]}.`,
			"another's signature": signed({}, { key: stranger }),
			"a key that is not published": signed({}, { key: identity.makeKey("ES256", "unknown") }),
			"claims that were changed": `${parts[0]}.${signed({ tenant: "two" }).split(".")[1]}.${parts[2]}`,
			"an algorithm that is not the key's": signed({}, { key: rsa, header: { alg: "ES256" } }),
			"the other key's name": signed({}, { key: rsa, header: { kid: ec.kid } }),
			"a critical extension": signed({}, { header: { crit: ["exp"] } }),
			"another issuer": signed({ iss: "https://elsewhere.example.com" }),
			"another audience": signed({ aud: "others" }),
			"an audience that begins alike": signed({ aud: "features2" }),
			"no audience": signed({ aud: undefined }),
			"an end that has passed": signed({ exp: now - 6 }),
			"no end": signed({ exp: undefined }),
			"an end that is no number": signed({ exp: "never" }),
			"a beginning to come": signed({ nbf: now + 60 }),
			"no project": signed({ tenant: undefined }),
			"a project that is no text": signed({ tenant: { a: 1 } }),
		};
		for (const [name, token] of Object.entries(bad)) {
			const reply = await read(worker, token);
			assert.equal(reply.status, 401, `${name}: ${await reply.text()}`);
			assert.match(reply.headers.get("www-authenticate"), /^Bearer realm="featheredge", error="invalid_/);
		}
		assert.deepEqual(origin.requests, []);
		assert.equal((await read(worker, signed({ exp: now - 2, aud: ["x", "features"] }))).status, 200, "within the skew");
	});
});

describe("an issuer's keys", () => {
	test("a key that is new is fetched when its first token comes; one that is withdrawn ends with its time", async () => {
		const identity = await startIdentity();
		const auth = { mode: "oidc", issuer: identity.url, audience: "features", jwks_ttl_seconds: 1 };
		try {
			await withWorker(auth, async (worker) => {
				const [old] = identity.keys;
				assert.equal((await read(worker, identity.token())).status, 200);
				identity.keys = [identity.makeKey("ES256")];
				await new Promise((resolve) => setTimeout(resolve, 1_100));
				const asked = identity.asked;
				const unknown = identity.token({}, { key: identity.makeKey("RS256") });
				assert.equal((await read(worker, identity.token())).status, 200, "the new key");
				assert.equal((await read(worker, identity.token({}, { key: old }))).status, 401, "the old key");
				for (const _ of range(20)) assert.equal((await read(worker, unknown)).status, 401);
				assert.ok(identity.asked - asked <= 2, `${identity.asked - asked} times`);
			});
		} finally {
			await identity.stop();
		}
	});

	test("keys of another site, or of another issuer, are not fetched", async () => {
		const [identity, stranger] = [await startIdentity(), await startIdentity()];
		const auth = { mode: "oidc", issuer: identity.url, audience: "features" };
		try {
			for (const discovery of [
				{ issuer: identity.url, jwks_uri: `${stranger.url}/keys` },
				{ issuer: stranger.url, jwks_uri: `${identity.url}/keys` },
			]) {
				identity.discovery = discovery;
				await withWorker(auth, async (worker) => {
					assert.equal((await read(worker, identity.token())).status, 503);
				});
			}
			assert.deepEqual([identity.asked, stranger.asked], [0, 0]);
		} finally {
			await identity.stop();
			await stranger.stop();
		}
	});

	test("while the issuer is down, its known keys count; without any, 503", async () => {
		const identity = await startIdentity();
		const auth = { mode: "oidc", issuer: identity.url, audience: "features", jwks_ttl_seconds: 1 };
		try {
			await withWorker(auth, async (worker) => {
				identity.isDown = true;
				const reply = await read(worker, identity.token());
				assert.equal(reply.status, 503);
				assert.ok(Number(reply.headers.get("retry-after")) > 0);
				identity.isDown = false;
				assert.equal((await read(worker, identity.token())).status, 200);
				identity.isDown = true;
				await new Promise((resolve) => setTimeout(resolve, 1_100));
				assert.equal((await read(worker, identity.token())).status, 200);
			});
		} finally {
			await identity.stop();
		}
	});
});

describe("mode origin", () => {
	/** Answers with whom it was asked by, and knows nobody but two. */
	const personal = (request) => {
		const who = request.headers.authorization;
		if (who === "Bearer of-nobody") return { status: 401, json: "not you" };
		const reply = answerFeatures(request);
		for (const result of reply.json.results.slice(1))
			result.values = result.values.map((value) => `${value} for ${who}`);
		return reply;
	};

	test("the bearer goes to the origin, and what it answers is kept for that bearer alone", async () => {
		await withWorker(
			{ mode: "origin" },
			async (worker) => {
				origin.answer(personal);
				for (const who of ["of-one", "of-two", undefined]) {
					for (const _ of range(2)) {
						const [value] = column(await (await read(worker, who)).json(), "a");
						assert.equal(value, `${valueFor("a", 1)} for ${who && `Bearer ${who}`}`);
					}
				}
				assert.equal(origin.requests.length, 3, "one call each");
				assert.equal((await read(worker, "of-nobody")).status, 401, "the origin's word");
				const { keys } = await (await worker.kv()).list();
				assert.ok(keys.every(({ name }) => !name.includes("of-")));
			},
			{ authorization: "Bearer of-the-deployment" },
		);
		const shown = new Set(origin.requests.map(({ headers }) => headers.authorization));
		assert.ok(!shown.has("Bearer of-the-deployment"), "the deployment's own credentials are for nobody who asks");
	});

	test("at the same time, too: no flight is shared between bearers", async () => {
		await withWorker({ mode: "origin" }, async (worker) => {
			origin.answer((request) => ({ ...personal(request), delayMs: 50 }));
			const callers = range(40).map((number) => `caller-${number % 8}`);
			const replies = await Promise.all(callers.map(async (who) => (await read(worker, who, 7)).json()));
			replies.forEach((reply, index) => {
				assert.deepEqual(column(reply, "a"), [`${valueFor("a", 7)} for Bearer ${callers[index]}`]);
			});
		});
	});

	test("writes are the origin's to allow, operations the operator's", async () => {
		await withWorker({ mode: "origin" }, async (worker) => {
			assert.deepEqual(await rights(worker, "of-somebody"), [200, 200, 403, 403]);
			assert.deepEqual(await rights(worker, OPERATOR), [200, 200, 200, 200]);
		});
	});
});

describe("a rate limit", () => {
	test("who asks too often is told when to come back, and others are served", async () => {
		const digest = (token) => createHash("sha256").update(token).digest("hex");
		const table = Object.fromEntries(["one", "two"].map((name) => [name, { sha256: digest(name), scopes: ["read"] }]));
		const auth = { mode: "tokens", rate_limit_binding: "LIMIT", retry_after_seconds: 10 };
		await withWorker(
			auth,
			async (worker) => {
				const statuses = [];
				for (const _ of range(12)) statuses.push((await read(worker, "one")).status);
				assert.ok(statuses.filter((status) => status === 200).length >= 5, statuses.join());
				assert.ok(statuses.includes(429), statuses.join());
				const refused = await read(worker, "one");
				if (refused.status === 429) assert.equal(refused.headers.get("retry-after"), "10");
				assert.equal((await read(worker, "two")).status, 200);
				assert.equal((await fetch(`${worker.url}/health`)).status, 200);
			},
			{
				secrets: { FEATHEREDGE_TOKENS: JSON.stringify(table) },
				rateLimits: { LIMIT: { simple: { limit: 5, period: 10 } } },
			},
		);
	});

	test("a limiter that is named and not bound: 503 that names it", async () => {
		await withWorker({ rate_limit_binding: "LIMIT" }, async (worker) => {
			const reply = await read(worker);
			assert.equal(reply.status, 503);
			assert.match(await reply.text(), /LIMIT/);
		});
	});
});

describe("pages of other sites", () => {
	const SITE = "https://app.example.com";
	const preflight = (worker, site, path = FEAST) =>
		fetch(`${worker.url}${path}`, {
			method: "OPTIONS",
			headers: { origin: site, "access-control-request-method": "POST" },
		});

	test("those on the list may call, and no others", async () => {
		await withWorker({ cors_origins: [SITE] }, async (worker) => {
			const asked = await preflight(worker, SITE);
			assert.deepEqual([asked.status, asked.headers.get("access-control-allow-origin")], [204, SITE]);
			assert.match(asked.headers.get("access-control-allow-headers"), /authorization/);
			const stranger = await preflight(worker, `${SITE}.evil.example`);
			assert.deepEqual([stranger.status, stranger.headers.get("access-control-allow-origin")], [403, null]);
			for (const [site, allowed] of [
				[SITE, SITE],
				["https://evil.example", null],
				["null", null],
			]) {
				const reply = await worker.post(FEAST, ask(["a"], [1]), { origin: site });
				assert.equal(reply.status, 200);
				assert.equal(reply.headers.get("access-control-allow-origin"), allowed);
				assert.match(reply.headers.get("vary"), /origin/i);
			}
			const refused = await worker.post("/push", {}, { origin: SITE });
			assert.deepEqual([refused.status, refused.headers.get("access-control-allow-origin")], [403, SITE]);
			assert.deepEqual(
				origin.requests.filter(({ method }) => method === "OPTIONS"),
				[],
			);
		});
	});

	test("without a list, nothing is added", async () => {
		await withWorker({}, async (worker) => {
			const reply = await worker.post(FEAST, ask(["a"], [1]), { origin: SITE });
			assert.equal(reply.headers.get("access-control-allow-origin"), null);
		});
	});
});

test("a configuration of access that cannot be used: 503 that names the key, whatever is asked", async () => {
	for (const [auth, key] of [
		[{ mode: "basic" }, /auth\.mode/],
		[{ mode: "oidc", issuer: "https://id.example.com" }, /auth\.audience/],
		[{ open: "read" }, /auth\.open/],
		[{ cors_origins: ["example.com/"] }, /auth\.cors_origins/],
	]) {
		await withWorker(auth, async (worker) => {
			for (const reply of [await read(worker), await operate(worker, OPERATOR)]) {
				assert.equal(reply.status, 503);
				assert.match(await reply.text(), key);
			}
		});
	}
});
