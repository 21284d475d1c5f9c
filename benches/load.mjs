// Sends one request, or several by turns, over and over on several connections, from a process of its own, and tells how it went.
//
// Raw sockets, and as little work for each answer as can be, so that the server is what is measured.

import { connect } from "node:net";

const HEAD_END = Buffer.from("\r\n\r\n");

/** Sends what `next` gives on one connection until `end`; notes each answer's time in `latencies`, in milliseconds. */
function client(port, next, end, latencies) {
	return new Promise((resolve, reject) => {
		const socket = connect(port, "127.0.0.1");
		let began = 0;
		/** How much of the answer is still to come; unknown while its head is not whole. */
		let left;
		let head = Buffer.alloc(0);
		const send = () => {
			left = undefined;
			head = Buffer.alloc(0);
			began = performance.now();
			socket.write(next());
		};
		socket.setNoDelay(true);
		socket.on("error", reject);
		socket.on("connect", send);
		socket.on("data", (chunk) => {
			if (left === undefined) {
				head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
				const at = head.indexOf(HEAD_END);
				if (at < 0) return;
				const text = head.latin1Slice(0, at);
				const length = /content-length: (\d+)/i.exec(text)?.[1];
				if (!text.startsWith("HTTP/1.1 200") || length === undefined) return reject(new Error(text));
				left = Number(length) - (head.length - at - HEAD_END.length);
			} else {
				left -= chunk.length;
			}
			if (left > 0) return;
			const now = performance.now();
			latencies.push(now - began);
			if (now < end) return send();
			socket.end();
			resolve();
		});
	});
}

process.on("message", async ({ port, path, bodies, tokens, connections, millis }) => {
	const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\n`;
	const shown = tokens.length > 0 ? tokens.map((token) => `authorization: Bearer ${token}\r\n`) : [""];
	const requests = Array.from({ length: Math.max(bodies.length, shown.length) }, (_, turn) => {
		const body = bodies[turn % bodies.length];
		const own = shown[turn % shown.length];
		return Buffer.from(`${head}${own}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
	});
	let sent = 0;
	const next = () => requests[sent++ % requests.length];
	const latencies = [];
	const began = performance.now();
	const clients = Array.from({ length: connections }, () => client(port, next, began + millis, latencies));
	await Promise.all(clients);
	const elapsed = performance.now() - began;
	latencies.sort((left, right) => left - right);
	process.send({
		requests: latencies.length,
		micros: (elapsed * 1_000) / latencies.length,
		p99: latencies[Math.floor(latencies.length * 0.99)],
	});
});
