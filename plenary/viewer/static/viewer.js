// Renews the numbers of a run that is under way; without it a page can be loaded again.
"use strict";
const EVERY = 2000;
const tiles = document.querySelector("[data-live]");

function show(now) {
  for (const place of document.querySelectorAll("[data-fill]")) {
    const text = now.said[place.dataset.fill];
    if (text !== undefined && place.textContent !== text) place.textContent = text;
  }
  for (const bar of document.querySelectorAll("[data-share]")) bar.value = now.share;
  for (const place of document.querySelectorAll("[data-percent]")) {
    place.textContent = `${Math.round(100 * now.share)} %`;
  }
}

function say(text) {
  const place = document.querySelector("[data-said]");
  if (place && place.textContent !== text) place.textContent = text;
}

async function renew() {
  try {
    const answer = await fetch(tiles.dataset.live);
    if (!answer.ok) throw new Error(String(answer.status));
    const now = await answer.json();
    show(now);
    if (now.over) {
      say("The run is over. Load the page again to see what came out.");
      return;
    }
    say("Renewed every two seconds while the run goes on.");
  } catch (problem) {
    say("The viewer does not answer; the numbers are the last it gave.");
  }
  setTimeout(renew, EVERY);
}

if (tiles) setTimeout(renew, EVERY);
