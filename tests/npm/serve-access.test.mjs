// Who may do what, by `featheredge serve`.

import { after } from "node:test";
import { testAccess } from "../gateway/access.mjs";
import { testIssuer } from "../gateway/issuer.mjs";
import { startRedis } from "../support/redis.mjs";
import { refuseServe, startServe } from "../support/serve.mjs";

const redis = await startRedis();
after(async () => {
	await redis.stop();
	redis.remove();
});

const hosts = { start: (options) => startServe({ redis, ...options }), refuse: refuseServe };
await testAccess(hosts);
await testIssuer(hosts);
