// What browsers with scripts do better: local times, copying, and fresh numbers without a reload.
"use strict";

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = `${time.dateTime} UTC`;
    if (time.dataset.keep === undefined) {
      const wall = new Date(at - at.getTimezoneOffset() * 60000); // its UTC is our wall clock
      time.textContent = wall.toISOString().slice(0, 19).replace("T", " ");
    }
  }
}

function zoneName() {
  for (const each of document.querySelectorAll("[data-zone]")) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone) each.textContent = each.dataset.zone.replace("{zone}", zone);
  }
}

function copying(root) {
  for (const button of root.querySelectorAll("button[data-copies]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).value);
      button.textContent = button.dataset.done;
    });
  }
}

async function refresh() {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  if (!document.hidden && !main.contains(document.activeElement)) {
    try {
      const answer = await fetch(location.href, { headers: { "X-Refresh": "1" } });
      if (answer.ok && answer.url === location.href) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const open = [...main.querySelectorAll("details[open][id]")].map((each) => each.id);
        main.replaceWith(page.querySelector("main"));
        for (const id of open) document.getElementById(id)?.setAttribute("open", "");
        dress(document.querySelector("main"));
      }
    } catch {
      // The next round tries again.
    }
  }
  setTimeout(refresh, 3000);
}

function dress(root) {
  localTimes(root);
  copying(root);
}

dress(document);
zoneName();
setTimeout(refresh, 3000);
