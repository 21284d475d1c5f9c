// The set-up as it is kept in this browser and carried by a link: what differs from the form's first state.
// Tokens and files are no part of it.

/** The longest set-up that is read, in characters of a link. */
const MAX_LENGTH = 8_192;
const KEY = "featheredge-setup";
/** Before a set-up in the fragment of an address. */
export const SETUP = "setup:";

const kept = (form) =>
	[...form.elements].filter(({ name, type }) => name !== "" && !["password", "file", "fieldset"].includes(type));

const isChecked = ({ type }) => type === "checkbox" || type === "radio";

function firstOf(control) {
	if (control.tagName === "SELECT")
		return ([...control.options].find(({ defaultSelected }) => defaultSelected) ?? control.options[0]).value;
	return control.defaultValue;
}

/** @param {HTMLFormElement} form */
export function changes(form) {
	const differing = {};
	for (const control of kept(form)) {
		const { name, value } = control;
		if (isChecked(control)) {
			if (control.checked !== control.defaultChecked) differing[`${name}=${value}`] = control.checked;
		} else if (value !== firstOf(control)) differing[name] = value;
	}
	return differing;
}

/** Sets what a control accepts, and leaves the rest as it is. */
function apply(form, differing) {
	form.reset();
	for (const control of kept(form)) {
		const key = isChecked(control) ? `${control.name}=${control.value}` : control.name;
		if (!Object.hasOwn(differing, key)) continue;
		const value = differing[key];
		if (isChecked(control)) control.checked = value === true;
		else set(control, value);
	}
}

function set(control, value) {
	if (typeof value !== "string" || (control.maxLength > 0 && value.length > control.maxLength)) return;
	const before = control.value;
	const wasDisabled = control.disabled;
	control.value = value;
	// A disabled control counts as valid.
	control.disabled = false;
	if (control.value !== value || (value !== "" && !control.checkValidity())) control.value = before;
	control.disabled = wasDisabled;
}

function read(text) {
	if (text.length > MAX_LENGTH) throw new Error("it is too long");
	const value = JSON.parse(text);
	if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error("it is no set-up");
	return value;
}

/** Keeps the form for the next visit, if the browser has storage. */
export function keep(form) {
	try {
		localStorage.setItem(KEY, JSON.stringify(changes(form)));
	} catch {
		// The form then lasts as long as the page.
	}
}

/** Fills the form as it was kept. */
export function restore(form) {
	try {
		apply(form, read(localStorage.getItem(KEY) ?? "{}"));
	} catch {
		form.reset();
	}
}

/** A link that carries the set-up. */
export function link(form) {
	const bytes = new TextEncoder().encode(JSON.stringify(changes(form)));
	const text = btoa(String.fromCharCode(...bytes));
	const safe = text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
	return `${location.origin}${location.pathname}#run=${SETUP}${safe}`;
}

/**
 * Fills the form from a link, which may be anything.
 *
 * @returns {string | undefined} why it does not
 */
export function open(form, text) {
	try {
		if (text.length > MAX_LENGTH) throw new Error("it is too long");
		const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
		apply(form, read(new TextDecoder().decode(Uint8Array.from(binary, (letter) => letter.charCodeAt(0)))));
	} catch (error) {
		const why = error instanceof Error && error.message.startsWith("it is") ? error.message : "it is damaged";
		return `This link has no valid set-up: ${why}.`;
	}
}
