// The request editor and its response.

import { byId, el } from "../dom.js";
import { exchange, NoResponseError } from "../exchange.js";
import { milliseconds } from "../headers.js";
import { paint } from "../highlight.js";
import { JsonError, lineAndColumn, parse } from "../json.js";
import { makeTabs } from "../tabs.js";
import { token } from "../token.js";
import { showAnswer, showFailure, showNothing, showStream } from "./answer.js";
import { ENDPOINTS, NATIVE, PRESETS } from "./presets.js";
import { Sends } from "./sends.js";
import { startWaiting } from "./waiting.js";

/** Longer than the time between keystrokes. */
const HINT_DELAY_MS = 400;

export function openTry() {
	const form = byId("request-form");
	const body = byId("body");
	const endpoint = byId("endpoint");
	const sends = new Sends(byId("sends"));
	let preset = PRESETS[0];
	let lastSent;
	let isSending = false;
	let hintTimer;
	/** Whether the response is to come line by line, which only the native endpoint offers. */
	const isStream = () => endpoint.value === NATIVE && byId("stream").checked;

	byId("presets").append(...PRESETS.map((choice, index) => chip(choice, index === 0)));
	endpoint.append(...ENDPOINTS.map((path) => el("option", { value: path }, path)));
	byId("send-key").textContent = navigator.platform.startsWith("Mac") ? "⌘ ↵" : "Ctrl ↵";
	const tabs = makeTabs(document.querySelector("#views [role=tablist]"));
	showNothing();
	load(preset);

	function load(choice) {
		preset = choice;
		endpoint.value = choice.endpoint;
		byId("stream").checked = choice.isStream ?? false;
		body.value = choice.body;
		onEdit();
	}

	function onEdit() {
		// A final line break has a height only if something follows it.
		paint(byId("body-paint"), `${body.value}\n`);
		const isExample = body.value === preset.body && endpoint.value === preset.endpoint;
		byId("restore").hidden = isExample && isStream() === (preset.isStream ?? false);
		byId("stream-choice").hidden = endpoint.value !== NATIVE;
		const isRepeat = lastSent !== undefined && lastSent.path === endpoint.value && lastSent.text === body.value;
		byId("send-label").textContent = isRepeat ? "Send again" : "Send";
		clearTimeout(hintTimer);
		hintTimer = setTimeout(showHint, HINT_DELAY_MS);
	}

	function showHint() {
		const hint = fault(body.value);
		if (byId("body-hint").textContent !== hint) byId("body-hint").textContent = hint;
	}

	async function send() {
		if (isSending) return;
		isSending = true;
		lastSent = { path: endpoint.value, text: body.value };
		const waiting = startWaiting();
		byId("announcement").textContent = "Waiting for the response";
		let showLine;
		const onLine = (line) => {
			showLine ??= showStream(tabs);
			showLine(line);
		};
		try {
			const answer = await exchange(lastSent.path, lastSent.text, {
				signal: waiting.signal,
				onLine: isStream() ? onLine : undefined,
			});
			sends.add(answer);
			showAnswer(answer, tabs);
			byId("announcement").textContent =
				`${sends.count}: status ${answer.status} in ${milliseconds(answer.elapsedMs)}. ${sends.lastWords}`;
		} catch (error) {
			if (!(error instanceof NoResponseError)) throw error;
			showFailure(error.message, showLine !== undefined);
			byId("announcement").textContent = error.message;
		} finally {
			isSending = false;
			waiting.end();
			onEdit();
		}
	}

	form.addEventListener("submit", (event) => {
		event.preventDefault();
		send();
	});
	form.addEventListener("keydown", (event) => {
		if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
		event.preventDefault();
		send();
	});
	byId("presets").addEventListener("change", (event) => load(PRESETS.find(({ id }) => id === event.target.value)));
	byId("restore").addEventListener("click", () => {
		load(preset);
		body.focus();
	});
	body.addEventListener("input", onEdit);
	byId("stream").addEventListener("change", onEdit);
	endpoint.addEventListener("change", () => {
		if (body.value !== preset.body) return onEdit();
		// An unchanged example is replaced by one for the endpoint.
		const fitting = PRESETS.find((choice) => choice.endpoint === endpoint.value);
		byId(`preset-${fitting.id}`).checked = true;
		load(fitting);
	});
	byId("copy-curl").addEventListener("click", async () => {
		const command = curl(endpoint.value, body.value, isStream());
		const isCopied = await navigator.clipboard.writeText(command).then(
			() => true,
			() => false,
		);
		byId("copied").textContent = isCopied ? "Copied" : "This browser does not allow copying";
		setTimeout(() => (byId("copied").textContent = ""), 2_500);
	});
	byId("send").disabled = false;
}

function chip({ id, name }, isChecked) {
	const input = el("input", { type: "radio", name: "preset", value: id, id: `preset-${id}`, checked: isChecked });
	return el("span.chip", {}, input, el("label", { for: `preset-${id}` }, name));
}

/** The syntax error of a body before it is sent. */
function fault(text) {
	try {
		parse(text);
		return "";
	} catch (error) {
		if (!(error instanceof JsonError)) throw error;
		const { line, column } = lineAndColumn(text, error.at);
		return `Invalid JSON: ${error.message}, at line ${line}, column ${column}.`;
	}
}

function curl(path, text, isStream) {
	const quoted = text.replaceAll("'", "'\\''");
	// The token must not end up in a shell's history.
	const shown = token() === "" ? "" : ' -H "authorization: Bearer $TOKEN"';
	const accept = isStream ? " -N -H 'accept: application/x-ndjson'" : "";
	return `curl -i ${location.origin}${path} -H 'content-type: application/json'${accept}${shown} -d '${quoted}'`;
}
