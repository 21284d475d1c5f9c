// VitePress' own theme in the system's fonts and the page's colours.

import theme from "vitepress/theme-without-fonts";
import "./style.css";

export default theme;
