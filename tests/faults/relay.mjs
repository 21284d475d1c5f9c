// Stands between a client and a server of ours, and breaks what the server answers.

import { once } from "node:events";
import { connect, createServer } from "node:net";

const DRIP_MS = 10;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * @param {number} port of the server
 * @returns {Promise<{ port: number, mode: "well" | "cut" | "drip" | "rubbish", stop: () => void }>} `mode` may be set at any time
 */
export async function startRelay(port) {
	const sockets = new Set();
	const relay = { mode: "well" };
	const server = createServer((client) => {
		const upstream = connect(port, "127.0.0.1");
		const close = () => {
			client.destroy();
			upstream.destroy();
			sockets.delete(client);
		};
		sockets.add(client);
		for (const socket of [client, upstream]) socket.on("error", close).on("close", close);
		client.pipe(upstream);
		let before = Promise.resolve();
		const send = async (chunk) => {
			if (relay.mode === "well") return client.write(chunk);
			if (relay.mode === "rubbish") return client.write("*2\r\n$7\r\nrubbish\r\n:x\r\n\u0000");
			if (relay.mode === "cut") {
				client.write(chunk.subarray(0, chunk.length / 2));
				await wait(1);
				return close();
			}
			for (const byte of chunk) {
				if (client.destroyed) return;
				client.write(Uint8Array.of(byte));
				await wait(relay.mode === "drip" ? DRIP_MS : 0);
			}
		};
		upstream.on("data", (chunk) => {
			before = before.then(() => send(chunk));
		});
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return Object.assign(relay, {
		port: server.address().port,
		stop() {
			for (const socket of sockets) socket.destroy();
			server.close();
		},
	});
}
