// Who may do what, in each mode but an issuer's, and that nobody gets what another was answered. The same for every host with a gateway.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { answerFeatures, ask, column, FEAST, range, valueFor } from "../support/features.mjs";
import { requestTarget } from "../support/raw.mjs";
import { bearer, OPERATOR, read, scopes, VIEWS, worldOf } from "./callers.mjs";

/** @param {import("./callers.mjs").Hosts} hosts */
export async function testAccess(hosts) {
	const { start } = hosts;
	const { origin, withHost, refusal } = await worldOf(hosts);

	describe("mode none", () => {
		test("anyone reads; writes and operations are the operator's, and its token goes no further", async () => {
			await withHost({}, async (host) => {
				assert.deepEqual(await scopes(host, undefined), [200, 403, 403, 403]);
				assert.deepEqual(await scopes(host, "of-somebody"), [200, 403, 403, 403]);
				origin.reset();
				assert.deepEqual(await scopes(host, OPERATOR), [200, 200, 200, 200]);
				assert.ok(origin.requests.length > 0);
				for (const { headers } of origin.requests) assert.equal(headers.authorization, undefined);
			});
		});

		test("what is open needs nothing, and nothing else is", async () => {
			await withHost({ anonymous_scopes: ["write"] }, async (host) => {
				assert.deepEqual(await scopes(host, undefined), [403, 200, 403, 403]);
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
				assert.deepEqual(await scopes(host, OPERATOR), [200, 200, 200, 200]);
				const deleted = await fetch(`${host.url}/registry/x`, { method: "DELETE", headers: bearer(OPERATOR) });
				assert.equal(deleted.status, 200);
				assert.ok(origin.requests.length >= 4);
				assert.deepEqual([...shown()], ["Bearer of-the-deployment"]);
			});
		});

		test("an operator's token in another form goes nowhere", async () => {
			await withCredentials({}, async (host) => {
				for (const shown of [`Bearer\t${OPERATOR}`, `Bearer ${OPERATOR},`, `Bearer x, Bearer ${OPERATOR}`]) {
					await host.post("/push", {}, { authorization: shown });
					await host.post(FEAST, ask(["a"], [1]), { authorization: shown });
				}
				for (const { headers } of origin.requests) assert.ok(!headers.authorization?.includes(OPERATOR));
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
					"/push/",
					"//push//",
					"/x/../pus%68/",
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
					"/..%2fsecret",
					"/%2e%2e%2fsecret",
					"/x/..%2f..%2fsecret",
					"/..%5csecret",
					"/..;/secret",
				]) {
					assert.equal(await send("GET", target), 400, target);
					assert.deepEqual(origin.requests, [], target);
				}
				for (const target of ["/../secret", "/%2e%2e/secret", "/x/%2E./../../secret", "/..\\..\\secret"]) {
					assert.equal(await send("GET", target), 200, target);
					assert.equal(origin.requests.length, 1, target);
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

		test("each token has its scopes, and the origin is shown the deployment's own credentials", async () => {
			const table = {
				reader: { sha256: digest("reads-only"), scopes: ["read"] },
				writer: { sha256: digest("reads-and-writes").toUpperCase(), scopes: ["read", "write"] },
				keeper: { sha256: digest("operates-only"), scopes: ["admin"] },
			};
			await withHost(
				{ mode: "tokens" },
				async (host) => {
					assert.deepEqual(await scopes(host, undefined), [401, 401, 401, 401]);
					for (const unknown of [
						"reads-onlY",
						"reads-only2",
						"reads-onl",
						"",
						digest("reads-only"),
						"x".repeat(20_000),
					]) {
						assert.deepEqual(await scopes(host, unknown), [401, 401, 401, 401], unknown.slice(0, 70));
					}
					assert.deepEqual(origin.requests, []);
					assert.deepEqual(await scopes(host, "reads-only"), [200, 403, 403, 403]);
					assert.deepEqual(await scopes(host, "reads-and-writes"), [200, 200, 403, 403]);
					assert.deepEqual(await scopes(host, "operates-only"), [403, 403, 200, 200]);
					assert.deepEqual(await scopes(host, OPERATOR), [200, 200, 200, 200]);
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
			["null", "null"],
			["a token without scopes", JSON.stringify({ a: { sha256: digest("of-somebody") } })],
			["the scope of none", JSON.stringify({ a: { sha256: digest("of-somebody"), scopes: ["nothing"] } })],
			["an unknown scope", JSON.stringify({ a: { sha256: digest("of-somebody"), scopes: ["everything"] } })],
		]) {
			test(`a secret that is ${name}: refused, and the error does not quote it`, async () => {
				const said = await refusal({ mode: "tokens" }, { secrets: { FEATHEREDGE_TOKENS: secret } });
				assert.match(said, /FEATHEREDGE_TOKENS/);
				assert.ok(!said.includes("of-somebody"), said);
				assert.deepEqual(origin.requests, []);
			});
		}
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

		test("no flight is shared between bearers who read at the same time", async () => {
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
				assert.deepEqual(await scopes(host, "of-somebody"), [200, 200, 403, 403]);
				assert.deepEqual(await scopes(host, OPERATOR), [200, 200, 200, 200]);
			});
		});
	});

	describe("a rate limit", () => {
		test("a caller over its rate limit gets a time to retry, and others are served", async () => {
			const digest = (token) => createHash("sha256").update(token).digest("hex");
			const table = Object.fromEntries(
				["one", "two"].map((name) => [name, { sha256: digest(name), scopes: ["read"] }]),
			);
			const auth = { mode: "tokens", rate_limit_binding: "LIMIT", retry_after_seconds: 10 };
			await withHost(
				auth,
				async (host) => {
					const replies = [];
					for (const _ of range(12)) replies.push(await read(host, "one"));
					const statuses = replies.map(({ status }) => status);
					assert.ok(statuses.filter((status) => status === 200).length >= 5, statuses.join());
					const refused = replies.find(({ status }) => status === 429);
					assert.equal(refused?.headers.get("retry-after"), "10", statuses.join());
					assert.equal((await read(host, "two")).status, 200);
					assert.equal((await fetch(`${host.url}/health`)).status, 200);
				},
				{
					secrets: { FEATHEREDGE_TOKENS: JSON.stringify(table) },
					rateLimits: { LIMIT: { simple: { limit: 5, period: 10 } } },
				},
			);
		});

		test("invalid credentials count against their address, whichever they are", async () => {
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

		test("where the origin judges, an address is counted whatever it shows, and so is who asks whether it is ready", async () => {
			const limit = { rateLimits: { LIMIT: { simple: { limit: 5, period: 10 } } } };
			await withHost(
				{ mode: "origin", rate_limit_binding: "LIMIT" },
				async (host) => {
					const statuses = [];
					for (const number of range(12)) statuses.push((await read(host, `made-up-${number}`)).status);
					assert.equal(statuses[0], 200);
					assert.ok(statuses.includes(429), statuses.join());
					const ready = [];
					for (const _ of range(12)) ready.push((await fetch(`${host.url}/ready`)).status);
					assert.ok(ready.includes(429), ready.join());
				},
				limit,
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

		test("what the origin says of other sites goes no further", async () => {
			origin.answer({
				json: {},
				headers: { "access-control-allow-credentials": "true", "access-control-allow-origin": "https://evil.example" },
			});
			for (const [sites, allowed] of [
				[[SITE], SITE],
				[["*"], "*"],
			]) {
				await withHost({ cors_origins: sites }, async (host) => {
					const reply = await fetch(`${host.url}/registry`, { headers: { origin: SITE } });
					assert.equal(reply.headers.get("access-control-allow-origin"), allowed);
					assert.equal(reply.headers.get("access-control-allow-credentials"), null);
					const asked = await preflight(host, SITE);
					assert.match(asked.headers.get("access-control-allow-headers"), /featheredge-session, traceparent/);
				});
			}
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
			[{ anonymous_scopes: "read" }, /auth\.anonymous_scopes/],
			[{ cors_origins: ["example.com/"] }, /auth\.cors_origins/],
		]) {
			assert.match(await refusal(auth), key);
		}
	});
}
