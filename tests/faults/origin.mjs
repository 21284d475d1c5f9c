// An origin in a process of its own, so that it can be killed and stopped. `PUT /mode` says how it answers from then on: `well`, `drip`, `cut`,
// `rubbish` or `hang`.
//
//   node tests/faults/origin.mjs PORT

import { createServer } from "node:http";

let mode = "well";

async function textOf(stream) {
	let text = "";
	for await (const chunk of stream) text += chunk;
	return text;
}

/** Every value says whose it is. */
function answer({ entities, features }) {
	const [[column, ids]] = Object.entries(entities);
	const names = features.map((reference) => reference.split(":")[1]);
	const columns = [ids, ...names.map((name) => ids.map((id) => `${name} of ${id}`))];
	return JSON.stringify({
		metadata: { feature_names: [column, ...names] },
		results: columns.map((values) => ({ values })),
	});
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

createServer(async (request, response) => {
	const body = await textOf(request);
	if (request.url === "/mode") {
		mode = body;
		return response.end();
	}
	if (request.url === "/health") return response.end();
	if (mode === "hang") return;
	response.writeHead(200, { "content-type": "application/json" });
	if (mode === "rubbish") return response.end("<html>everything is fine</html>");
	const text = answer(JSON.parse(body));
	if (mode === "cut") {
		response.write(text.slice(0, text.length / 2));
		await wait(5);
		return response.destroy();
	}
	if (mode === "drip") {
		for (const byte of text) {
			response.write(byte);
			await wait(10);
		}
		return response.end();
	}
	response.end(text);
}).listen(Number(process.argv[2]), "127.0.0.1", () => console.log("listening"));
