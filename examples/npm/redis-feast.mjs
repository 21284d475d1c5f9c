// A service in plain Node: features of drivers from memory, from Redis, or from Feast.
//
//   FEAST_URL=http://127.0.0.1:6566 REDIS_URL=redis://127.0.0.1:6379 node redis-feast.mjs

import { createServer } from "node:http";
import { createEngine, feastOrigin } from "featheredge";
import { redisStore } from "featheredge/redis";
import { Redis } from "ioredis";

const redis = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
// It reconnects by itself; until then the engine asks Feast.
redis.on("error", (error) => console.error(error.message));

const engine = await createEngine({
	origin: feastOrigin(process.env.FEAST_URL ?? "http://127.0.0.1:6566", { timeout: 1_000 }),
	l2: redisStore(redis),
	config: { views: { driver_hourly_stats: { join_keys: ["driver_id"], ttl_seconds: 300 } } },
});

const server = createServer(async (request, response) => {
	const driver = Number(new URL(request.url, "http://localhost").searchParams.get("driver"));
	try {
		const { features, cache_stats: tiers } = await engine.serve({
			entities: { driver_id: [driver] },
			feature_names: ["driver_hourly_stats:conv_rate", "driver_hourly_stats:acc_rate"],
			deadline_ms: 1_000,
		});
		response.setHeader("content-type", "application/json");
		response.end(JSON.stringify({ features: features[driver], tiers }));
	} catch (error) {
		response.writeHead(error.status ?? 500).end(error.message);
	}
});
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () =>
	console.log(`ready on http://127.0.0.1:${server.address().port}`),
);
process.once("SIGTERM", () =>
	server.close(async () => {
		await engine.close();
		redis.disconnect();
	}),
);
