// An origin of Feast's form whose every value tells what it is of, which version it is, and which read of the origin gave it: so the
// checker knows of each value it sees when it was read, and what had been written by then.
//
// It reads keys as Feast does (keys.mjs), answers with the keys that it made of them, and fails a call for one key that it cannot read.

import { once } from "node:events";
import { createServer } from "node:http";
import { COLUMNS, delayOf, failureOf, isUnknown, NULLS, PUSH_SOURCES, SERVICES, VIEWS } from "./dataset.mjs";
import { parseExact, spellingOf } from "./keys.mjs";

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const now = () => performance.now();

/** How often a row is written past the product, in milliseconds. */
const RAISE_EVERY_MS = 40;
/** No call is to take so long; one that does so on a busy machine may time out. */
const SLOW_MS = 1_600;

/**
 * @typedef {object} Read what one call read
 * @property {number} number
 * @property {number} askedAt when the call had come
 * @property {number} readAt when all of its values were read, at one moment
 *
 * @typedef {{ version: number, at: number }} Version of a row, and when it was written
 */

export class Origin {
	/** @type {Read[]} by number */
	reads = [];
	/** The versions of each row that was written, by view and entity, latest last. @type {Map<string, Version[]>} */
	#rows = new Map();
	/** When it failed or was slower than any product waits for. @type {{ from: number, to: number }[]} */
	faults = [];
	/** What it does in place of an answer. @type {string | undefined} */
	fault;
	/** The same of the registry. @type {string | undefined} */
	registryFault;
	#server;
	#chance;
	#traits;
	#raising;
	counts = { reads: 0, writes: 0, raised: 0, failed: 0 };

	/**
	 * @param {import("./random.mjs").Chance} chance
	 * @param {{ hasStatuses: boolean, times: "zone" | "none" | "zoneless" | "odd", slowPercent: number }} traits
	 */
	constructor(chance, traits) {
		this.#chance = chance;
		this.#traits = traits;
	}

