// The peer that a good engineer writes by hand over ioredis: one key for each row, MGET, and JSON.

import { readRequest, rowsOf, writeAnswer } from "./map-json.mjs";

const LIFETIME_SECONDS = 3_600;

export class RedisJson {
	static title = "ioredis, MGET and JSON by hand";
	#client;

	/** @param {import("ioredis").Redis} client */
	constructor(client) {
		this.#client = client;
	}

	async fill(request, answer) {
		const pipeline = this.#client.pipeline();
		for (const [key, row] of rowsOf(request, answer)) pipeline.set(key, JSON.stringify(row), "EX", LIFETIME_SECONDS);
		await pipeline.exec();
	}

	/** @param {Uint8Array} body */
	async serve(body) {
		const asked = readRequest(body);
		return writeAnswer(asked, await this.#rows(asked));
	}

	/** The features as an object by entity and name. */
	async serveObject(body) {
		const asked = readRequest(body);
		const names = asked.features.map((reference) => reference.slice(reference.indexOf(":") + 1));
		const rows = await this.#rows(asked);
		return Object.fromEntries(
			asked.ids.map((id, at) => [id, Object.fromEntries(names.map((name) => [name, rows[at].values[name]]))]),
		);
	}

	async #rows({ view, ids }) {
		const texts = await this.#client.mget(ids.map((id) => `${view}:${id}`));
		return texts.map((text) => JSON.parse(text));
	}
}
