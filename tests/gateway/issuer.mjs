// Who may do what by an issuer's tokens, with real keys. The same for every host with a gateway.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { range } from "../support/features.mjs";
import { forgeries, startIdentity } from "../support/identity.mjs";
import { until } from "../support/wait.mjs";
import { read, scopes, VIEWS, worldOf } from "./callers.mjs";

/** @param {import("./callers.mjs").Hosts} hosts */
export async function testIssuer(hosts) {
	const { start } = hosts;
	const { origin, withHost } = await worldOf(hosts);

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
			assert.deepEqual(await scopes(host, signed()), [200, 403, 403, 403]);
			assert.deepEqual(await scopes(host, signed({ scope: "openid featheredge:write" })), [200, 200, 403, 403]);
			assert.deepEqual(await scopes(host, signed({ scope: ["featheredge:admin"] })), [200, 403, 200, 200]);
			assert.deepEqual(await scopes(host, signed({ scope: "write operate admin" })), [200, 403, 403, 403]);
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
					const statusOf = async (token) => (await read(host, token)).status;
					await until(async () => (await statusOf(identity.token())) === 200, { what: "the new key is known" });
					const withdrawn = identity.token({}, { key: old });
					await until(async () => (await statusOf(withdrawn)) === 401, { what: "the old key is forgotten" });
					const asked = identity.asked;
					const began = Date.now();
					const unknown = identity.token({}, { key: identity.makeKey("RS256") });
					for (const _ of range(20)) assert.equal(await statusOf(unknown), 401);
					// Once for the keys' age, once for the unknown one, and once more for each second that this has taken.
					const seconds = Math.floor((Date.now() - began) / 1_000);
					assert.ok(identity.asked - asked <= 2 + seconds, `${identity.asked - asked} times in ${seconds} s`);
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
					identity.discovered = 0;
					const isAskedAnew = async () => {
						assert.equal((await read(host, identity.token())).status, 200);
						return identity.discovered > 0;
					};
					await until(isAskedAnew, { what: "a question for the keys, whose time is over" });
					assert.equal((await read(host, identity.token())).status, 200);
				});
			} finally {
				await identity.stop();
			}
		});
	});
}
