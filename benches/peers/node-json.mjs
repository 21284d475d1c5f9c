// A server on Node's `http` as a good engineer writes it by hand: rows in lru-cache, answers of ours' headers, and what it does not have is
// asked of the origin in one call. With `constant`, what the origin answered first, whatever is asked.
//
//   node node-json.mjs ORIGIN [constant]

import { createServer } from "node:http";
import { LRUCache } from "lru-cache";
import { MapJson, rowsOf } from "./map-json.mjs";

const [origin, kind] = process.argv.slice(2);
const rows = new LRUCache({ max: 10_000 });
const cache = new MapJson(rows);
let constant;

const server = createServer((request, response) => {
	const chunks = [];
	request.on("data", (chunk) => chunks.push(chunk));
	request.on("end", async () => {
		const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
		const answer = (kind === "constant" ? constant : cache.serve(body)) ?? (await ask(body));
		response.writeHead(200, {
			"content-type": "application/json",
			"cache-status": "l1; hit",
			age: "0",
			"server-timing": "total;dur=0",
			"content-length": answer.length,
		});
		response.end(answer);
	});
});

async function ask(body) {
	const answer = await (await fetch(`${origin}/get-online-features`, { method: "POST", body })).text();
	for (const [key, row] of rowsOf(JSON.parse(body), JSON.parse(answer))) rows.set(key, row);
	constant = Buffer.from(answer);
	return constant;
}

server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` })));
