// Callers of a host with a gateway: what they ask, and what becomes of it.

import assert from "node:assert/strict";
import { after, beforeEach } from "node:test";
import { answerFeatures, ask, FEAST } from "../support/features.mjs";
import { startOrigin } from "../support/origin.mjs";

export const OPERATOR = "of-the-operator";
export const VIEWS = { stats: { join_keys: ["driver_id"], sources: [] } };
const PUSH = { feature_view_name: "stats", df: { driver_id: [1], a: [1] } };

/** Features, and to all else a word. */
const answer = (request) => (request.path === FEAST ? answerFeatures(request) : { json: null });

export const bearer = (token) => (token === undefined ? {} : { authorization: `Bearer ${token}` });
export const read = (host, token, driver = 1) => host.post(FEAST, ask(["a"], [driver]), bearer(token));
const write = (host, token) => host.post("/write-to-online-store", PUSH, bearer(token));
const operate = (host, token) => host.post("/v1/invalidate", { everything: true }, bearer(token));

/** What a caller with this token gets from reading, writing, operating, and from a path that only the origin knows. */
export async function scopes(host, token) {
	const replies = [await read(host, token), await write(host, token), await operate(host, token)];
	replies.push(await host.post("/registry", {}, bearer(token)));
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

/**
 * @typedef {object} Hosts
 * @property {(options: import("../support/worker.mjs").WorkerOptions) => Promise<import("../support/worker.mjs").Host>} start
 * @property {(options: import("../support/worker.mjs").WorkerOptions) => Promise<string>} refuse starts one that cannot use its settings, and
 *   gives what it says of them
 */

/**
 * An origin for the tests of a file, and hosts before it.
 *
 * @param {Hosts} hosts
 */
export async function worldOf({ start, refuse }) {
	const origin = await startOrigin(answer);
	beforeEach(() => {
		origin.reset();
		origin.answer(answer);
	});
	after(() => origin.stop());
	const settings = (auth) => ({ origin, operatorToken: OPERATOR, vars: { views: VIEWS, auth } });
	return {
		origin,
		/** Runs `use` with a host of these settings. */
		async withHost(auth, use, options = {}) {
			const host = await start({ ...settings(auth), ...options });
			try {
				await use(host);
			} finally {
				await host.stop();
			}
		},
		/** How a host refuses settings that it cannot use. */
		refusal: (auth, options = {}) => refuse({ ...settings(auth), ...options }),
	};
}
