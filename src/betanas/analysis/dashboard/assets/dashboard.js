"use strict";
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.betanas = {
  // The theme that was chosen, or else the system's, which may change while the page is open.
  theme: (choice, _ticks, current) => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const theme = choice === "light" || choice === "dark" ? choice : dark ? "dark" : "light";
    document.documentElement.dataset.theme = theme;
    return theme === current ? window.dash_clientside.no_update : theme;
  },
  // One of a row of buttons is pressed; what was chosen may also come from an earlier visit.
  choose: (_clicks, chosen, buttons) => {
    const cause = window.dash_clientside.callback_context.triggered_id;
    const value = cause && cause.type === "choice-button" ? cause.value : chosen;
    const pressed = buttons.map((button) => String(button.value === value));
    return [value === chosen ? window.dash_clientside.no_update : value, pressed];
  },
  // A click far up the page shows a trial further down: the reader, and the keyboard, are taken there.
  jump: (picks) => {
    const heading = document.getElementById("chosen-heading");
    if (picks && picks.jump > 0 && heading && heading.dataset.jump !== String(picks.jump)) {
      heading.dataset.jump = String(picks.jump);
      heading.focus();
      heading.scrollIntoView({ block: "start" });
    }
    return window.dash_clientside.no_update;
  },
};
