// A server that means harm: each of its answers is bytes that a seed repeats. It keeps no connection longer than its test.

import { once } from "node:events";
import { createServer } from "node:net";
import { gzipSync } from "node:zlib";

/** A generator of numbers that a seed repeats: SplitMix32. */
export function chance(seed) {
	let state = seed | 0;
	return (bound) => {
		state = (state + 0x9e3779b9) | 0;
		let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
		mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
		return ((mixed ^ (mixed >>> 15)) >>> 0) % bound;
	};
}

/** What a terminal would obey: a title, an empty screen, C1's CSI, DEL, a turned direction, and separators of lines. */
export const SEQUENCES = "\u001b]0;X\u0007\u001b[2J\u009b31m\u007f\u202egnp.exe\u2066\u2028\u0085";

const MIB = 1_048_576;
const DEEP = 100_000;
let bombBytes;
/** A body that becomes hundreds of times as large. */
function bomb() {
	bombBytes ??= gzipSync(Buffer.alloc(256 * MIB, " "), { level: 1 });
	return bombBytes;
}

/** Values in the place of any other. */
const VALUES = [
	...[null, true, -1, 0.5, 1e300, 9_007_199_254_740_992, "", "text", [], {}, [null], { toString: 1 }, [[[[]]]]],
	...[SEQUENCES, "\nerror: forged", "x".repeat(100_000), { [SEQUENCES]: SEQUENCES }, ["PRESENT"]],
];

/** The same value with another in a place that chance chooses. */
function spoiled(value, below) {
	if (typeof value !== "object" || value === null || below(6) === 0) return VALUES[below(VALUES.length)];
	const copy = Array.isArray(value) ? [...value] : { ...value };
	const names = Object.keys(copy);
	if (names.length === 0) return VALUES[below(VALUES.length)];
	const name = names[below(names.length)];
	if (below(5) === 0) delete copy[name];
	else copy[name] = spoiled(copy[name], below);
	return copy;
}

/** A text in the place of an answer. */
const TEXTS = [
	...["", "null", "[]", "{}", "0", "true", '"text"', "nonsense", '{"a":', "<!doctype html><title>Log in</title>"],
	...["[".repeat(DEEP), "[".repeat(DEEP) + "]".repeat(DEEP), '{"a":'.repeat(DEEP), `"${SEQUENCES}"`, SEQUENCES],
	...['{"__proto__":{"features":{}}}', `{"detail":"${"x".repeat(MIB)}"}`, "\ufeff{}", "1e999", "\0"],
];

/** Lines of a head that are no use, or a lie. */
const HEADERS = [
	...["content-length: 5", "content-length: 99999999", "content-length: -1", "content-length: x"],
	...["transfer-encoding: chunked", "transfer-encoding: x", "content-encoding: gzip", "content-encoding: br, gzip"],
	...["content-type: text/html", `x-title: ${SEQUENCES}`, `x-long: ${"x".repeat(100_000)}`, "connection: upgrade"],
	...["retry-after: 99999999", `server: ${"y".repeat(7_000)}`, "trailer: x", "content-type: application/json"],
];

const STATUSES = [
	...["200 OK", "200", "204 No Content", "206 Partial", "101 Switching Protocols", "301 Moved", "304 Not Modified"],
	...[
		"400 Bad",
		"401 Who",
		"413 Large",
		"422 Wrong",
		"429 Later",
		"500 Oh",
		"503 Later",
		"599 X",
		"999 X",
		"0",
		"-1 X",
	],
	...["abc", `500 ${SEQUENCES}`],
];

