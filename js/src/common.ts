// What kinds of widgets have in common, as one chunk that all of them carry (see build.mjs): a chunk for each combination of
// kinds would cost more, for small files compress badly. Here belongs what most kinds use.

import "./components/class-menu";
import "./components/end-words";
import "./components/export-menu";
import "./components/frame";
import "./components/method-menu";
import "./components/parameters";
import "./components/toggle";
import "./lib/bar-colours";
import "./lib/csv";
import "./lib/figure";
import "./lib/kernel-file";
import "./lib/percentile";
import "./lib/ticks";
import "./lib/visible";
