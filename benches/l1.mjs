// L1, in one process: body bytes to answer bytes, all in memory, ours beside those who might be used in its place.

import assert from "node:assert/strict";
import { Engine } from "./engine.mjs";
import { compare, race } from "./measure.mjs";
import { BentoJson } from "./peers/bento-json.mjs";
import { Copy } from "./peers/copy.mjs";
import { LruJson } from "./peers/lru-json.mjs";
import { MapJson } from "./peers/map-json.mjs";
import { MapText } from "./peers/map-text.mjs";
import { originOf, workload } from "./workload.mjs";

/**
 * What is asked, and how many times faster ours is to be than each of the peers that write JSON, than the one that joins text, and
 * than a copy.
 */
const SHAPES = [
	{ entities: 1, features: 5, json: 4, text: 2 },
	{ entities: 5, features: 15, json: 8 },
	{ entities: 10, features: 20, json: 8 },
	{ entities: 100, features: 50, json: 15, text: 4, copy: 1 / 1.5 },
	{ entities: 1_000, features: 20 },
	{ entities: 100, features: 1, floats: 128, json: 15 },
];

const PEERS = [
	{ Peer: MapJson, goal: "json" },
	{ Peer: LruJson, goal: "json" },
	{ Peer: BentoJson, goal: "json" },
	{ Peer: MapText, goal: "text" },
	{ Peer: Copy, goal: "copy" },
];

const ROUND_MILLIS = 15;

const nameOf = ({ entities, features, floats }) =>
	`l1 ${entities} × ${floats === undefined ? features : `vector of ${floats}`}`;

/** @returns rows for each shape that `isWanted`, one for each peer */
export async function measureL1(isWanted) {
	const rows = [];
	for (const shape of SHAPES) {
		const name = nameOf(shape);
		if (!isWanted(name)) continue;
		const { request, answer, body } = workload(shape);
		const engine = new Engine({ l2: { enabled: false }, limits: { cells: 1_000_000, entities: 10_000 } });
		engine.fill(body, originOf({ answer }));
		const contenders = [{ serve: () => engine.serve(body) }];
		for (const { Peer } of PEERS) {
			const peer = new Peer();
			await peer.fill(request, answer);
			contenders.push({ serve: () => peer.serve(body), isAsync: Peer.isAsync });
		}
		for (const { serve } of contenders) assert.deepEqual(JSON.parse(Buffer.from(await serve()).toString()), answer);
		const [ours, ...theirs] = await race(contenders, ROUND_MILLIS);
		PEERS.forEach(({ Peer, goal }, at) => {
			rows.push(compare({ name, unit: "µs", peerName: Peer.title, goal: shape[goal] }, ours, theirs[at]));
		});
	}
	return rows;
}
