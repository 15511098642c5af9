// What scrolls sideways can be scrolled from the keyboard too.
"use strict";
(() => {
  const mark = () => {
    for (const one of document.querySelectorAll(".sq-scroll, .sq-code, .sq-timeline, .overflow-x-auto, .overflow-auto")) {
      const scrolls = one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight;
      if (scrolls && !one.hasAttribute("tabindex")) one.tabIndex = 0;
    }
  };
  addEventListener("load", mark);
  addEventListener("resize", mark);
})();
