// Who may do what, in each mode, with real keys; and that nobody gets what another was answered. The same for every host with a gateway.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";
import { answerFeatures, ask, column, range, valueFor } from "../support/features.mjs";
import { forgeries, startIdentity } from "../support/identity.mjs";
import { startOrigin } from "../support/origin.mjs";
import { requestTarget } from "../support/raw.mjs";

const FEAST = "/get-online-features";
const OPERATOR = "of-the-operator";
const VIEWS = { stats: { join_keys: ["driver_id"], sources: [] } };
const PUSH = { feature_view_name: "stats", df: { driver_id: [1], a: [1] } };

/** Waits until `look` gives something true, never longer than ten seconds. */
async function until(look) {
	const deadline = Date.now() + 10_000;
	while (!(await look())) assert.ok(Date.now() < deadline, `in vain: ${look}`);
}

/** Features, and to all else a word. */
const answer = (request) => (request.path === FEAST ? answerFeatures(request) : { json: null });

/**
 * @param {object} hosts
 * @param {(options: import("../support/worker.mjs").WorkerOptions) => Promise<import("../support/worker.mjs").TestWorker>} hosts.start
 * @param {(options: import("../support/worker.mjs").WorkerOptions) => Promise<string>} hosts.refuse starts one that cannot use its settings, and
 *   gives what it says of them
 */
