// Who may do what, by `featheredge serve`.

import { after, before } from "node:test";
import { testAccess } from "../gateway/access.mjs";
import { startRedis } from "../support/redis.mjs";
import { refuseServe, startServe } from "../support/serve.mjs";

let redis;
before(async () => {
	redis = await startRedis();
});
after(async () => {
	await redis?.stop();
	redis?.remove();
});

testAccess({ start: (options) => startServe({ redis, ...options }), refuse: refuseServe });
