// What it costs to look at a caller's credentials: the same answer from memory over HTTP, in each mode, beside one of which nothing is asked.

import { createHash } from "node:crypto";
import { startIdentity } from "../tests/support/identity.mjs";
import { median } from "./measure.mjs";
import { serveOrigin, serveOurs, startLoad } from "./servers.mjs";
import { originOf, workload } from "./workload.mjs";

const SHAPE = { entities: 1, features: 5 };
const CONNECTIONS = 8;
const ROUNDS = 9;
const ROUND_MILLIS = 400;
const AUDIENCE = "features";
/** More than the Worker remembers: shown by turns, none is known when it comes again. */
const STRANGERS = 2_000;

/** @returns rows: the microseconds that a request takes more than one that shows nothing, and the spread of the rounds */
export async function measureAccess() {
	const { answer, body } = workload(SHAPE);
	const origin = await serveOrigin(originOf({ answer }));
	const identity = await startIdentity();
	const [rsa, ec] = identity.keys;
	const l2 = { enabled: false };
	const token = "of-a-caller";
	const sha256 = createHash("sha256").update(token).digest("hex");
	const oidc = { mode: "oidc", issuer: identity.url, audience: AUDIENCE };
	const servers = {
		none: await serveOurs(origin, { l2 }),
		tokens: await serveOurs(origin, { l2, auth: { mode: "tokens" } }, undefined, {
			FEATHEREDGE_TOKENS: JSON.stringify({ caller: { sha256, scopes: ["read"] } }),
		}),
		oidc: await serveOurs(origin, { l2, auth: oidc }),
	};
	const many = (key) =>
		Array.from({ length: STRANGERS }, (_, number) => identity.token({ sub: `s${number}` }, { key }));
	const contenders = [
		{ what: "nothing is asked", server: servers.none, tokens: [] },
		{ what: "a token of the list", server: servers.tokens, tokens: [token] },
		{ what: "RS256, shown before", server: servers.oidc, tokens: [identity.token({}, { key: rsa })] },
		{ what: "ES256, shown before", server: servers.oidc, tokens: [identity.token({}, { key: ec })] },
		{ what: "RS256, new", server: servers.oidc, tokens: many(rsa) },
		{ what: "ES256, new", server: servers.oidc, tokens: many(ec) },
	];
	const load = startLoad();
	try {
		const run = async ({ server, tokens }, millis) =>
			(await load.run(server, { bodies: [body], tokens, connections: CONNECTIONS, millis })).micros;
		for (const contender of contenders) await run(contender, ROUND_MILLIS);
		const rounds = [];
		for (let number = 0; number < ROUNDS; number++) {
			const round = [];
			for (const contender of contenders) round.push(await run(contender, ROUND_MILLIS));
			rounds.push(round);
		}
		return contenders.map(({ what }, at) => {
			const more = rounds.map((round) => round[at] - round[0]);
			return {
				what,
				"µs a request": Math.round(median(rounds.map((round) => round[at]))),
				"more, µs": Math.round(median(more)),
				least: Math.round(Math.min(...more)),
				most: Math.round(Math.max(...more)),
			};
		});
	} finally {
		load.stop();
		for (const server of Object.values(servers)) await server.stop();
		await identity.stop();
		origin.stop();
	}
}
