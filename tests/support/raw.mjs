// HTTP as bytes on a socket: requests that no client makes, and answers that no server gives.

import { once } from "node:events";
import { connect, createServer } from "node:net";

/**
 * A connection that lines are written to, and whose answers are read one by one.
 *
 * @param {number} port
 */
export async function openRaw(port) {
	const socket = connect(port, "127.0.0.1");
	socket.setNoDelay(true);
	// Whoever reads hears that the connection has ended.
	socket.on("error", () => {});
	await once(socket, "connect");
	const reader = readerOf(socket);
	return {
		socket,
		/** Sends a head and a body. @param {string[]} lines of the head */
		send: (lines, body = "") => socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`),
		/** The next answer, of whatever class. */
		next: () => reader.message(false),
		/** The next answer; those of class 1xx are passed by. @param {{ isHead?: boolean }} [options] */
		async answer({ isHead = false } = {}) {
			for (;;) {
				const answer = await reader.message(isHead);
				if (answer.status >= 200) return answer;
			}
		},
		close: () => socket.destroy(),
	};
}

/**
 * The status that a request gets whose target is sent as it is.
 *
 * @param {number} port
 */
export async function requestTarget(port, method, target, headers = {}) {
	const raw = await openRaw(port);
	try {
		const own = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
		const length = method === "GET" ? [] : ["content-length: 2"];
		raw.send(
			[`${method} ${target} HTTP/1.1`, `host: 127.0.0.1:${port}`, ...own, ...length],
			method === "GET" ? "" : "{}",
		);
		return (await raw.answer()).status;
	} finally {
		raw.close();
	}
}

/** How many of the last bytes that have come a server has. */
const KEPT_BYTES = 1_000;

/**
 * A server that keeps each request as it came, and answers with bytes; where there are none, it closes the connection.
 *
 * @param {(request: Message, socket: import("node:net").Socket) => Answer | Promise<Answer>} answer
 * @typedef {string | Buffer | { bytes: string, isLast: true } | undefined} Answer `isLast`: the connection ends behind it
 * @param {{ closesBehindErrorsMs?: number }} [options] it closes a connection so long after an error that it has answered, or once something
 *   comes on it, of which it reads nothing
 */
export async function startRawOrigin(answer, { closesBehindErrorsMs } = {}) {
	/** @type {Message[]} */
	const requests = [];
	const sockets = new Set();
	let received = 0;
	let lastBytes = "";
	const server = createServer(async (socket) => {
		sockets.add(socket);
		socket.on("data", (bytes) => {
			received += bytes.length;
			lastBytes = `${lastBytes}${bytes.toString("latin1")}`.slice(-KEPT_BYTES);
		});
		socket.on("error", () => {});
		const reader = readerOf(socket);
		try {
			for (;;) {
				const request = await reader.message(false);
				requests.push(request);
				const answered = await answer(request, socket);
				if (answered === undefined) return socket.destroy();
				if (answered.isLast) return socket.end(answered.bytes, "latin1");
				socket.write(answered, "latin1");
				if (closesBehindErrorsMs !== undefined && /^HTTP\/1\.1 [45]/.test(answered)) {
					setTimeout(() => socket.destroy(), closesBehindErrorsMs);
					return socket.once("data", () => socket.destroy());
				}
			}
		} catch {
			socket.destroy();
		}
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return {
		url: `http://127.0.0.1:${server.address().port}`,
		requests,
		/** How many bytes have come, of whole requests or not. */
		received: () => received,
		/** The last of them, as text. */
		lastBytes: () => lastBytes,
		/** Closes all connections, be they in the middle of an answer. */
		hangUp() {
			for (const socket of sockets) socket.destroy();
			sockets.clear();
		},
		async stop() {
			for (const socket of sockets) socket.destroy();
			server.close();
			await once(server, "close");
		},
	};
}

/**
 * @typedef {object} Message
 * @property {string} start its first line
 * @property {number} [status] of an answer
 * @property {Record<string, string>} headers by their names in small letters; several of one name are joined by commas
 * @property {string} body
 */

/** Reads messages one after the other; fails where the connection ends before one is whole. */
function readerOf(socket) {
	let bytes = Buffer.alloc(0);
	let isEnded = false;
	let wake = () => {};
	socket.on("data", (chunk) => {
		bytes = Buffer.concat([bytes, chunk]);
		wake();
	});
	socket.on("close", () => {
		isEnded = true;
		wake();
	});
	const more = async () => {
		if (isEnded) throw new Error(`the connection has ended after: ${bytes}`);
		const { promise, resolve } = settleable();
		wake = resolve;
		await promise;
	};
	/** What comes before `end`, and takes it along. */
	const until = async (end) => {
		for (;;) {
			const at = bytes.indexOf(end);
			if (at >= 0) return take(at + end.length).slice(0, -end.length);
			await more();
		}
	};
	const take = (length) => {
		const text = bytes.subarray(0, length).toString("latin1");
		bytes = bytes.subarray(length);
		return text;
	};
	const exactly = async (length) => {
		while (bytes.length < length) await more();
		return take(length);
	};
	const rest = async () => {
		while (!isEnded) await more();
		return take(bytes.length);
	};
	const chunks = async () => {
		for (let body = ""; ; ) {
			const length = Number.parseInt(await until("\r\n"), 16);
			const chunk = await exactly(length);
			await until("\r\n");
			if (length === 0) return body;
			body += chunk;
		}
	};
	return {
		/** @returns {Promise<Message>} */
		async message(isHead) {
			const [start, ...lines] = (await until("\r\n\r\n")).split("\r\n");
			const headers = {};
			for (const line of lines) {
				const [name, value] = [
					line.slice(0, line.indexOf(":")).toLowerCase(),
					line.slice(line.indexOf(":") + 1).trim(),
				];
				headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
			}
			const status = start.startsWith("HTTP/") ? Number(start.split(" ")[1]) : undefined;
			let body = "";
			const isBare = isHead || status === 204 || status === 304 || (status !== undefined && status < 200);
			if (isBare) body = "";
			else if (/chunked/i.test(headers["transfer-encoding"] ?? "")) body = await chunks();
			else if (headers["content-length"] !== undefined) body = await exactly(Number(headers["content-length"]));
			else if (status !== undefined) body = await rest();
			return { start, status, headers, body };
		},
	};
}

function settleable() {
	let settle;
	const promise = new Promise((resolve) => {
		settle = resolve;
	});
	return { promise, resolve: settle };
}
