// The token that this deployment wants of those who ask it, where it wants one: entered once, kept for this tab alone, and shown to
// nobody but the Worker that served the page.

import { byId, el } from "./dom.js";

const KEY = "featheredge-token";

/** Of a browser that stores nothing: as long as the page. */
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
		// It lasts as long as the page then.
	}
}

/** The token; empty where none was entered. */
export const token = read;

/** The headers that show it. */
export const credentials = () => (read() === "" ? {} : { authorization: `Bearer ${read()}` });

/** Whether a status says that credentials are missing, or are not good. */
export const wantsToken = (status) => status === 401 || status === 403;

/** @type {Set<() => void>} */
const listeners = new Set();

/** Calls `listener` whenever another token is entered, or it is forgotten. */
export const onToken = (listener) => listeners.add(listener);

/** A button that leads to the field. */
export const tokenButton = () => el("button.quiet", { type: "button", onclick: open }, "Enter a token");

function open() {
	byId("token").open = true;
	byId("token-field").focus();
}

/** Makes the field behind the masthead's *Token* work. */
export function openToken() {
	const disclosure = byId("token");
	const field = byId("token-field");
	const show = () => {
		field.value = read();
		byId("token-forget").hidden = read() === "";
		disclosure.dataset.state = read() === "" ? "none" : "kept";
	};
	const set = (text) => {
		write(text);
		show();
		disclosure.open = false;
		disclosure.querySelector("summary").focus();
		byId("token-announcement").textContent = text === "" ? "The token is forgotten." : "The token is sent from now on.";
		for (const listener of listeners) listener();
	};
	byId("token-form").addEventListener("submit", (event) => {
		event.preventDefault();
		const text = field.value.trim().replace(/^Bearer\s+/i, "");
		// A header takes no other, and would fail each request in words that tell nothing.
		field.setCustomValidity(
			/^[\x21-\x7e]*$/.test(text) ? "" : "A token has letters, digits and signs of ASCII, and no spaces.",
		);
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
