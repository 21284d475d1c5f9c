// An origin that serves so many calls at one time and makes all others wait, in a process of its own: what is asked of it past that is too much.
//
//   node benches/slow-origin.mjs PORT CALLS MILLISECONDS

import { createServer } from "node:http";

const [port, calls, millis] = process.argv.slice(2).map(Number);

let free = calls;
const waiting = [];

async function turn() {
	if (free > 0) free -= 1;
	else await new Promise((resolve) => waiting.push(resolve));
}

function leave() {
	const next = waiting.shift();
	if (next === undefined) free += 1;
	else next();
}

/** Every value says whose it is. */
function answer({ entities, features }) {
	const [[column, ids]] = Object.entries(entities);
	const names = features.map((reference) => reference.split(":")[1]);
	const columns = [ids, ...names.map((name) => ids.map((id) => `${name} of ${id}`))];
	const result = (values) => ({
		values,
		statuses: values.map(() => "PRESENT"),
		event_timestamps: values.map(() => "2026-01-02T03:04:05Z"),
	});
	return JSON.stringify({ metadata: { feature_names: [column, ...names] }, results: columns.map(result) });
}

createServer(async (request, response) => {
	let text = "";
	for await (const chunk of request) text += chunk;
	if (request.url === "/health") return response.end();
	await turn();
	await new Promise((resolve) => setTimeout(resolve, millis));
	leave();
	const body = request.url === "/get-online-features" ? answer(JSON.parse(text)) : "null";
	response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
}).listen(port, "127.0.0.1", () => console.log("listening"));
