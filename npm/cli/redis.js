// The connection of commands to Redis. It is a file of its own because the client is large and most commands
// need none.

import { Cluster, Redis } from "ioredis";
import { EXIT, Failure } from "./failure.js";

/** Connects to Redis, or to a cluster by one or several of its servers, separated by commas. */
export async function connectRedis(urls) {
	const nodes = urls.split(",");
	for (const url of nodes) {
		if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol)) {
			throw new Failure(`expected redis://HOST:PORT, found \`${url}\``, EXIT.usage);
		}
	}
	const single = { lazyConnect: true, maxRetriesPerRequest: 1 };
	let client = new Redis(nodes[0], single);
	let fault;
	// The event has the cause, which the rejection lacks.
	client.on("error", (error) => (fault = error));
	try {
		await client.connect();
		const isCluster = nodes.length > 1 || /cluster_enabled:1/.test(await client.info("cluster"));
		if (isCluster) {
			const { password, username, tls } = client.options;
			client.disconnect();
			client = new Cluster(nodes, { redisOptions: { password, username, tls, maxRetriesPerRequest: 1 } });
			await new Promise((resolve, reject) => client.once("ready", resolve).once("error", reject));
		}
	} catch (error) {
		client.disconnect();
		throw new Failure(
			`cannot reach Redis at ${nodes.map((url) => new URL(url).host).join(", ")}: ${(fault ?? error).message}`,
		);
	}
	// The client reconnects by itself, and the engine works without it meanwhile.
	client.on("error", () => {});
	return client;
}
