/**
 * The anchor of a heading, as GitHub makes it. Repeated ones get `-1`, `-2` and so on, there and on the site.
 *
 * @param {string} heading its text without markup
 */
export const slugify = (heading) =>
	heading
		.trim()
		.toLowerCase()
		.replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc}\s-]/gu, "")
		.replaceAll(/\s/g, "-");
