// As map-json.mjs, over BentoCache with its memory alone: no second level, no serialisation, no grace, no logging. Its interface
// gives promises, so all rows are asked for at once.

import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { readRequest, rowsOf, TTL, writeAnswer } from "./map-json.mjs";

export class BentoJson {
	static title = "BentoCache + JSON";
	static isAsync = true;
	#cache = new BentoCache({
		default: "memory",
		ttl: TTL,
		stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: 10_000, serialize: false })) },
	});

	async fill(request, answer) {
		for (const [key, value] of rowsOf(request, answer)) await this.#cache.set({ key, value });
	}

	async serve(body) {
		const asked = readRequest(body);
		const { view, ids } = asked;
		const rows = await Promise.all(ids.map((id) => this.#cache.get({ key: `${view}:${id}` })));
		return rows.includes(undefined) ? undefined : writeAnswer(asked, rows);
	}
}
