// A screen that shows nothing of its own: the clock, the count of what waits, and whether the page is live.

import { start } from "./live.js";

start();