	async start() {
		this.#server = createServer((request, response) => {
			this.#serve(request, response).catch((error) => {
				response.destroy();
				console.error("the origin broke:", error);
			});
		});
		this.#server.keepAliveTimeout = 60_000;
		this.#server.listen(0, "127.0.0.1");
		await once(this.#server, "listening");
		this.url = `http://127.0.0.1:${this.#server.address().port}`;
		return this;
	}

	/** Writes these rows now and then, past the product. */
	raise(rows) {
		this.#raising = setInterval(() => {
			this.write(...this.#chance.pick(rows));
			this.counts.raised += 1;
		}, RAISE_EVERY_MS);
	}

	async stop() {
		clearInterval(this.#raising);
		this.#server.closeAllConnections();
		this.#server.close();
		await once(this.#server, "close");
	}

	/** Begins to fail, or ends it; what is in between does not count as well. */
	setFault(fault) {
		if (this.fault !== undefined) this.faults.at(-1).to = now();
		if (fault !== undefined) this.faults.push({ from: now(), to: Number.POSITIVE_INFINITY });
		this.fault = fault;
	}

	/** Whether it was well all the time between these moments. */
	wasWell(from, to) {
		return this.faults.every((fault) => fault.to < from || fault.from > to);
	}

	/** The version of a row that had been written by a moment; 0 where none had. */
	versionAt(view, entity, at) {
		const versions = this.#rows.get(`${view}|${entity}`) ?? [];
		return versions.findLast((version) => version.at <= at)?.version ?? 0;
	}

	write(view, entity) {
		const key = `${view}|${entity}`;
		const versions = this.#rows.get(key) ?? [];
		const version = { version: (versions.at(-1)?.version ?? 0) + 1, at: now() };
		versions.push(version);
		this.#rows.set(key, versions);
		return version;
	}

	async #serve(request, response) {
		let body = "";
		request.setEncoding("utf8");
		try {
			for await (const chunk of request) body += chunk;
		} catch {
			return;
		}
		const path = request.url.split("?")[0];
		if (path === "/health") return response.end();
		if (path === "/api/v1/feature_views") return this.#tellRegistry(response);
		if (path === "/get-online-features") return this.#answer(body, response);
		if (path === "/push" || path === "/write-to-online-store") return this.#take(body, request, response);
		response.writeHead(404).end();
	}

	async #tellRegistry(response) {
		if (this.registryFault === "hang") await wait(8_000);
		if (this.registryFault === "500") return response.writeHead(500).end("no");
		const featureViews = Object.entries(VIEWS).map(([name, { keys, made_of: source }]) => ({
			spec: {
				name,
				...(source === undefined
					? { entityColumns: keys.map((name) => ({ name })) }
					: { sources: { [source]: { featureViewProjection: { featureViewName: source, joinKeyMap: {} } } } }),
				...(PUSHED[name] !== undefined && { streamSource: { name: PUSHED[name] } }),
			},
		}));
		response.setHeader("content-type", "application/json").end(JSON.stringify({ featureViews }));
	}

	#delays(ids) {
		const slow = ids.map(delayOf).filter(Boolean);
		if (slow.length > 0) {
			return {
				before: Math.max(...slow.map(({ before }) => before)),
				after: Math.max(...slow.map(({ after }) => after)),
			};
		}
		const delay = () =>
			this.#chance.happens(this.#traits.slowPercent) ? this.#chance.below(350) : this.#chance.below(8);
		return { before: delay(), after: delay() };
	}

	/** Fails as it is told to; whether it did. */
	async #fail(fault, response) {
		if (fault === undefined) return false;
		this.counts.failed += 1;
		if (fault === "hang") return true;
		if (fault === "close") response.destroy();
		else if (fault === "malformed")
			response.setHeader("content-type", "application/json").end("<html>all is well</html>");
		else if (fault === "cut") {
			response.setHeader("content-type", "application/json").write('{"metadata":{"feature_na');
			await wait(3);
			response.destroy();
		} else response.writeHead(Number(fault), { "content-type": "application/json" }).end('"it is ill"');
		return true;
	}

	async #answer(body, response) {
		const askedAt = now();
		this.counts.reads += 1;
		const request = parseExact(body);
		const columns = Object.entries(request.entities).map(([name, values]) => [name, values.map(spellingOf)]);
		const keys = columns.map(([name, spellings]) => spellings.map((spelling) => COLUMNS[name]?.read(spelling)));
		const ids = keys.flat().filter((key) => key !== undefined);
		const fault = this.fault;
		const { before, after } = this.#delays(ids);
		await wait(before);
		if (await this.#fail(fault, response)) return;
		const references = request.feature_service ? SERVICES[request.feature_service] : request.features;
		const failure = ids.map((id) => failureOf(id, references)).find((status) => status !== undefined);
		if (failure === "malformed") return response.setHeader("content-type", "application/json").end('{"results":');
		if (failure !== undefined) {
			const headers = failure === 302 ? { location: "http://nowhere.invalid/" } : {};
			const head = { "content-type": "application/json", ...headers };
			return response.writeHead(Number(failure), head).end('"not for you"');
		}
		if (keys.flat().some((key) => key === undefined)) {
			return response.writeHead(500, { "content-type": "application/json" }).end('"ValueError"');
		}
		const read = { number: this.reads.length, askedAt, readAt: now() };
		this.reads.push(read);
		const text = this.#table(request, references, columns, keys, read);
		if (text === undefined) return response.writeHead(404).end('"no such view"');
		await wait(after);
		// As far as the product can tell, it was ill.
		if (now() - askedAt > SLOW_MS) this.faults.unshift({ from: askedAt, to: now() });
		if (await this.#fail(this.fault, response)) return;
		response.setHeader("content-type", "application/json").end(text);
	}

	/** The answer: what stands in the rows now. */
	#table(request, references, columns, keys, read) {
		const count = keys[0].length;
		const names = columns.map(([name]) => name);
		const results = keys.map((values, column) => {
			const isInteger = COLUMNS[names[column]].name === "integer";
			return this.#column(
				values.map((value) => (isInteger ? value : JSON.stringify(value))),
				values.map(() => "PRESENT"),
			);
		});
		for (const reference of references) {
			const [view, feature] = reference.split(":");
			if (!VIEWS[view]?.features.includes(feature)) return undefined;
			names.push(request.full_feature_names === true ? `${view}__${feature}` : feature);
			const [values, statuses] = [[], []];
			for (let row = 0; row < count; row++) {
				const entity = entityOf(view, columns, keys, row);
				const isKnown = entity !== undefined && !entity.split("|").some(isUnknown);
				const isNull = !isKnown || NULLS.has(reference);
				values.push(isNull ? "null" : JSON.stringify(namedValue(reference, entity, this.#version(view, entity), read)));
				statuses.push(isKnown ? "PRESENT" : "NOT_FOUND");
			}
			results.push(this.#column(values, statuses));
		}
		return `{"metadata":{"feature_names":${JSON.stringify(names)}},"results":[${results.join()}]}`;
	}

	#version(view, entity) {
		const source = VIEWS[view].made_of ?? view;
		return this.#rows.get(`${source}|${entity}`)?.at(-1).version ?? 0;
	}

	#column(values, statuses) {
		const { hasStatuses, times } = this.#traits;
		let text = `{"values":[${values.join()}]`;
		if (hasStatuses) text += `,"statuses":${JSON.stringify(statuses)}`;
		const time = { zone: "2026-11-01T00:00:00Z", zoneless: "2026-11-01T00:00:00", odd: "the first of November" }[times];
		if (time !== undefined) {
			// One row in three has none, as of an entity that is unknown.
			const all = statuses.map((status, row) =>
				status === "NOT_FOUND" || row % 3 === 2 ? "1970-01-01T00:00:00Z" : time,
			);
			text += `,"event_timestamps":${JSON.stringify(all)}`;
		}
		return `${text}}`;
	}

	/** A write. What it wrote is told in a header, which the product passes back. */
	async #take(body, request, response) {
		const number = request.headers["x-checker-write"];
		const write = this.writes.get(number);
		const askedAt = now();
		this.counts.writes += 1;
		const fault = this.fault;
		const { before, after } = write?.delays ?? { before: 0, after: 0 };
		await wait(before);
		if (fault !== undefined && fault !== "close" && fault !== "hang") {
			await this.#fail(fault, response);
			return;
		}
		const { df, feature_view_name: view, push_source_name: source } = parseExact(body);
		const target = view ?? PUSH_SOURCES[source];
		const columns = VIEWS[target].keys.map((name) => [name, df[name].map(spellingOf)]);
		const keys = columns.map(([name, spellings]) => spellings.map((spelling) => COLUMNS[name].read(spelling)));
		const applied = keys[0].map((_, row) => {
			const entity = entityOf(target, columns, keys, row);
			return { view: target, entity, ...this.write(target, entity) };
		});
		if (write !== undefined) Object.assign(write, { askedAt, applied });
		await wait(after);
		// One in some fails although it has written.
		if (await this.#fail(fault ?? write?.fault, response)) return;
		response.setHeader("content-type", "application/json").end("null");
	}

	/** What the checker says of its writes, by the number that their header has. @type {Map<string, any>} */
	writes = new Map();
}

const PUSHED = Object.fromEntries(Object.entries(PUSH_SOURCES).map(([source, view]) => [view, source]));

/** The entity of a view in a row of a request, as text; nothing where the request lacks a key of it. */
export function entityOf(view, columns, keys, row) {
	const parts = VIEWS[view].keys.map((name) => keys[columns.findIndex(([column]) => column === name)]?.[row]);
	return parts.includes(undefined) ? undefined : parts.join("|");
}

/** A value that tells all of itself. */
const namedValue = (reference, entity, version, read) => `${reference}=${entity}@${version}#${read.number}`;

/** What a value tells; nothing where it is none of this origin's. */
export function readValue(value) {
	const found = typeof value === "string" && /^([^:=]+):([^:=]+)=(.*)@(\d+)#(w?\d+)$/u.exec(value);
	if (!found) return undefined;
	const [, view, feature, entity, version, read] = found;
	return { view, feature, entity, version: Number(version), read };
}
