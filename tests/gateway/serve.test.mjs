// The boundary as `featheredge serve` keeps it.

import { after } from "node:test";
import { startRedis } from "../support/redis.mjs";
import { refuseServe, startServe } from "../support/serve.mjs";
import { testBoundary } from "./boundary.mjs";

const redis = await startRedis();
after(async () => {
	await redis.stop();
	redis.remove();
});

await testBoundary({
	start: (options) => startServe({ redis, ...options }),
	refuse: refuseServe,
	saysContinue: true,
	readsAnswersApart: true,
	knowsUnsent: true,
});
