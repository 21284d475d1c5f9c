// The hardest peer: a Map of rows whose values are kept as JSON text, so that an answer is joined of strings and nothing is made
// into JSON again. What is the same from request to request, the names and the statuses, it keeps as text too.

import { ZERO } from "../workload.mjs";
import { readRequest, rowsOf, TTL } from "./map-json.mjs";

export class MapText {
	static title = "Map of JSON text, joined";
	#rows = new Map();
	/** For each reference the feature's name, and the name as JSON. */
	#names = new Map();
	/** The statuses and times of so many join keys, and their statuses alone. */
	#blocks = new Map();

	fill(request, answer) {
		for (const [key, { values, eventTime, fetchedAt }] of rowsOf(request, answer)) {
			const texts = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]));
			this.#rows.set(key, { texts, eventTime: JSON.stringify(eventTime), fetchedAt });
		}
	}

	#name(reference) {
		let name = this.#names.get(reference);
		if (name === undefined) {
			const plain = reference.slice(reference.indexOf(":") + 1);
			name = { plain, text: JSON.stringify(plain) };
			this.#names.set(reference, name);
		}
		return name;
	}

	#block(count) {
		let block = this.#blocks.get(count);
		if (block === undefined) {
			const statuses = new Array(count).fill('"PRESENT"').join(",");
			block = { statuses, zeros: new Array(count).fill(`"${ZERO}"`).join(",") };
			this.#blocks.set(count, block);
		}
		return block;
	}

	serve(body) {
		const { column, view, ids, features } = readRequest(body);
		const oldest = Date.now() - TTL;
		const count = ids.length;
		const rows = new Array(count);
		let times = "";
		for (let at = 0; at < count; at++) {
			const row = this.#rows.get(`${view}:${ids[at]}`);
			if (row === undefined || row.fetchedAt < oldest) return undefined;
			rows[at] = row.texts;
			times += at === 0 ? row.eventTime : `,${row.eventTime}`;
		}
		const { statuses, zeros } = this.#block(count);
		const tail = `],"statuses":[${statuses}],"event_timestamps":[${times}]}`;
		let text = `{"results":[{"values":${JSON.stringify(ids)},"statuses":[${statuses}],"event_timestamps":[${zeros}]}`;
		let names = JSON.stringify(column);
		for (const reference of features) {
			const name = this.#name(reference);
			text += ',{"values":[';
			for (let at = 0; at < count; at++) text += at === 0 ? rows[at][name.plain] : `,${rows[at][name.plain]}`;
			text += tail;
			names += `,${name.text}`;
		}
		return Buffer.from(`${text}],"metadata":{"feature_names":[${names}]}}`);
	}
}