export function testAccess({ start, refuse }) {
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
	const read = (host, token, driver = 1) => host.post(FEAST, ask(["a"], [driver]), bearer(token));
	const write = (host, token) => host.post("/write-to-online-store", PUSH, bearer(token));
	const operate = (host, token) => host.post("/v1/invalidate", { everything: true }, bearer(token));

	/** What a caller with this token gets from reading, writing, operating, and from a path that only the origin knows. */
	async function rights(host, token) {
		const replies = [await read(host, token), await write(host, token), await operate(host, token)];
		replies.push(await host.post("/materialize", {}, bearer(token)));
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

	/** Runs `use` with a host of these settings. */
	async function withHost(auth, use, options = {}) {
		const host = await start({ origin, operatorToken: OPERATOR, vars: { views: VIEWS, auth }, ...options });
		try {
			await use(host);
		} finally {
			await host.stop();
		}
	}

	/** How a host refuses settings that it cannot use. */
	const refusal = (auth, options = {}) =>
		refuse({ origin, operatorToken: OPERATOR, vars: { views: VIEWS, auth }, ...options });

	describe("mode none", () => {
		test("anyone reads; writes and operations are the operator's, and its token goes no further", async () => {
			await withHost({}, async (host) => {
				assert.deepEqual(await rights(host, undefined), [200, 403, 403, 403]);
				assert.deepEqual(await rights(host, "of-somebody"), [200, 403, 403, 403]);
				origin.reset();
				assert.deepEqual(await rights(host, OPERATOR), [200, 200, 200, 200]);
				assert.ok(origin.requests.length > 0);
				for (const { headers } of origin.requests) assert.equal(headers.authorization, undefined);
			});
		});

		test("what is open needs nothing, and nothing else is", async () => {
			await withHost({ open: ["write"] }, async (host) => {
				assert.deepEqual(await rights(host, undefined), [403, 200, 403, 403]);
				assert.equal((await fetch(`${host.url}/health`)).status, 200);
				assert.equal((await fetch(`${host.url}/ready`)).status, 200);
			});
		});
	});

	describe("the deployment's credentials", () => {
		const withCredentials = (auth, use) => withHost(auth, use, { authorization: "Bearer of-the-deployment" });
		const shown = () => new Set(origin.requests.map(({ headers }) => headers.authorization));

		test("nobody writes or operates with them but who may", async () => {
			await withCredentials({}, async (host) => {
				for (const [method, path] of [
					["POST", "/push"],
					["POST", "/write-to-online-store"],
					["POST", "/materialize"],
					["DELETE", "/registry/x"],
					["DELETE", FEAST],
					["PUT", FEAST],
					["PATCH", "/v1/stats"],
				]) {
					const reply = await fetch(`${host.url}${path}`, { method, body: "{}" });
					assert.ok([403, 405].includes(reply.status), `${method} ${path}: ${reply.status}`);
					assert.equal((await reply.json()).status, reply.status);
				}
				assert.deepEqual(origin.requests, []);
			});
		});

		test("an operator's requests are made with them, and its token stays here", async () => {
			await withCredentials({}, async (host) => {
				assert.deepEqual(await rights(host, OPERATOR), [200, 200, 200, 200]);
				const deleted = await fetch(`${host.url}/registry/x`, { method: "DELETE", headers: bearer(OPERATOR) });
				assert.equal(deleted.status, 200);
				assert.ok(origin.requests.length >= 4);
				assert.deepEqual([...shown()], ["Bearer of-the-deployment"]);
			});
		});

		test("what an operator reads with them is nobody's whom the origin judges", async () => {
			await withCredentials({ mode: "origin" }, async (host) => {
				for (const token of [OPERATOR, undefined, "of-somebody"]) assert.equal((await read(host, token)).status, 200);
				assert.equal(origin.requests.length, 3, "one call each");
				assert.deepEqual([...shown()], ["Bearer of-the-deployment", undefined, "Bearer of-somebody"]);
			});
		});

		test("no spelling of a path needs less than the path, or leads out of the origin's base path", async () => {
			const vars = { views: VIEWS };
			const host = await start({
				origin: `${origin.url}/base`,
				authorization: "Bearer of-the-deployment",
				operatorToken: OPERATOR,
				vars,
			});
			try {
				const send = (method, target, token) => requestTarget(host.port, method, target, bearer(token));
				for (const target of [
					"/x/../push",
					"/x/%2e%2E/push",
					"/./push",
					"/%70ush",
					"//push",
					"/x/..//push",
					"/v1/..\\push",
				]) {
					assert.equal(await send("POST", target), 403, target);
					assert.deepEqual(origin.requests, [], target);
					assert.equal(await send("POST", target, OPERATOR), 200, target);
					assert.deepEqual(
						origin.requests.map(({ path }) => path),
						["/base/push"],
						target,
					);
					origin.reset();
				}
				for (const target of [
					"/../secret",
					"/%2e%2e/secret",
					"/x/%2E./../../secret",
					"/..%5c../secret",
					"/..\\..\\secret",
				]) {
					await send("GET", target);
					for (const { path } of origin.requests) assert.ok(path.startsWith("/base/"), `${target}: ${path}`);
					origin.reset();
				}
			} finally {
				await host.stop();
			}
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
			await withHost(
				{ mode: "tokens" },
				async (host) => {
					assert.deepEqual(await rights(host, undefined), [401, 401, 401, 401]);
					for (const unknown of [
						"reads-onlY",
						"reads-only2",
						"reads-onl",
						"",
						digest("reads-only"),
						"x".repeat(20_000),
					]) {
						assert.deepEqual(await rights(host, unknown), [401, 401, 401, 401], unknown.slice(0, 70));
					}
					assert.deepEqual(origin.requests, []);
					assert.deepEqual(await rights(host, "reads-only"), [200, 403, 403, 403]);
					assert.deepEqual(await rights(host, "reads-and-writes"), [200, 200, 403, 403]);
					assert.deepEqual(await rights(host, "operates-only"), [403, 403, 200, 200]);
					assert.deepEqual(await rights(host, OPERATOR), [200, 200, 200, 200]);
					for (const { headers } of origin.requests) assert.equal(headers.authorization, "Bearer of-the-deployment");
					assert.equal((await fetch(`${host.url}/health`)).status, 200, "health needs no token");
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
			await withHost(
				{ mode: "tokens" },
				async (host) => {
					for (const [token, calls] of [
						["first", 1],
						["second", 1],
						["third", 2],
						["fourth", 3],
						["first", 3],
					]) {
						assert.equal((await read(host, token)).status, 200);
						assert.equal(origin.requests.length, calls, `after ${token}`);
					}
					assert.equal(new Set(await host.storeKeys()).size, 3);
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
			test(`a secret that is ${name}: refused in words, and not in the secret's`, async () => {
				const said = await refusal({ mode: "tokens" }, { secrets: { FEATHEREDGE_TOKENS: secret } });
				assert.match(said, /FEATHEREDGE_TOKENS/);
				assert.ok(!said.includes("of-somebody"), said);
				assert.deepEqual(origin.requests, []);
			});
		}
	});

	describe("mode oidc", () => {
		/** @type {import("../support/identity.mjs").Identity} */
		let identity;
		let host;
		before(async () => {
			identity = await startIdentity();
			const auth = { mode: "oidc", issuer: identity.url, audience: "features", project_claim: "tenant" };
			host = await start({ origin, vars: { views: VIEWS, auth: { ...auth, clock_skew_seconds: 5 } } });
		});
		after(async () => {
			await host?.stop();
			await identity?.stop();
		});
		const signed = (claims, options) => identity.token({ tenant: "one", ...claims }, options);

		test("a token that the issuer has signed reads, by either algorithm, and its keys are fetched once", async () => {
			for (const key of identity.keys) assert.equal((await read(host, signed({}, { key }))).status, 200, key.alg);
			for (const _ of range(5)) await read(host, signed());
			assert.equal(identity.asked, 1);
			for (const { headers } of origin.requests)
				assert.equal(headers.authorization, undefined, "the token goes no further");
		});

		test("its scopes say what else it may do", async () => {
			assert.deepEqual(await rights(host, signed()), [200, 403, 403, 403]);
			assert.deepEqual(await rights(host, signed({ scope: "openid featheredge:write" })), [200, 200, 403, 403]);
			assert.deepEqual(await rights(host, signed({ scope: ["featheredge:operate"] })), [200, 403, 200, 200]);
			assert.deepEqual(await rights(host, signed({ scope: "write operate admin" })), [200, 403, 403, 403]);
		});

		test("the project that it names has rows of its own", async () => {
			const calls = [];
			for (const tenant of ["three", "four", "three"]) {
				await read(host, signed({ tenant }), 40);
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
				const reply = await read(host, token);
				assert.equal(reply.status, 401, `${name}: ${await reply.text()}`);
				assert.match(reply.headers.get("www-authenticate"), /^Bearer realm="featheredge", error="invalid_/);
			}
			assert.deepEqual(origin.requests, []);
			assert.equal((await read(host, signed({ exp: now - 2, aud: ["x", "features"] }))).status, 200, "within the skew");
		});
	});

	describe("an issuer's keys", () => {
		test("one that is new is fetched when its first token comes; one that is withdrawn ends with its time", async () => {
			const identity = await startIdentity();
			const auth = { mode: "oidc", issuer: identity.url, audience: "features", jwks_ttl_seconds: 1 };
			try {
				await withHost(auth, async (host) => {
					const [old] = identity.keys;
					assert.equal((await read(host, identity.token())).status, 200);
					identity.keys = [identity.makeKey("ES256")];
					await new Promise((resolve) => setTimeout(resolve, 1_100));
					const asked = identity.asked;
					const unknown = identity.token({}, { key: identity.makeKey("RS256") });
					assert.equal((await read(host, identity.token())).status, 200, "the new key");
					assert.equal((await read(host, identity.token({}, { key: old }))).status, 401, "the old key");
					for (const _ of range(20)) assert.equal((await read(host, unknown)).status, 401);
					assert.ok(identity.asked - asked <= 2, `${identity.asked - asked} times`);
				});
			} finally {
				await identity.stop();
			}
		});

		test("are asked for once, however many need them, and whether or not they can be had", async () => {
			const identity = await startIdentity();
			const auth = { mode: "oidc", issuer: identity.url, audience: "features" };
			const statuses = async (host) => {
				const replies = await Promise.all(range(40).map(() => read(host, identity.token())));
				return [...new Set(replies.map(({ status }) => status))];
			};
			try {
				await withHost(auth, async (host) => {
					assert.deepEqual(await statuses(host), [200]);
					assert.equal(identity.asked, 1);
				});
				identity.isDown = true;
				identity.discovered = 0;
				await withHost(auth, async (host) => {
					assert.deepEqual([await statuses(host), await statuses(host)], [[503], [503]]);
					assert.equal(identity.discovered, 1);
				});
			} finally {
				await identity.stop();
			}
		});

		test("that go by one name, or none, are told apart by the algorithm, and all that fit are tried", async () => {
			const identity = await startIdentity();
			const keys = ["RS256", "ES256", "ES256"].map((alg) => identity.makeKey(alg, "same"));
			identity.keys = keys;
			try {
				await withHost({ mode: "oidc", issuer: identity.url, audience: "features" }, async (host) => {
					for (const key of keys) {
						for (const header of [{}, { kid: undefined }]) {
							assert.equal((await read(host, identity.token({}, { key, header }))).status, 200, key.alg);
						}
					}
					const stranger = identity.makeKey("ES256", "same");
					assert.equal((await read(host, identity.token({}, { key: stranger }))).status, 401);
				});
			} finally {
				await identity.stop();
			}
		});

		test("of another site, or of another issuer, are not fetched", async () => {
			const [identity, stranger] = [await startIdentity(), await startIdentity()];
			const auth = { mode: "oidc", issuer: identity.url, audience: "features" };
			try {
				for (const discovery of [
					{ issuer: identity.url, jwks_uri: `${stranger.url}/keys` },
					{ issuer: stranger.url, jwks_uri: `${identity.url}/keys` },
				]) {
					identity.discovery = discovery;
					await withHost(auth, async (host) => {
						assert.equal((await read(host, identity.token())).status, 503);
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
				await withHost(auth, async (host) => {
					identity.isDown = true;
					const reply = await read(host, identity.token());
					assert.equal(reply.status, 503);
					assert.ok(Number(reply.headers.get("retry-after")) > 0);
					identity.isDown = false;
					await until(async () => (await read(host, identity.token())).status === 200);
					identity.isDown = true;
					await new Promise((resolve) => setTimeout(resolve, 1_100));
					assert.equal((await read(host, identity.token())).status, 200);
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
			await withHost(
				{ mode: "origin" },
				async (host) => {
					origin.answer(personal);
					for (const who of ["of-one", "of-two", undefined]) {
						for (const _ of range(2)) {
							const [value] = column(await (await read(host, who)).json(), "a");
							assert.equal(value, `${valueFor("a", 1)} for ${who && `Bearer ${who}`}`);
						}
					}
					assert.equal(origin.requests.length, 3, "one call each");
					assert.equal((await read(host, "of-nobody")).status, 401, "the origin's word");
					const keys = await host.storeKeys();
					assert.ok(keys.every((name) => !name.includes("of-")));
				},
				{ authorization: "Bearer of-the-deployment" },
			);
			const shown = new Set(origin.requests.map(({ headers }) => headers.authorization));
			assert.ok(!shown.has("Bearer of-the-deployment"), "the deployment's own credentials are for nobody who asks");
		});

		test("at the same time, too: no flight is shared between bearers", async () => {
			await withHost({ mode: "origin" }, async (host) => {
				origin.answer((request) => ({ ...personal(request), delayMs: 50 }));
				const callers = range(40).map((number) => `caller-${number % 8}`);
				const replies = await Promise.all(callers.map(async (who) => (await read(host, who, 7)).json()));
				replies.forEach((reply, index) => {
					assert.deepEqual(column(reply, "a"), [`${valueFor("a", 7)} for Bearer ${callers[index]}`]);
				});
			});
		});

		test("writes are the origin's to allow, operations the operator's", async () => {
			await withHost({ mode: "origin" }, async (host) => {
				assert.deepEqual(await rights(host, "of-somebody"), [200, 200, 403, 403]);
				assert.deepEqual(await rights(host, OPERATOR), [200, 200, 200, 200]);
			});
		});
	});

	describe("a rate limit", () => {
		test("who asks too often is told when to come back, and others are served", async () => {
			const digest = (token) => createHash("sha256").update(token).digest("hex");
			const table = Object.fromEntries(
				["one", "two"].map((name) => [name, { sha256: digest(name), scopes: ["read"] }]),
			);
			const auth = { mode: "tokens", rate_limit_binding: "LIMIT", retry_after_seconds: 10 };
			await withHost(
				auth,
				async (host) => {
					const statuses = [];
					for (const _ of range(12)) statuses.push((await read(host, "one")).status);
					assert.ok(statuses.filter((status) => status === 200).length >= 5, statuses.join());
					assert.ok(statuses.includes(429), statuses.join());
					const refused = await read(host, "one");
					if (refused.status === 429) assert.equal(refused.headers.get("retry-after"), "10");
					assert.equal((await read(host, "two")).status, 200);
					assert.equal((await fetch(`${host.url}/health`)).status, 200);
				},
				{
					secrets: { FEATHEREDGE_TOKENS: JSON.stringify(table) },
					rateLimits: { LIMIT: { simple: { limit: 5, period: 10 } } },
				},
			);
		});

		test("whoever shows credentials that are not good is counted, whichever they are", async () => {
			await withHost(
				{ mode: "tokens", rate_limit_binding: "LIMIT" },
				async (host) => {
					const statuses = [];
					for (const number of range(12)) statuses.push((await read(host, `guess-${number}`)).status);
					assert.equal(statuses[0], 401);
					assert.ok(statuses.includes(429), statuses.join());
				},
				{ rateLimits: { LIMIT: { simple: { limit: 5, period: 10 } } } },
			);
		});

		test("a limiter that is named and not there is named in the refusal", async () => {
			assert.match(await refusal({ rate_limit_binding: "LIMIT" }), /LIMIT/);
		});
	});

	describe("pages of other sites", () => {
		const SITE = "https://app.example.com";
		const preflight = (host, site, path = FEAST) =>
			fetch(`${host.url}${path}`, {
				method: "OPTIONS",
				headers: { origin: site, "access-control-request-method": "POST" },
			});

		test("those on the list may call, and no others", async () => {
			await withHost({ cors_origins: [SITE] }, async (host) => {
				const asked = await preflight(host, SITE);
				assert.deepEqual([asked.status, asked.headers.get("access-control-allow-origin")], [204, SITE]);
				assert.match(asked.headers.get("access-control-allow-headers"), /authorization/);
				const stranger = await preflight(host, `${SITE}.evil.example`);
				assert.deepEqual([stranger.status, stranger.headers.get("access-control-allow-origin")], [403, null]);
				for (const [site, allowed] of [
					[SITE, SITE],
					["https://evil.example", null],
					["null", null],
				]) {
					const reply = await host.post(FEAST, ask(["a"], [1]), { origin: site });
					assert.equal(reply.status, 200);
					assert.equal(reply.headers.get("access-control-allow-origin"), allowed);
					assert.match(reply.headers.get("vary"), /origin/i);
				}
				const refused = await host.post("/push", {}, { origin: SITE });
				assert.deepEqual([refused.status, refused.headers.get("access-control-allow-origin")], [403, SITE]);
				assert.deepEqual(
					origin.requests.filter(({ method }) => method === "OPTIONS"),
					[],
				);
			});
		});

		test("without a list, nothing is added", async () => {
			await withHost({}, async (host) => {
				const reply = await host.post(FEAST, ask(["a"], [1]), { origin: SITE });
				assert.equal(reply.headers.get("access-control-allow-origin"), null);
			});
		});
	});

	test("a configuration of access that cannot be used is refused by the key", async () => {
		for (const [auth, key] of [
			[{ mode: "basic" }, /auth\.mode/],
			[{ mode: "oidc", issuer: "https://id.example.com" }, /auth\.audience/],
			[{ open: "read" }, /auth\.open/],
			[{ cors_origins: ["example.com/"] }, /auth\.cors_origins/],
		]) {
			assert.match(await refusal(auth), key);
		}
	});
}
