// The real Feast SDK with its OIDC client reads through Featheredge in the mode `oidc`, with tokens that it gets from the provider itself.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startIdentity } from "../support/identity.mjs";
import { getOnlineFeatures, startWorld } from "./world.mjs";

const AUDIENCE = "features";
const READ = { features: ["driver_hourly_stats:conv_rate"], entity_rows: { driver_id: [1001, 1002] } };

/** @type {import("./world.mjs").World} */
let world;
/** @type {import("../support/identity.mjs").Identity} */
let identity;
let edge;
before(async () => {
	identity = await startIdentity({ audience: AUDIENCE });
	world = await startWorld();
	edge = await world.startEdge({ auth: { mode: "oidc", issuer: identity.url, audience: AUDIENCE } });
});
after(async () => {
	await world?.stop();
	await identity?.stop();
});

/** What the SDK gets with this client, by the name of the place that it reads from. */
async function readWith(auth, sources) {
	const file = join(world.feast.dir, "calls.json");
	writeFileSync(file, JSON.stringify({ repo: world.feast.repo, sources, calls: { read: READ }, auth }));
	return JSON.parse((await world.feast.python("read_with_sdk.py", [file])).trim().split("\n").at(-1)).read;
}

test("the SDK with OIDC gets a token, shows it, and reads what Feast itself gives", async () => {
	const client = { client_id: "trainer", client_secret: "secret" };
	const auth = { type: "oidc", auth_discovery_url: `${identity.url}/.well-known/openid-configuration`, ...client };
	const { edge: got, direct } = await readWith(auth, { edge: edge.url, direct: world.feast.url });
	assert.ok(direct.values, JSON.stringify(direct));
	assert.deepEqual(got, direct);
	assert.ok(identity.asked > 0, "the keys were fetched");
});

test("a caller without a token, or with one for another audience, is refused", async () => {
	const body = { features: READ.features, entities: READ.entity_rows };
	assert.equal((await getOnlineFeatures(edge.url, body)).status, 401);
	const token = identity.token({ aud: "others" });
	const { edge: got } = await readWith({ type: "oidc", token }, { edge: edge.url });
	assert.ok(got.error, JSON.stringify(got));
	assert.match(got.message, /401|another audience/);
});
