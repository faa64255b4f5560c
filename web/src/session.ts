// What the page keeps in the browser: the token until the tab is closed, the theme for good. Where the browser keeps
// nothing, the page works all the same, and forgets.

const TOKEN = "ai-mesh-token";
const THEME = "ai-mesh-theme";

export type Theme = "light" | "dark";

/** The API's own pages at /docs look here for it too. */
export function token(): string | null {
  return read(() => window.sessionStorage.getItem(TOKEN));
}

export function keepToken(token: string): void {
  read(() => window.sessionStorage.setItem(TOKEN, token));
}

export function forgetToken(): void {
  read(() => window.sessionStorage.removeItem(TOKEN));
}

/** The theme that was chosen, if one was; else the page follows the system's. */
export function theme(): Theme | null {
  const kept = read(() => window.localStorage.getItem(THEME));
  return kept === "light" || kept === "dark" ? kept : null;
}

export function keepTheme(theme: Theme): void {
  read(() => window.localStorage.setItem(THEME, theme));
}

function read<T>(from: () => T): T | null {
  try {
    return from();
  } catch {
    return null;
  }
}
