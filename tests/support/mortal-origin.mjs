// An origin whose connections serve one request each and die at the next, in place of an answer: as one that rested is closed just as it is used.
// It never lets two calls in a row die: a client may have several connections that rest.

import { once } from "node:events";
import { createServer } from "node:http";
import { answerFeatures } from "./features.mjs";

/** @typedef {{ url: string, calls: number, patience: number, stop: () => void }} MortalOrigin `patience`: how many requests a connection serves, at 0 none ever */

/** @returns {Promise<MortalOrigin>} */
export async function startMortalOrigin() {
	/** How many requests each connection had. @type {WeakMap<import("node:net").Socket, number>} */
	const had = new WeakMap();
	let hasDied = false;
	const server = createServer(async (request, response) => {
		const { socket } = request;
		let text = "";
		for await (const chunk of request) text += chunk;
		origin.calls += 1;
		had.set(socket, (had.get(socket) ?? 0) + 1);
		const dies = had.get(socket) > origin.patience && (!hasDied || origin.patience === 0);
		hasDied = dies;
		if (dies) return socket.destroy();
		const { json } = answerFeatures({ json: JSON.parse(text) });
		response.setHeader("content-type", "application/json").end(JSON.stringify(json));
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const origin = {
		url: `http://127.0.0.1:${server.address().port}`,
		calls: 0,
		patience: 1,
		stop() {
			server.close();
			server.closeAllConnections();
		},
	};
	return origin;
}