const head = (status, lines) => `HTTP/1.1 ${status}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
const JSON_TYPE = "content-type: application/json";

/** Writes as long as somebody reads. */
function flood(socket, chunk) {
	const write = () => {
		while (!socket.destroyed && socket.write(chunk));
	};
	socket.on("drain", write);
	write();
}

async function drip(socket, text) {
	for (let at = 0; !socket.destroyed; at = (at + 1) % text.length) {
		socket.write(text[at]);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

/** What a server does beside answering, by name. `elsewhere` is the URL of another server. */
export const DEEDS = {
	silent: () => {},
	"hangs up": (socket) => socket.destroy(),
	resets: (socket) => socket.resetAndDestroy(),
	"no HTTP": (socket) => socket.end(`${SEQUENCES}\r\n\r\n`),
	"status without end": (socket) => flood(socket, "9"),
	"head without end": (socket) => {
		socket.write("HTTP/1.1 200 OK\r\n");
		flood(socket, `x-more: ${"x".repeat(1_000)}\r\n`);
	},
	"interim responses without end": (socket) => flood(socket, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"),
	"head by drips": (socket) => drip(socket, "HTTP/1.1 200 OK\r\nx-more: more\r\n"),
	"body without end": (socket) => {
		socket.write(head("200 OK", [JSON_TYPE]));
		flood(socket, "[".repeat(65_536));
	},
	"error without end": (socket) => {
		socket.write(head("500 Oh", [JSON_TYPE]));
		flood(socket, `${SEQUENCES}${"x".repeat(65_536)}`);
	},
	"body by drips": (socket) => {
		socket.write(head("200 OK", [JSON_TYPE]));
		return drip(socket, " ");
	},
	"half a body": (socket) => socket.end(`${head("200 OK", [JSON_TYPE, "content-length: 1000"])}{"features":`),
	"a broken coding": (socket) => socket.end(`${head("200 OK", [JSON_TYPE, "content-encoding: gzip"])}{"a":1}`),
	"a bomb": (socket) => {
		const body = bomb();
		socket.write(head("200 OK", [JSON_TYPE, "content-encoding: gzip", `content-length: ${body.length}`]));
		socket.end(body);
	},
	"redirects to itself": (socket, { target }) => socket.end(head("302 Found", [`location: ${target}`])),
	"redirects elsewhere": (socket, { elsewhere }) =>
		socket.end(head("307 Elsewhere", [`location: ${elsewhere}/v1/stats`, "content-length: 0"])),
	"redirects nowhere": (socket) => socket.end(head("301 Moved", [`location: ${SEQUENCES}`])),
	upgrades: (socket) => socket.write(head("101 Switching Protocols", ["connection: upgrade", "upgrade: x"])),
	"no content": (socket) => socket.end(head("204 No Content", [])),
	"echoes the token": (socket, { request }) => {
		const body = JSON.stringify({ detail: `you sent ${/authorization: (.*)/i.exec(request)?.[1]}` });
		socket.end(`${head("403 No", [JSON_TYPE])}${body}`);
	},
};

/**
 * An answer of chance to a path, for which `valid` has a whole one.
 *
 * @param {(bound: number) => number} below
 * @param {unknown} valid
 */
export function answerOf(below, valid) {
	const lines = Array.from({ length: below(3) }, () => HEADERS[below(HEADERS.length)]);
	const status = below(2) === 0 ? STATUSES[below(STATUSES.length)] : "200 OK";
	let body = valid;
	for (let times = below(3); times >= 0; times--) body = spoiled(body, below);
	const text = below(3) === 0 ? TEXTS[below(TEXTS.length)] : (JSON.stringify(body) ?? "");
	return Buffer.from(`${head(status, lines)}${text}`, below(8) === 0 ? "latin1" : "utf8");
}

/**
 * @param {(socket: import("node:net").Socket, request: string) => unknown} act answers a request whose head has come
 */
export async function startHostile(act) {
	const sockets = new Set();
	const requests = [];
	const server = createServer((socket) => {
		sockets.add(socket);
		let text = "";
		socket.on("error", () => {});
		socket.on("close", () => sockets.delete(socket));
		socket.on("data", async (bytes) => {
			text += bytes.toString("latin1");
			const end = text.indexOf("\r\n\r\n");
			if (end < 0) return;
			const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
			if (text.length < end + 4 + length) return;
			const request = text.slice(0, end);
			text = "";
			requests.push(request);
			await act(socket, request);
		});
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address();
	return {
		url: `http://127.0.0.1:${port}`,
		/** The heads of what was asked. */
		requests,
		async stop() {
			for (const socket of sockets) socket.destroy();
			server.close();
			await once(server, "close");
		},
	};
}
