// The npm package beside plain JavaScript, in one run: columns and objects beside JSON.parse, and how soon a fresh process answers.
//
//   npm run bench -- --only package

import assert from "node:assert/strict";
import { createEngine } from "../build/package/dist/node.js";
import { median } from "./measure.mjs";
import { measureSizes, measureStarts } from "./start.mjs";

const ROUNDS = 15;
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Milliseconds of each, in rounds that take turns, so that a machine that slows down slows all. */
async function beside(tasks) {
	const times = Object.fromEntries(Object.keys(tasks).map((name) => [name, []]));
	for (let round = -3; round < ROUNDS; round++) {
		for (const [name, task] of Object.entries(tasks)) {
			const began = performance.now();
			await task();
			if (round >= 0) times[name].push(performance.now() - began);
		}
	}
	return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
}

/** 1,000 entities with one vector of 128 floats each. */
async function vectors() {
	const request = {
		entity_ids: Array.from({ length: 1_000 }, (_, number) => number),
		feature_names: ["embedding"],
		request_id: "r",
	};
	const body = encoder.encode(JSON.stringify(request));
	const engine = await createEngine({ config: { origin: { delay_ms: 0 } } });
	const bytes = (await engine.serveBytes(body)).slice();
	const options = { vectors: "float32" };
	const { columns } = await engine.columns(request, options);
	assert.deepEqual(
		columns.embedding.values.subarray(0, 128),
		Float32Array.from(JSON.parse(decoder.decode(bytes)).features[0].embedding),
	);
	const parse = () => JSON.parse(decoder.decode(bytes));
	const tasks = { columns: () => engine.columns(request, options), parse, serve: () => engine.serve(request) };
	const times = await beside(tasks);
	await engine.close();
	// In an engine of its own each time, whose rows nobody has read so: beside parsing, by turns.
	const first = [];
	const parsed = [];
	for (let round = -3; round < ROUNDS; round++) {
		const fresh = await createEngine({ config: { origin: { delay_ms: 0 } } });
		await fresh.serveBytes(body);
		const began = performance.now();
		await fresh.columns(request, options);
		const between = performance.now();
		parse();
		if (round >= 0) {
			first.push(between - began);
			parsed.push(performance.now() - between);
		}
		await fresh.close();
	}
	return {
		columns: times.columns,
		parse: times.parse,
		first: median(first),
		firstTimes: median(first.map((time, round) => parsed[round] / time)),
		serveTimes: times.serve / times.parse,
		megabytes: bytes.length / 1e6,
	};
}

const milliseconds = (number) => `${number.toFixed(number < 1 ? 2 : 1)} ms`;
const kilobytes = (bytes) => `${(bytes / 1_024).toFixed(1)} KB`;

/** @returns {Promise<{ what: string, value: string }[]>} */
export async function measurePackage() {
	const { columns, first, parse, firstTimes, serveTimes, megabytes } = await vectors();
	const { starts } = await measureStarts();
	const { tarball, javascript, wasm } = measureSizes();
	const values = {
		"columns()": milliseconds(columns),
		[`JSON.parse of the same, ${megabytes.toFixed(1)} MB`]: milliseconds(parse),
		"columns() is faster, times": (parse / columns).toFixed(0),
		"columns(), rows just decoded": milliseconds(first),
		"it is faster, times": firstTimes.toFixed(1),
		"serve() over JSON.parse": serveTimes.toFixed(2),
		...Object.fromEntries(
			Object.entries(starts).map(([host, times]) => [
				`import to first response, ${host}`,
				times === undefined ? "does not run here" : milliseconds(median(times)),
			]),
		),
		"JavaScript that a host loads, gzipped": kilobytes(javascript),
		"wasm, gzipped": kilobytes(wasm),
		tarball: kilobytes(tarball),
	};
	return Object.entries(values).map(([what, value]) => ({ what, value }));
}
