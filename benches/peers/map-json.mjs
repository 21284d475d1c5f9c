// The peer that a good engineer writes by hand: a Map of rows, JSON.parse in, JSON.stringify out, and no logging.
//
// Rows and not cells are what it keeps, and it looks each row up once: every advantage that the plain approach has.

const ZERO = "1970-01-01T00:00:00Z";

export class MapJson {
	#rows = new Map();

	/** Fills the cache from an answer of Feast's contract to a request for one view, keyed by one column. */
	fill(request, answer) {
		const [column] = Object.keys(request.entities);
		const view = request.features[0].split(":")[0];
		request.entities[column].forEach((id, row) => {
			const values = {};
			let eventTime = ZERO;
			answer.metadata.feature_names.forEach((name, at) => {
				if (name === column) return;
				values[name] = answer.results[at].values[row];
				eventTime = answer.results[at].event_timestamps[row];
			});
			this.#rows.set(`${view}:${id}`, { values, eventTime, fetchedAt: Date.now() });
		});
	}

	/**
	 * @param {Uint8Array} body
	 * @returns {Uint8Array | undefined} the answer, where every row is there and fresh
	 */
	serve(body) {
		const request = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString());
		const [column] = Object.keys(request.entities);
		const ids = request.entities[column];
		const view = request.features[0].slice(0, request.features[0].indexOf(":"));
		const oldest = Date.now() - 300_000;
		const rows = new Array(ids.length);
		for (let at = 0; at < ids.length; at++) {
			const row = this.#rows.get(`${view}:${ids[at]}`);
			if (row === undefined || row.fetchedAt < oldest) return undefined;
			rows[at] = row;
		}
		const present = new Array(ids.length).fill("PRESENT");
		const eventTimes = rows.map((row) => row.eventTime);
		const names = [column];
		const results = [{ values: ids, statuses: present, event_timestamps: new Array(ids.length).fill(ZERO) }];
		for (const reference of request.features) {
			const name = reference.slice(reference.indexOf(":") + 1);
			names.push(name);
			results.push({ values: rows.map((row) => row.values[name]), statuses: present, event_timestamps: eventTimes });
		}
		return Buffer.from(JSON.stringify({ results, metadata: { feature_names: names } }));
	}
}
