// The connection of commands to Redis. It is a file of its own because the client is large and most commands
// need none.

import { Cluster, Redis } from "ioredis";
import { EXIT, Failure } from "./failure.js";

/** How long a connection and each answer on it may take, in milliseconds. */
const CONNECT_MS = 10_000;

/** The result of a promise, or an error when the time is over: a server may accept a connection and say nothing. */
async function withinTime(promise) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`no answer within ${CONNECT_MS / 1_000} s`)), CONNECT_MS);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Connects to Redis, or to a cluster by one or several of its servers, separated by commas. */
export async function connectRedis(urls) {
	const nodes = urls.split(",");
	for (const url of nodes) {
		if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol)) {
			throw new Failure("`--redis` is no URL of Redis: write one such as redis://127.0.0.1:6379", EXIT.usage);
		}
	}
	const single = { lazyConnect: true, maxRetriesPerRequest: 1 };
	let client = new Redis(nodes[0], single);
	let fault;
	// The event has the cause, which the rejection lacks.
	client.on("error", (error) => (fault = error));
	try {
		await withinTime(client.connect());
		const isCluster = nodes.length > 1 || /cluster_enabled:1/.test(await withinTime(client.info("cluster")));
		if (isCluster) {
			const { password, username, tls } = client.options;
			client.disconnect();
			client = new Cluster(nodes, { redisOptions: { password, username, tls, maxRetriesPerRequest: 1 } });
			await withinTime(new Promise((resolve, reject) => client.once("ready", resolve).once("error", reject)));
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
