// An origin that serves so many calls at one time and makes all others wait, in a process of its own: what is asked of it past that is too much.
//
//   node benches/slow-origin.mjs PORT CALLS MILLISECONDS

import { createServer } from "node:http";
import { answerFeatures } from "../tests/support/features.mjs";

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

createServer(async (request, response) => {
	let text = "";
	for await (const chunk of request) text += chunk;
	if (request.url === "/health") return response.end();
	await turn();
	await new Promise((resolve) => setTimeout(resolve, millis));
	leave();
	const isForFeatures = request.url === "/get-online-features";
	const body = isForFeatures ? JSON.stringify(answerFeatures({ json: JSON.parse(text) }).json) : "null";
	response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
}).listen(port, "127.0.0.1", () => console.log("listening"));
