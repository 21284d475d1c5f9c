// Creates elements. Text stays text, so that no response can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * @param {string} name of the tag, with classes behind dots: `span.tier`
 * @param {Record<string, any>} [attributes] `on…` are listeners; null, undefined and false are left out
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function el(name, attributes = {}, ...children) {
	const [tag, ...classes] = name.split(".");
	return fill(document.createElement(tag), classes, attributes, children);
}

/** As `el`, for SVG. */
export function svg(name, attributes = {}, ...children) {
	const [tag, ...classes] = name.split(".");
	return fill(document.createElementNS(SVG, tag), classes, attributes, children);
}

function fill(element, classes, attributes, children) {
	if (classes.length > 0) element.classList.add(...classes);
	for (const [key, value] of Object.entries(attributes)) {
		if (value === null || value === undefined || value === false) continue;
		if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
		else element.setAttribute(key, value === true ? "" : value);
	}
	element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
	return element;
}

/** A name that may be broken behind its underscores. */
export const breakable = (name) => name.split(/(?<=_)/).flatMap((part, at) => (at === 0 ? [part] : [el("wbr"), part]));

/** @param {string} id */
export const byId = (id) => document.getElementById(id);
