// The deployment's bearer token, if it needs one: stored for this tab only, and sent only to the Worker that
// served the page.

import { byId, el } from "./dom.js";

const KEY = "featheredge-token";

/** In a browser without storage: as long as the page is open. */
let unsaved = "";

function read() {
	try {
		return sessionStorage.getItem(KEY) ?? "";
	} catch {
		return unsaved;
	}
}

function write(text) {
	unsaved = text;
	try {
		if (text === "") sessionStorage.removeItem(KEY);
		else sessionStorage.setItem(KEY, text);
	} catch {
		// The token then lasts as long as the page.
	}
}

/** The token; empty if none was entered. */
export const token = read;

/** The headers with the token. */
export const credentials = () => (read() === "" ? {} : { authorization: `Bearer ${read()}` });

/** Whether a status means that credentials are missing or invalid. */
export const needsToken = (status) => status === 401 || status === 403;

/**
 * What a 401 or 403 means, and what to do: a title, and lines.
 *
 * @param {number} status
 * @param {string} detail in the server's words
 */
export function tokenHelp(status, detail) {
	const hasToken = read() !== "";
	const words = detail === "" ? [] : [`The server says: ${detail.replace(/\.$/, "")}.`];
	if (status === 403) {
		const what = hasToken ? "The token does not permit this" : "Callers without a token may not do this";
		return [what, ...words, "Enter a token with the scope that the server names."];
	}
	return hasToken
		? ["The token was refused", ...words, "Check that it is complete, not expired, and of this deployment."]
		: ["This deployment asks for a token", ...words, SOURCES];
}

/** Where a token comes from. */
const SOURCES =
	"Its operator issues tokens: those of the secret FEATHEREDGE_TOKENS, those of its identity provider, or FEATHEREDGE_OPERATOR_TOKEN.";

/** @type {Set<() => void>} */
const listeners = new Set();

/** Calls `listener` whenever the token changes. */
export const onToken = (listener) => listeners.add(listener);

/** A button that opens the field. */
export const tokenButton = () => el("button.quiet", { type: "button", onclick: open }, "Enter a token");

function open() {
	byId("token").open = true;
	byId("token-field").focus();
}

/** Connects the field of the masthead's *Token*. */
export function openToken() {
	const disclosure = byId("token");
	const field = byId("token-field");
	const show = () => {
		field.value = read();
		byId("token-forget").hidden = read() === "";
		disclosure.dataset.state = read() === "" ? "none" : "set";
	};
	const set = (text) => {
		write(text);
		show();
		disclosure.open = false;
		disclosure.querySelector("summary").focus();
		byId("token-announcement").textContent = text === "" ? "The token is removed." : "The token is set.";
		for (const listener of listeners) listener();
	};
	byId("token-form").addEventListener("submit", (event) => {
		event.preventDefault();
		const text = field.value.trim().replace(/^Bearer\s+/i, "");
		// A header allows no other characters; the browser's error would not explain it.
		field.setCustomValidity(/^[\x21-\x7e]*$/.test(text) ? "" : "A token consists of ASCII characters without spaces.");
		if (field.reportValidity()) set(text);
	});
	field.addEventListener("input", () => field.setCustomValidity(""));
	byId("token-forget").addEventListener("click", () => set(""));
	disclosure.addEventListener("keydown", (event) => {
		if (event.key !== "Escape" || !disclosure.open) return;
		disclosure.open = false;
		disclosure.querySelector("summary").focus();
	});
	addEventListener("pointerdown", ({ target }) => {
		if (!disclosure.contains(target)) disclosure.open = false;
	});
	show();
}
