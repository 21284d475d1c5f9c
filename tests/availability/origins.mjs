// The origins that availability is measured before: what a client may ask of each, well and badly.
//
// Both close a connection some milliseconds after an error that they answer, and do not say so, as uvicorn does where an application has
// raised an exception.

import { once } from "node:events";
import { createServer } from "node:http";
import { startFeast } from "../support/feast.mjs";
import { answerFeatures, FEAST } from "../support/features.mjs";

/** For how long at the most after an error the connection is open, in milliseconds: Feast 0.67 was seen to take from 0.1 to 8.4. */
const CLOSES_WITHIN_MS = 9;
/** Ids that no store has: each is asked for once. */
const FIRST_NEW_ID = 1_000_000;

/**
 * @typedef {{ method: string, path: string, body?: object }} Call
 * @typedef {Call & { isRight: (text: string) => boolean }} GoodCall
 *
 * @typedef {object} Origin
 * @property {string} url
 * @property {object} vars the configuration of a host before it
 * @property {Call[]} mistakes each of which gets an error every time
 * @property {() => GoodCall} read a read that no tier can answer
 * @property {() => GoodCall} push
 * @property {GoodCall[]} passed reads that are passed on
 * @property {() => Promise<unknown>} stop
 */

const post = (path, body) => ({ method: "POST", path, body });

const newIds = () => {
	let next = FIRST_NEW_ID + Math.floor(Math.random() * 1e9);
	return () => next++;
};

/** An origin of a few lines. @returns {Promise<Origin>} */
async function startClosingOrigin() {
	/** @type {WeakSet<import("node:net").Socket>} */
	const closing = new WeakSet();
	const server = createServer(async (request, response) => {
		const { socket } = request;
		// What comes behind an error is not read any more.
		if (closing.has(socket)) return socket.destroy();
		let text = "";
		for await (const chunk of request) text += chunk;
		const { status, json } = answer(request, text === "" ? {} : JSON.parse(text));
		const body = JSON.stringify(json);
		response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
		response.end(body);
		if (status < 400) return;
		closing.add(socket);
		setTimeout(() => socket.destroy(), Math.random() * CLOSES_WITHIN_MS);
	});
	const answer = ({ url }, json) => {
		if (url === "/health" || url === "/v1/vector_stores") return { status: 200, json: {} };
		if (url === "/push") return { status: json.push_source_name === "drivers" ? 200 : 500, json: null };
		if (url !== FEAST) return { status: 500, json: "no such path" };
		const isMistake = json.features.includes("stats:nope") || json.entities.driver_id.includes("abc");
		return isMistake
			? { status: 500, json: "a mistake of the client's" }
			: { status: 200, ...answerFeatures({ json }) };
	};
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const newId = newIds();
	const ask = (features, ids, more) => post(FEAST, { features, entities: { driver_id: ids }, ...more });
	const good = (call, id) => ({ ...call, isRight: (text) => text.includes(`"name of ${id}"`) });
	return {
		url: `http://127.0.0.1:${server.address().port}`,
		vars: { views: { stats: { join_keys: ["driver_id"], sources: [] } }, push_sources: { drivers: ["stats"] } },
		mistakes: [
			ask(["stats:nope"], [1]),
			ask(["stats:name"], ["abc"]),
			ask(["stats:nope"], [1], { foreign: 1 }),
			post("/push", { push_source_name: "nobodys", df: { driver_id: [1], name: ["x"] } }),
			post("/search", {}),
			{ method: "GET", path: "/nope" },
		],
		read() {
			const id = newId();
			return good(ask(["stats:name"], [id]), id);
		},
		push: () => ({
			...post("/push", { push_source_name: "drivers", df: { driver_id: [newId()], name: ["x"] } }),
			isRight: () => true,
		}),
		passed: [
			{ method: "GET", path: "/v1/vector_stores", isRight: (text) => text === "{}" },
			good(ask(["stats:name"], [7], { foreign: 1 }), 7),
		],
		async stop() {
			server.close();
			server.closeAllConnections();
		},
	};
}

/** The project of the tests of Feast. @returns {Promise<Origin>} */
async function startFeastOrigin() {
	const feast = await startFeast();
	const newId = newIds();
	const view = "driver_hourly_stats";
	const pushed = "driver_hourly_stats_fresh";
	const ask = (features, ids, more) => post(FEAST, { features, entities: { driver_id: ids }, ...more });
	const frame = (id) => ({
		driver_id: [id],
		event_timestamp: ["2026-11-23T09:22:41"],
		created: ["2026-11-23T09:22:41"],
		conv_rate: [0.5],
		acc_rate: [0.25],
		avg_daily_trips: [7],
		driver_metadata: [{ vehicle_type: "truck" }],
		driver_config: ['{"max_distance_km": 500}'],
		driver_profile: [{ name: "Zoë", age: "30" }],
	});
	const push = (df, source = "driver_stats_push_source") =>
		post("/push", { push_source_name: source, df, to: "online" });
	const isUnknown = (id) => (text) => {
		const [ids, { statuses }] = JSON.parse(text).results;
		return ids.values[0] === id && statuses[0] === "NOT_FOUND";
	};
	return {
		url: feast.url,
		vars: {
			views: Object.fromEntries([view, pushed].map((name) => [name, { join_keys: ["driver_id"], sources: [] }])),
			push_sources: { driver_stats_push_source: [pushed] },
		},
		mistakes: [
			ask([`${view}:nope`], [1001]),
			ask(["nope:nope"], [1001]),
			ask([`${view}:conv_rate`], ["abc"]),
			ask([`${view}:nope`], [1001], { foreign: 1 }),
			push({ driver_id: [1] }),
			push({ ...frame(1), conv_rate: ["x"] }),
			push(frame(1), "nobodys"),
			post("/retrieve-online-documents", { features: [`${view}:conv_rate`], query: [1], top_k: 1 }),
			{ method: "GET", path: "/nope" },
		],
		read() {
			const id = newId();
			return { ...ask([`${view}:conv_rate`], [id]), isRight: isUnknown(id) };
		},
		push: () => ({ ...push(frame(newId())), isRight: () => true }),
		passed: [
			{ method: "GET", path: "/v1/vector_stores", isRight: (text) => JSON.parse(text) !== undefined },
			{ ...ask([`${view}:conv_rate`], [7], { foreign: 1 }), isRight: isUnknown(7) },
		],
		stop: feast.stop,
	};
}

/** How each is started, by its name. */
export const ORIGINS = { closing: startClosingOrigin, feast: startFeastOrigin };
