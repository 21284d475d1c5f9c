// What measuring costs: the engine of the npm package with `telemetry.enabled` and without, side by side, all in memory. What is told
// in the background is in the figure: the process is let do it after every few hundred of them.

import { setImmediate as rest } from "node:timers/promises";
import { createEngine } from "../build/package/dist/node.js";
import { compare, ROUNDS } from "./measure.mjs";
import { workload } from "./workload.mjs";

const SHAPES = [
	{ entities: 1, features: 5 },
	{ entities: 10, features: 20 },
	{ entities: 100, features: 50 },
];

/** The goal: measuring is at most a twentieth of an answer from memory. */
const GOAL = 1 / 1.05;

const ROUND_MILLIS = 40;
const BETWEEN_RESTS = 250;

async function timed(engine, body, options) {
	const began = process.hrtime.bigint();
	const end = began + BigInt(ROUND_MILLIS) * 1_000_000n;
	let calls = 0;
	while (process.hrtime.bigint() < end) {
		for (let call = 0; call < BETWEEN_RESTS; call++) engine.serveBytes(body, options);
		calls += BETWEEN_RESTS;
		await rest();
	}
	return Number(process.hrtime.bigint() - began) / 1_000 / calls;
}

/** @returns rows for each shape that `isWanted` */
export async function measureRecording(isWanted) {
	const rows = [];
	for (const shape of SHAPES) {
		const name = `recording ${shape.entities} × ${shape.features}`;
		if (!isWanted(name)) continue;
		const { body } = workload(shape);
		const options = { protocol: "feast" };
		const engines = await Promise.all(
			[true, false].map((enabled) => createEngine({ config: { telemetry: { enabled }, l2: { enabled: false } } })),
		);
		for (const engine of engines) await engine.serveBytes(body, options);
		const times = [[], []];
		for (let round = 0; round < ROUNDS + 2; round++) {
			// In turn the one and the other first.
			for (const at of round % 2 === 0 ? [0, 1] : [1, 0]) times[at].push(await timed(engines[at], body, options));
		}
		const { isolate } = await engines[0].stats();
		if (isolate.records_dropped > 0) throw new Error(`${isolate.records_dropped} records were lost`);
		for (const engine of engines) await engine.close();
		// The first two warm up.
		const [ours, theirs] = times.map((rounds) => rounds.slice(2));
		rows.push(compare({ name, unit: "µs", peerName: "without telemetry", goal: GOAL }, ours, theirs));
	}
	return rows;
}
