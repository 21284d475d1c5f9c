// A token's signature is checked once while its key is believed: how often, and when again, is seen by counting what WebCrypto is asked.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, afterEach, before, beforeEach, mock, test } from "node:test";
import { issuerKeys } from "../../npm/src/gateway/oidc.js";
import { startIdentity } from "../support/identity.mjs";

const JWKS_TTL_SECONDS = 300;
const SKEW_SECONDS = 60;
/** As many as are remembered; `npm/src/gateway/oidc.js` has the same. */
const REMEMBERED = 1_000;

/** @type {import("../support/identity.mjs").Identity} */
let identity;
before(async () => {
	identity = await startIdentity();
});
after(() => identity?.stop());

let checks;
let keys;
beforeEach(() => {
	mock.timers.enable({ apis: ["Date"], now: Date.now() });
	checks = mock.method(crypto.subtle, "verify").mock;
	keys = issuerKeys({ issuer: identity.url, jwks_ttl_seconds: JWKS_TTL_SECONDS, clock_skew_seconds: SKEW_SECONDS });
});
afterEach(() => {
	mock.restoreAll();
	mock.timers.reset();
});

const verify = (token) => keys.verify(token, createHash("sha256").update(token).digest("hex"));

/** How many signatures `act` has had checked. */
async function checked(act) {
	const before = checks.callCount();
	await act();
	return checks.callCount() - before;
}

const isGood = async (token) => assert.equal((await verify(token)).fault, undefined);

test("a token that is shown again is not checked again, by either algorithm", async () => {
	for (const key of identity.keys) {
		const token = identity.token({}, { key });
		assert.equal(await checked(() => isGood(token)), 1, key.alg);
		assert.equal(await checked(() => isGood(token)), 0, key.alg);
	}
});

test("a token with a wrong signature is checked and refused each time", async () => {
	const [head, claims, signature] = identity.token().split(".");
	const forged = `${head}.${claims}.${signature.slice(4)}AAAA`;
	for (let time = 0; time < 3; time += 1) {
		const count = await checked(async () => assert.match((await verify(forged)).fault, /signature is wrong/));
		assert.equal(count, 1);
	}
});

test("a known token expires at its `exp`, as an unknown one does", async () => {
	const exp = Math.floor(Date.now() / 1000) + 100;
	const token = identity.token({ exp });
	await isGood(token);
	mock.timers.tick((100 + SKEW_SECONDS - 2) * 1000);
	assert.equal(await checked(() => isGood(token)), 0);
	mock.timers.tick(3_000);
	assert.match((await verify(token)).fault, /has expired/);
});

test("a known token is checked anew when the issuer's keys are fetched anew, and refused when its key is withdrawn", async () => {
	const token = identity.token({ exp: Math.floor(Date.now() / 1000) + 10 * JWKS_TTL_SECONDS });
	await isGood(token);
	mock.timers.tick((JWKS_TTL_SECONDS + 1) * 1000);
	assert.equal(await checked(() => isGood(token)), 1, "the same key");
	assert.equal(await checked(() => isGood(token)), 0);
	const published = identity.keys;
	identity.keys = [identity.makeKey("ES256")];
	try {
		mock.timers.tick((JWKS_TTL_SECONDS + 1) * 1000);
		assert.match((await verify(token)).fault, /no key of the issuer/);
	} finally {
		identity.keys = published;
	}
});

test("a known token is accepted while the issuer is down, for as long as its keys are", async () => {
	const token = identity.token({ exp: Math.floor(Date.now() / 1000) + 100_000 });
	await isGood(token);
	identity.isDown = true;
	try {
		mock.timers.tick((JWKS_TTL_SECONDS + 1) * 1000);
		assert.equal(await checked(() => isGood(token)), 0);
		mock.timers.tick(3_600_000);
		assert.equal((await verify(token)).isOutage, true);
	} finally {
		identity.isDown = false;
	}
});

test("a thousand tokens are remembered, the most recently used ones, and no long ones", async () => {
	const [, key] = identity.keys;
	const tokens = Array.from({ length: REMEMBERED + 1 }, (_, number) => identity.token({ jti: number }, { key }));
	const [first, second, ...others] = tokens;
	await isGood(first);
	await isGood(second);
	for (const token of others.slice(0, -1)) await isGood(token);
	await isGood(first);
	await isGood(others.at(-1));
	assert.equal(await checked(() => isGood(first)), 0, "used lately");
	assert.equal(await checked(() => isGood(second)), 1, "used before all others");
	const long = identity.token({ what: "x".repeat(4_096) }, { key });
	await isGood(long);
	assert.equal(await checked(() => isGood(long)), 1);
});
