// Keeps the page of a running job up to date, and shows the result once it is over.
"use strict";

(() => {
    const panel = document.querySelector("[data-progress-url]");
    if (!panel) return;
    const part = (name) => panel.querySelector(`[data-progress="${name}"]`);
    const SECOND = 1000;
    let pause = SECOND;

    const show = (now) => {
        const bar = part("bar");
        if (now.percent === null) bar.removeAttribute("value");
        else bar.value = now.percent;
        part("text").textContent = now.text;
        part("status").textContent = now.status;
        part("status").dataset.tone = now.tone;
        part("cancel").hidden = !now.wants_cancel;
    };

    const ask = async () => {
        try {
            const answer = await fetch(panel.dataset.progressUrl, { headers: { Accept: "application/json" } });
            if (!answer.ok) throw new Error(`${answer.status}`);
            const now = await answer.json();
            const began = part("status").textContent !== now.status;
            if (now.is_over || began) {
                window.location.reload();
                return;
            }
            show(now);
            pause = SECOND;
        } catch {
            // The server may be restarting; ask less and less often.
            pause = Math.min(pause * 2, 30 * SECOND);
        }
        window.setTimeout(ask, pause);
    };
    window.setTimeout(ask, pause);
})();
