// Texts from servers and files may have control characters, which a terminal would obey: they are shown, never sent.

/** @param {unknown} text */
export const visible = (text) =>
	String(text).replaceAll(/(?!\n)\p{Cc}/gu, (letter) => `\\x${letter.charCodeAt(0).toString(16).padStart(2, "0")}`);
