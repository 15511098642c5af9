// What the theme leaves out for keyboards and screen readers.
"use strict";
(() => {
  const SCROLLING = ".sq-scroll, .sq-code, .sq-timeline, .overflow-x-auto, .overflow-auto";

  // What scrolls can be scrolled from the keyboard too.
  const letScroll = () => {
    for (const one of document.querySelectorAll(SCROLLING)) {
      const scrolls = one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight;
      if (scrolls && !one.hasAttribute("tabindex")) one.tabIndex = 0;
    }
  };

  // The field in which choices are searched is called like the choice.
  const nameSearches = () => {
    for (const one of document.querySelectorAll(".select2-search__field")) {
      if (one.getAttribute("aria-label")) continue;
      const select = one.closest(".select2-container")?.previousElementSibling;
      const label = select?.id && document.querySelector(`label[for="${CSS.escape(select.id)}"]`);
      one.setAttribute("aria-label", label?.textContent.trim() || document.title);
    }
  };

  addEventListener("load", () => {
    letScroll();
    nameSearches();
    // The theme makes these fields when it is ready, and some of them again later.
    new MutationObserver(nameSearches).observe(document.body, { childList: true, subtree: true });
  });
  addEventListener("resize", letScroll);
})();
